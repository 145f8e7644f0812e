--- Random programs over channels, select, locks, scopes, contexts, time-outs, cancellation, panics and
--- deferred calls, whose order of events depends on no random choice of the runtime: every implementation of
--- the API must write the same log. Runs in every Lua.
---
---   LUA spec/guest/random_programs.lua FIRST LAST    writes the log of each seed from FIRST to LAST

local co = require "coropanic"

local unpack = table.unpack or unpack -- luacheck: ignore
local MAX_DEPTH = 3

--- The generator of spec/helpers.lua.
local function new_random(seed)
  local state = seed
  return function(n)
    state = state * 48271 % 2147483647
    return state % n + 1
  end
end

local World = {}
World.__index = World

local function new_world(seed)
  local w = { random = new_random(seed), lines = {}, names = {}, tasks = {}, scopes = {} }
  setmetatable(w, World)
  for _ = 1, 3 do w.random(2) end
  w.channels = { co.chan(), co.chan(1), co.chan(3) }
  w.mutexes = { co.mutex(), co.mutex() }
  w.rwmutex, w.semaphore, w.waitgroup, w.event = co.rwmutex(), co.semaphore(3), co.waitgroup(), co.event()
  w.condition = co.condition(w.mutexes[1])
  w.once = co.once(function()
    w:say "once begins"
    w:pause()
    if w.random(3) == 1 then error("once fails", 0) end
    return "once's"
  end)
  w.context, w.cancel = co.context.with_cancel(co.context.background())
  return w
end

--- The text of a value, without what differs from run to run.
local function text_of(value)
  local kind = type(value)
  if kind == "number" then return ("%.6g"):format(value) end
  if kind == "string" then return (value:gsub("^[^\n]-:%d+: ", "")) end
  if kind == "nil" or kind == "boolean" then return tostring(value) end
  if kind == "table" or kind == "userdata" then
    local ok, record_kind = pcall(function() return value.kind end)
    if ok and type(record_kind) == "string" then
      local source = value.cancellation and value.cancellation.source or "-"
      return ("<%s %s %s %d %d>"):format(record_kind, text_of(value.value), source, #value.chain,
        #(value.suppressed or {}))
    end
  end
  return (tostring(value):gsub("taken at [^)]*", "taken"):gsub("0x%x+", "0x"))
end

function World:say(...)
  local current = co.current()
  local words = { ("%.6g"):format(co.now()), current and self.names[current.id] or "?" }
  for i = 1, select("#", ...) do words[#words + 1] = text_of((select(i, ...))) end
  self.lines[#self.lines + 1] = table.concat(words, " ")
end

function World:seconds() return self.random(5) / 4 end
function World:timeout() return ({ [2] = 0, [3] = 0.25, [4] = 0.5, [5] = 1 })[self.random(5)] end
function World:pause() if self.random(2) == 1 then co.yield() else co.sleep(self:seconds()) end end
function World:channel() return self.channels[self.random(#self.channels)] end
function World:mutex() return self.mutexes[self.random(#self.mutexes)] end
function World:task() return self.tasks[self.random(math.max(#self.tasks, 1))] end

--- Does something to a lock while it is held.
function World:hold(unlock, lock)
  co.call(function()
    co.defer(unlock, lock)
    self:pause()
  end)
end

local actions = {}

function actions.send(w) w:channel():send(w.random(100)) end
function actions.recv(w) w:say("got", w:channel():recv()) end
function actions.try_send(w) w:say("sent", w:channel():try_send(w.random(100))) end
function actions.try_recv(w) w:say("got", w:channel():try_recv()) end
function actions.iter(w)
  local next_value = w:channel():iter()
  w:say("next", next_value())
end
function actions.close(w) if w.random(4) == 1 then w:channel():close() end end

--- Waits for several channels, of which none is ready.
function actions.select(w)
  local cases = {}
  for i, ch in ipairs(w.channels) do
    if w.random(3) > 1 then
      local value, ok, why = ch:try_recv()
      if ok or why == "closed" then return w:say("one was ready", value, ok) end
      cases[i] = ch
    elseif w.random(2) == 1 then
      if ch:try_send(w.random(100)) then return w:say "one had room" end
      cases[i] = { ch, w.random(100) }
    end
  end
  w:say("selected", co.select(w:timeout(), unpack(cases, 1, 3)))
end

function actions.lock(w)
  local m = w:mutex()
  if m:lock(w:timeout()) then w:hold(m.unlock, m) else w:say "no lock" end
end
function actions.lock_and_leave(w)
  if w.random(10) == 1 then w:mutex():lock(0) end
end
function actions.unlock(w) w:mutex():unlock() end
function actions.rlock(w)
  if w.rwmutex:rlock(w:timeout()) then w:hold(w.rwmutex.runlock, w.rwmutex) else w:say "no lock" end
end
function actions.wlock(w)
  if w.rwmutex:lock(w:timeout()) then w:hold(w.rwmutex.unlock, w.rwmutex) else w:say "no lock" end
end
function actions.acquire(w)
  local n = w.random(3)
  if w.semaphore:acquire(n, w:timeout()) then
    co.call(function()
      co.defer(w.semaphore.release, w.semaphore, n)
      w:pause()
    end)
  else
    w:say "no permits"
  end
end
function actions.wait_condition(w)
  local m = w.mutexes[1]
  if not m:lock(w:timeout()) then return end
  co.call(function()
    co.defer(m.unlock, m)
    w:say("signalled", w.condition:wait(w:timeout()))
  end)
end
function actions.signal(w) if w.random(2) == 1 then w.condition:signal() else w.condition:broadcast() end end
function actions.event(w)
  local what = w.random(4)
  if what == 1 then return w.event:set() end
  if what == 2 then return w.event:clear() end
  w:say(w.event:wait(w:timeout()))
end
function actions.waitgroup(w)
  local what = w.random(4)
  if what == 1 then
    w:name(w.waitgroup:spawn(function() w:body(MAX_DEPTH) end), "wg")
  elseif what == 2 then
    w.waitgroup:done()
  else
    w:say(w.waitgroup:wait(w:timeout()))
  end
end
function actions.once(w) w:say(w.once()) end
function actions.sleep(w) w:pause() end

function actions.join(w)
  local t = w:task()
  if t then w:say("joined", w.names[t.id], t:join(w:timeout())) end
end
function actions.await(w)
  local t = w:task()
  if t then w:say("awaited", w.names[t.id], t:await()) end
end
function actions.cancel(w)
  local t = w:task()
  if t then w:say("cancel", w.names[t.id], t:cancel("reason " .. w.random(3)), t:status()) end
end
function actions.cancel_context(w) if w.random(3) == 1 then w.cancel "context's" end end
function actions.cancel_scope(w)
  local s = w.scopes[w.random(math.max(#w.scopes, 1))]
  if s then w:say("cancel scope", s:cancel "scope's") end
end

function actions.panic(w)
  local what = w.random(4)
  if what == 1 then co.panic "p" elseif what == 2 then error("e", 0) elseif what == 3 then co.goexit() end
end
function actions.swallow(w) w:say("swallowed", (pcall(co.sleep, w:seconds()))) end
function actions.call(w, depth)
  co.call(function()
    co.defer(function()
      w:say("deferred", co.recover())
      if w.random(3) == 1 then w:pause() end
      if w.random(6) == 1 then co.panic "again" end
    end)
    w:act(depth + 1)
    w:act(depth + 1)
  end)
end

function actions.spawn(w, depth) w:spawn(nil, depth) end
function actions.spawn_daemon(w, depth) w:spawn({ daemon = true }, depth) end
function actions.spawn_in_context(w, depth)
  local ctx = w.random(2) == 1 and w.context or co.context.with_timeout(co.ctx(), w:seconds(), "late")
  w:spawn({ context = ctx }, depth)
end
function actions.after(w)
  local stop = w.context:after(function() w:say "after" end)
  if w.random(3) == 1 then w:say("stopped", stop()) end
end
function actions.done(w)
  local ctx = co.context.with_timeout(w.context, w:seconds())
  w:say("done", co.select(w:timeout(), ctx:done()))
  w:say(ctx:err(), ctx:cause())
end

local function with_structure(w, depth, s)
  if s then w.scopes[#w.scopes + 1] = s end
  for _ = 1, w.random(3) do
    if w.random(2) == 1 then w:spawn(nil, depth) else w:act(depth + 1) end
  end
  return "body"
end
function actions.scope(w, depth)
  w:say("scope", co.scope(function(s) return with_structure(w, depth, s) end))
end
function actions.supervise(w, depth)
  w:say("supervise", co.supervise(function(s) return with_structure(w, depth, s) end))
end
function actions.with_timeout(w, depth)
  w:say("time-out", co.with_timeout(w:seconds(), with_structure, w, depth))
end
function actions.with(w, depth) w:say("with", co.with(w.context, with_structure, w, depth)) end

local names = {}
for name in pairs(actions) do names[#names + 1] = name end
table.sort(names)

function World:act(depth)
  local name = names[self.random(#names)]
  if depth > MAX_DEPTH then name = "sleep" end
  local ok, record = co.pcall(actions[name], self, depth)
  if not ok then self:say(name, "failed", record) end
  if not ok and self.random(3) == 1 then error(record, 0) end
end

function World:body(depth)
  co.defer(function()
    self:say "ends"
    if self.random(4) == 1 then self:pause() end
  end)
  for _ = 1, self.random(5) do self:act(depth) end
  return "result"
end

function World:name(t, how)
  self.tasks[#self.tasks + 1] = t
  self.names[t.id] = how .. #self.tasks
end

function World:spawn(options, depth)
  if depth >= MAX_DEPTH then return end
  local function body() return self:body(depth + 1) end
  local t
  if options then t = co.spawn_with(options, body) else t = co.spawn(body) end
  self:name(t, options and "o" or "t")
end

local COUNTERS = { "spawned", "live", "panics", "recovered", "unhandled", "cancelled", "leaked" }

local function log_of(seed)
  local before = co.stats()
  local w = new_world(seed)
  local function unhandled(record) w:say("unhandled", record) end
  local ok, outcome = pcall(co.run_with, { clock = "virtual", unhandled = unhandled }, function()
    w.names[co.current().id] = "main"
    for _ = 1, 4 do w:spawn(nil, 0) end
    co.sleep(3)
    for _, t in ipairs(w.tasks) do
      if w.random(2) == 1 then t:cancel "main's" end
    end
    co.sleep(3)
    for i, t in ipairs(w.tasks) do
      if w.random(2) == 1 then w:say("end of", i, t:join(1)) end
    end
    -- In which order the end of a run cancels the tasks that are left is not promised.
    for round = 1, 20 do
      for _, t in ipairs(w.tasks) do t:cancel("round " .. round) end
      co.sleep(10)
    end
    return "over"
  end)
  w.lines[#w.lines + 1] = ("run %s %s"):format(tostring(ok), text_of(outcome))
  for _, t in ipairs(w.tasks) do w.lines[#w.lines + 1] = ("%s %s"):format(w.names[t.id], t:status()) end
  local after = co.stats()
  for _, name in ipairs(COUNTERS) do
    w.lines[#w.lines + 1] = name .. " " .. (after[name] - before[name])
  end
  return table.concat(w.lines, "\n")
end

for seed = tonumber(arg[1]), tonumber(arg[2]) do
  io.write("-- seed ", seed, "\n", log_of(seed), "\n")
end
