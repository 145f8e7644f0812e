--- Makes recordings for catapult.mjs: `recordings.lua FOLDER` writes each as Chrome's JSON to
--- FOLDER/NAME.json, and prints a line of what an importer must find in it, counted in the recorder's events.

local chrome = require "coropanic.record.chrome"
local co = require "coropanic"
local reader = require "coropanic.record.reader"
local socket = require "socket"

local folder = arg[1]

--- Each wait that a task may be in, and what ends it.
local function all_waits()
  local channel, full, event, group = co.chan(), co.chan(1), co.event(), co.waitgroup()
  local mutex, rwmutex, semaphore = co.mutex(), co.rwmutex(), co.semaphore(1)
  local once = co.once(function() co.sleep(0.002) end)
  local resume
  local server = assert(socket.bind("127.0.0.1", 0))
  local client = socket.tcp()
  full:send(1)
  group:add(1)
  co.scope(function(s)
    s:spawn(function() channel:recv() end)
    s:spawn(function() full:send(2) end)
    s:spawn(function() co.select(0.001, channel, { full, 1 }) end)
    s:spawn(function() event:wait() end)
    s:spawn(function() group:wait() end)
    s:spawn(function() co.await(function(r) resume = r end) end)
    s:spawn(function() co.wait_fd(server, "r", 5) end)
    for _ = 1, 2 do
      s:spawn(function() once:call() end)
      s:spawn(function()
        local _ <close> = mutex:guard()
        co.sleep(0.001)
      end)
      s:spawn(function()
        rwmutex:lock()
        co.sleep(0.001)
        rwmutex:unlock()
        rwmutex:rlock()
        co.sleep(0.001)
        rwmutex:runlock()
      end)
      s:spawn(function()
        semaphore:acquire()
        co.sleep(0.001)
        semaphore:release()
      end)
    end
    co.sleep(0.01)
    co.spawn(co.yield):join()
    channel:send(1)
    full:recv()
    event:set()
    group:done()
    resume()
    client:connect("127.0.0.1", (select(2, server:getsockname())))
  end)
  client:close()
  server:close()
end

--- Spans, also such as errors leave, marks, panics, cancellations and time-outs.
local function all_else()
  co.trace.span("outer", function()
    co.trace.event 'a "name"\n'
    pcall(co.trace.span, "fails", error, "x")
    co.trace.span("waits", co.sleep, 0.001)
  end)
  co.pcall(co.panic, "x")
  co.call(function() co.defer(function() co.recover() end) error "recovered" end)
  co.pcall(co.with_timeout, 0.001, co.sleep, 1)
  local cancelled = co.spawn(co.trace.span, "cancelled", co.sleep, 1)
  co.yield()
  cancelled:cancel "enough"
  co.spawn(error, "nobody joins"):join()
  co.spawn_with({ detached_trace = true, daemon = true }, co.sleep, 1)
  co.yield()
end

local function switches()
  for _ = 1, 40 do
    co.spawn(function()
      for _ = 1, 10 do co.yield() co.trace.span("step", co.sleep, 0.0001) end
    end)
  end
end

--- The task of a turn whose START is lost.
local function running_first(dump)
  for e in dump:events() do
    if e.kind == "park" or e.kind == "yield" then return e.task end
    if e.kind == "start" or e.kind == "idle_begin" then return nil end
  end
end

local MARKS = { trace = true, log = true, panic = true, cancel = true, gc = true }

--- What an importer must find: computed from the events, and not from what the converter makes of them.
local function expect(dump)
  local found = { turns = 0, waits = 0, spans = 0, arrows = 0, marks = 0, threads = 0 }
  local running, pending, seen = nil, {}, {}
  local function count(name, task)
    found[name] = found[name] + 1
    if not seen[task] then seen[task], found.threads = true, found.threads + 1 end
  end
  local function start(task)
    count("turns", task)
    running = task
    found.arrows, pending[task] = found.arrows + (pending[task] or 0), nil
  end
  local first = running_first(dump)
  if first then start(first) end
  for e in dump:events() do
    if e.kind == "start" then start(e.task) end
    if e.kind == "park" then count("waits", e.task) end
    if e.kind == "span_begin" then count("spans", e.task) end
    if MARKS[e.kind] or e.kind == "end" and e.task == running then count("marks", e.task) end
    if (e.kind == "spawn" or e.kind == "wake") and running then
      pending[e.task] = (pending[e.task] or 0) + 1
    end
    if e.kind == "end" then pending[e.task] = nil end
    if (e.kind == "park" or e.kind == "yield" or e.kind == "end") and e.task == running then running = nil end
  end
  return found
end

local waits = {}

local function record(name, options, clock, fn)
  local recorder = co.record(options)
  co.run_with({ clock = clock, unhandled = function() end }, fn)
  local dump = reader.parse(recorder:snapshot())
  recorder:stop()
  local file <close> = assert(io.open(folder .. "/" .. name .. ".json", "w"))
  chrome.convert(dump, function(piece) assert(file:write(piece)) end)
  for e in dump:events() do waits[e.wait or ""] = true end
  local n = expect(dump)
  print(("%s %d %d %d %d %d %d"):format(name, n.turns, n.waits, n.spans, n.arrows, n.marks, n.threads))
end

record("waits", { stacks = 1 }, "monotonic", all_waits)
for _, wait in ipairs {
  "acquire", "await", "end of scope", "join", "lock", "once", "read lock", "receive", "select", "send",
  "sleep", "wait", "wait_fd", "write lock",
} do assert(waits[wait], wait) end
record("panics", { stacks = 1 }, "monotonic", all_else)
record("virtual", {}, "virtual", all_else)
record("switches", {}, "monotonic", switches)
for power = 5, 10 do
  record("wrapped-" .. (1 << power), { events = 1 << power }, "monotonic", switches)
end
