--- Writes what `co.record` has recorded as JSON in Chrome's trace event format, for chrome://tracing,
--- Perfetto and speedscope: tasks are threads. A turn of a task is a slice (B, E), a wait and a span are
--- asynchronous slices (b, e), and arrows (s, f) lead from a spawn or wake-up in a turn to the turn that
--- follows.

local chrome = {}

--- UTF-8 that JSON can hold: other bytes are shown as characters of their number.
local function quote(text)
  local escaped = text:gsub('[%c"\\]', function(byte) return ("\\u%04x"):format(byte:byte()) end)
  if not utf8.len(escaped) then
    escaped = escaped:gsub("[\128-\255]", function(byte) return ("\\u%04x"):format(byte:byte()) end)
  end
  return '"' .. escaped .. '"'
end

local Writer = {}
Writer.__index = Writer

--- Writes an event: its phase, its task, and further members of the object.
function Writer:put(phase, task, format, ...)
  local more = format and "," .. format:format(...) or ""
  self.write(('%s{"ph":"%s","pid":1,"tid":%d,"ts":%d.%03d%s}'):format(
    self.separator, phase, task, self.now // 1000, self.now % 1000, more))
  self.separator = ",\n"
end

function Writer:name(task, name)
  self:put("M", task, '"name":"thread_name","args":{"name":%s}', quote(name))
end

--- The arrow to the task, which its next turn ends, begins in the turn that runs. The loop has none.
function Writer:arrow(task, what)
  if not self.running then return end
  self.arrow_count = self.arrow_count + 1
  self.arrows[task] = self.arrows[task] or {}
  table.insert(self.arrows[task], { number = self.arrow_count, what = what })
  self:put("s", self.running, '"cat":"%s","name":"%s","id":%d', what, what, self.arrow_count)
end

function Writer:begin(task)
  if self.running then self:finish(self.running) end
  self:end_wait(task)
  self:put("B", task, '"cat":"task","name":"run"')
  self.running = task
  for _, arrow in ipairs(self.arrows[task] or {}) do
    self:put("f", task, '"bp":"e","cat":"%s","name":"%s","id":%d', arrow.what, arrow.what, arrow.number)
  end
  self.arrows[task] = nil
end

function Writer:finish(task)
  if self.running ~= task then return end
  self:put("E", task)
  self.running = nil
end

function Writer:end_wait(task)
  if not self.waits[task] then return end
  self:put("e", task, '"cat":"wait","name":%s,"id":"w%d"', self.waits[task], task)
  self.waits[task] = nil
end

--- Spans end with those around them, and with their task.
function Writer:end_spans(task, depth)
  local spans = self.spans[task] or {}
  for i = #spans, depth, -1 do
    self:put("e", task, '"cat":"span","name":%s,"id":"s%d"', spans[i].name, task)
    spans[i] = nil
  end
end

function Writer:instant(task, name)
  self:put("i", task, '"cat":"event","s":"t","name":%s', quote(name))
end

local ON = {}

function ON.spawn(w, e)
  w:name(e.task, ("task %d %s"):format(e.task, e.place))
  w:arrow(e.task, "spawn")
end

function ON.trace(w, e)
  w:put("i", e.task, '"cat":"event","s":"t","name":"trace","args":{"trace_id":"%s"}', e.trace_id)
end

function ON.start(w, e) w:begin(e.task) end

function ON.yield(w, e) w:finish(e.task) end

function ON.park(w, e)
  w:finish(e.task)
  w.waits[e.task] = quote(e.wait)
  local place = e.place and ',"args":{"at":' .. quote(e.place) .. "}" or ""
  w:put("b", e.task, '"cat":"wait","name":%s,"id":"w%d"%s', w.waits[e.task], e.task, place)
end

function ON.wake(w, e)
  w:end_wait(e.task)
  w:arrow(e.task, "wake")
end

ON["end"] = function(w, e)
  w:end_wait(e.task)
  w:end_spans(e.task, 1)
  if w.running == e.task then w:instant(e.task, e.status) end
  w:finish(e.task)
  w.arrows[e.task] = nil
end

function ON.span_begin(w, e)
  local span = { name = quote(e.text), span = e.span }
  w.spans[e.task] = w.spans[e.task] or {}
  table.insert(w.spans[e.task], span)
  w:put("b", e.task, '"cat":"span","name":%s,"id":"s%d"', span.name, e.task)
end

function ON.span_end(w, e)
  for depth, span in ipairs(w.spans[e.task] or {}) do
    if span.span == e.span then return w:end_spans(e.task, depth) end
  end
end

function ON.log(w, e) w:instant(e.task, e.text) end

function ON.panic(w, e) w:instant(e.task, ("panic: %s, record %d"):format(e.panic, e.record)) end

function ON.cancel(w, e) w:instant(e.task, "cancelled: " .. e.source) end

function ON.gc(w, e) w:instant(0, "gc cycle " .. e.cycle) end

--- What is open at the dump ends there.
local function close(w)
  if w.running then w:finish(w.running) end
  local tasks = {}
  for task in pairs(w.waits) do tasks[#tasks + 1] = task end
  table.sort(tasks)
  for _, task in ipairs(tasks) do w:end_wait(task) end
  tasks = {}
  for task in pairs(w.spans) do tasks[#tasks + 1] = task end
  table.sort(tasks)
  for _, task in ipairs(tasks) do w:end_spans(task, 1) end
end

--- Returns the tasks whose first event shows that they were running, as those before it are lost.
local function running_at_first(dump)
  for e in dump:events() do
    if e.kind == "start" or e.kind == "idle_begin" then return nil end
    if e.kind == "park" or e.kind == "yield" then return e.task end
  end
end

--- Writes the JSON by `write`, a piece a call.
---@param dump table  # of coropanic.record.reader
---@param write fun(piece: string)
function chrome.convert(dump, write)
  local w = setmetatable({
    write = write, separator = "", now = 0, waits = {}, spans = {}, arrows = {}, arrow_count = 0,
  }, Writer)
  write '{"displayTimeUnit":"ns","traceEvents":[\n'
  w:put("M", 0, '"name":"process_name","args":{"name":"coropanic"}')
  w:name(0, "loop")
  local running = running_at_first(dump)
  local first = dump:events()()
  w.now = first and first.time or 0
  if running then w:begin(running) end
  for e in dump:events() do
    w.now = e.time
    if ON[e.kind] then ON[e.kind](w, e) end
  end
  w.now = math.max(w.now, dump:duration())
  close(w)
  write "\n]}\n"
end

return chrome
