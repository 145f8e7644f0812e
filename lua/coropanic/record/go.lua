--- Writes what `co.record` has recorded as an execution trace of Go 1.19, which `go tool trace` opens: tasks
--- are goroutines, traces are user tasks, tasks and spans within them are regions.
---
--- `go tool trace` checks that the states of all goroutines follow from each other. Of a task whose beginning
--- was lost the first event says in which state it must have been; it is made in that state at the start. The
--- format is in Go's internal/trace/parser.go.

local go = {}

local EVENT = {
  Batch = 1, Frequency = 2, Stack = 3, Gomaxprocs = 4, ProcStart = 5, GoCreate = 13, GoEnd = 15, GoSched = 17,
  GoSleep = 19, GoBlock = 20, GoBlockSend = 22, GoBlockRecv = 23, GoBlockSelect = 24, GoBlockSync = 25,
  GoBlockCond = 26, GoBlockNet = 27, GoWaiting = 31, String = 37, GoStartLocal = 38, GoUnblockLocal = 39,
  UserTaskCreate = 45, UserTaskEnd = 46, UserRegion = 47, UserLog = 48,
}

--- What Go calls our waits; others are GoBlockSync if they are for a lock, else GoBlockCond.
local BLOCK = {
  sleep = "GoSleep", send = "GoBlockSend", receive = "GoBlockRecv", select = "GoBlockSelect",
  wait_fd = "GoBlockNet", lock = "GoBlockSync", ["read lock"] = "GoBlockSync", acquire = "GoBlockSync",
  once = "GoBlockSync",
}

local UNKNOWN = "?"

local function varint(value)
  local bytes = {}
  while math.ult(0x7f, value) do
    bytes[#bytes + 1] = string.char(value & 0x7f | 0x80)
    value = value >> 7
  end
  bytes[#bytes + 1] = string.char(value)
  return table.concat(bytes)
end

local Writer = {}
Writer.__index = Writer

--- Writes an event that has these numbers. Up to three stand behind it; more have their length in front.
function Writer:put(name, ...)
  local count, body = select("#", ...), {}
  for i = 1, count do body[i] = varint((select(i, ...))) end
  body = table.concat(body)
  local head = EVENT[name] | math.min(count - 1, 3) << 6
  self.write(string.char(head) .. (count > 3 and varint(#body) or "") .. body)
end

--- Returns the number of a string, which is written now if it is new.
function Writer:string(text)
  local number = self.strings[text]
  if not number then
    number = self.string_count + 1
    self.string_count, self.strings[text] = number, number
    self.write(string.char(EVENT.String) .. varint(number) .. varint(#text) .. text)
  end
  return number
end

--- Returns the number of a stack of one frame, the line "file:12".
function Writer:stack(place)
  local number = self.stacks[place]
  if not number then
    number = self.stack_count + 1
    self.stack_count, self.stacks[place] = number, number
    local file, line = place:match "^(.*):(%d+)$"
    local fn, path = self:string("task@" .. place), self:string(file or place)
    -- EVENT.Stack always has its length in front.
    local body = varint(number) .. varint(1) .. varint(0x1000 + number) .. varint(fn) .. varint(path)
      .. varint(math.tointeger(tonumber(line)) or 0)
    self.write(string.char(EVENT.Stack | 3 << 6) .. varint(#body) .. body)
  end
  return number
end

--- Returns the ticks since the event before, which each event begins with.
function Writer:passed()
  local passed = self.now - self.last
  self.last = self.now
  return passed
end

-- Goroutines ------------------------------------------------------------------------------------------------

--- Makes the goroutine of a task.
function Writer:create(id, place)
  local stack = self:stack(place)
  self:put("GoCreate", self:passed(), id, stack, stack)
  self.states[id], self.places[id] = "ready", place
end

--- Makes a goroutine of which nothing was seen before, in this state.
function Writer:ensure(id, state)
  if self.states[id] then return end
  self:create(id, self.places[id] or UNKNOWN)
  if state == "waiting" then
    self:put("GoWaiting", self:passed(), id)
    self.states[id] = "waiting"
  end
end

--- The regions that are open in a task end, from the innermost one to that at `depth`.
function Writer:close_regions(id, depth)
  local regions = self.regions[id]
  for i = #regions, depth, -1 do
    local r = regions[i]
    self:put("UserRegion", self:passed(), r.task, 1, r.name, self:stack(self.places[id]))
    regions[i] = nil
  end
end

function Writer:open_region(id, name, span)
  local r = { task = self.tasks[self.traces[id]] or 0, name = self:string(name), span = span }
  table.insert(self.regions[id], r)
  self:put("UserRegion", self:passed(), r.task, 0, r.name, self:stack(self.places[id]))
end

--- The task runs, from now on.
function Writer:start(id)
  if self.running == id then return end
  if self.running then -- what has ended its turn is lost
    self:put("GoSched", self:passed(), 0)
    self.states[self.running] = "ready"
  end
  self:ensure(id, "ready")
  if self.states[id] == "waiting" then self:put("GoUnblockLocal", self:passed(), id, 0) end
  self:put("GoStartLocal", self:passed(), id)
  self.running, self.states[id] = id, "running"
  if not self.regions[id] then
    self.regions[id] = {}
    self:open_region(id, "task")
  end
end

--- The running task stops, by this event.
function Writer:stop(id, name, state, place)
  if self.running ~= id then self:start(id) end
  self:put(name, self:passed(), place and self:stack(place) or 0)
  self.running, self.states[id] = nil, state
end

-- Traces ----------------------------------------------------------------------------------------------------

--- The task is in the trace: a user task, which is made with its first and ends with its last.
function Writer:join_trace(id, trace)
  if self.traces[id] then self:leave_trace(id) end
  self.traces[id] = trace
  if not self.tasks[trace] then
    self.task_count = self.task_count + 1
    local number, name, key = self.task_count, self:string "trace", self:string "trace_id"
    self.tasks[trace], self.members[trace] = number, 0
    self:put("UserTaskCreate", self:passed(), number, 0, name, 0)
    self:log(number, key, trace)
  end
  self.members[trace] = self.members[trace] + 1
end

function Writer:leave_trace(id)
  local trace = self.traces[id]
  self.traces[id] = nil
  self.members[trace] = self.members[trace] - 1
  if self.members[trace] > 0 then return end
  self:put("UserTaskEnd", self:passed(), self.tasks[trace], 0)
  self.tasks[trace] = nil
end

function Writer:log(task, key, text)
  self:put("UserLog", self:passed(), task, key, 0)
  self.write(varint(#text) .. text)
end

-- Events ----------------------------------------------------------------------------------------------------

local ON = {}

function ON.spawn(w, e)
  if not w.states[e.task] then w:create(e.task, e.place) end
end

function ON.trace(w, e)
  w:ensure(e.task, "ready")
  w:join_trace(e.task, e.trace_id)
end

function ON.start(w, e) w:start(e.task) end

function ON.park(w, e) w:stop(e.task, BLOCK[e.wait] or "GoBlockCond", "waiting", e.place) end

function ON.yield(w, e) w:stop(e.task, "GoSched", "ready", e.place) end

function ON.wake(w, e)
  w:ensure(e.task, "waiting")
  if w.states[e.task] ~= "waiting" then return end
  w:put("GoUnblockLocal", w:passed(), e.task, 0)
  w.states[e.task] = "ready"
end

--- A task that does not run ends too, if it was cancelled before its first turn or is given up. If another
--- one runs then, its goroutine stays as it is: Go has no such end.
ON["end"] = function(w, e)
  if w.running and w.running ~= e.task then return end
  w:start(e.task)
  w:close_regions(e.task, 1)
  if w.traces[e.task] then w:leave_trace(e.task) end
  w:put("GoEnd", w:passed())
  w.running, w.states[e.task] = nil, "dead"
end

function ON.span_begin(w, e)
  if w.running == e.task then w:open_region(e.task, e.text, e.span) end
end

--- What an error has left inside ends with it.
function ON.span_end(w, e)
  if w.running ~= e.task then return end
  for depth = #w.regions[e.task], 2, -1 do
    if w.regions[e.task][depth].span == e.span then return w:close_regions(e.task, depth) end
  end
end

function ON.log(w, e)
  if w.running == e.task then w:log(w.tasks[w.traces[e.task]] or 0, w:string "event", e.text) end
end

function ON.panic(w, e)
  if w.running == e.task then
    w:log(w.tasks[w.traces[e.task]] or 0, w:string "panic", ("%s, record %d"):format(e.panic, e.record))
  end
end

-- How the first events look back ----------------------------------------------------------------------------

--- The state in which a task must have been before its first event, by the event's kind. Others, such as the
--- end of a task that has not run, say nothing.
local BEFORE = {
  start = "ready", wake = "waiting", park = "running", yield = "running", log = "running",
  span_begin = "running", span_end = "running",
}

--- Returns the states at the start of those whose spawn is lost, in the order of their first events.
local function look_back(dump)
  local known, found = {}, {}
  local function note(id, state)
    if id == 0 or known[id] then return end
    known[id] = true
    if state then found[#found + 1] = { id = id, state = state } end
  end
  for e in dump:events() do
    if e.kind == "wake" or e.kind == "spawn" then note(e.by, "running") end
    note(e.task, BEFORE[e.kind])
  end
  return found
end

--- Writes the trace by `write`, a piece a call.
---@param dump table  # of coropanic.record.reader
---@param write fun(piece: string)
function go.convert(dump, write)
  local w = setmetatable({
    write = write, strings = {}, string_count = 0, stacks = {}, stack_count = 0, states = {}, places = {},
    regions = {}, traces = {}, tasks = {}, members = {}, task_count = 0, now = 1, last = 1,
  }, Writer)
  for _, task in ipairs(dump.tasks) do w.places[task.id] = task.place end
  write "go 1.19 trace\0\0\0"
  local found = look_back(dump)
  local first = dump:events()()
  w.now = first and first.time + 1 or 1
  w.last = w.now
  w:put("Batch", 0, w.now)
  w:put("Frequency", 1000000000)
  w:put("Gomaxprocs", w:passed(), 1, 0)
  w:put("ProcStart", w:passed(), 1)
  for _, task in ipairs(found) do w:ensure(task.id, task.state) end
  for _, task in ipairs(found) do
    if task.state == "running" then
      w:start(task.id)
      break
    end
  end
  for e in dump:events() do
    w.now = e.time + 1
    if ON[e.kind] then ON[e.kind](w, e) end
  end
end

return go
