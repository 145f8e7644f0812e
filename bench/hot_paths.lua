-- The hot paths whose instructions `make bench-guard` counts. Each function does its operation n times, so
-- that the difference between two n is the operations alone. A changed path is another one: rename it.

local co = require "coropanic"

local paths = {}

local function nothing() end

local VIRTUAL = { clock = "virtual" }

-- Not looked up in the module each time: what that costs depends on how Lua's strings hash in this process.
local yield = co.yield

--- Spawns n tasks, a hundred at a time.
local function hundreds(n, task)
  co.run(function()
    for _ = 1, n // 100 do
      for _ = 1, 100 do co.spawn(task) end
      yield()
    end
  end)
end

--- `tasks` tasks that yield in turn.
local function switch(tasks, n)
  co.run(function()
    for _ = 1, tasks do
      co.spawn(function()
        for _ = 1, n // tasks do yield() end
      end)
    end
  end)
end

paths["switch between 2"] = function(n) switch(2, n) end
paths["switch between 100"] = function(n) switch(100, n) end

paths["spawn"] = function(n) hundreds(n, nothing) end

-- None of them ends before all have begun, so that no coroutine of a former task is at hand.
paths["spawn, all alive"] = function(n)
  co.run(function()
    local leave = co.event()
    for _ = 1, n do co.spawn(leave.wait, leave) end
    co.yield()
    leave:set()
  end)
end

paths["spawn with its own trace"] = function(n)
  local options = { detached_trace = true }
  co.run(function()
    for _ = 1, n // 100 do
      for _ = 1, 100 do co.spawn_with(options, nothing) end
      co.yield()
    end
  end)
end

paths["await"] = function(n)
  co.run(function()
    for i = 1, n do co.spawn(math.abs, i):await() end
  end)
end

paths["switch in random order"] = function(n)
  local resumes = {}
  local function wait(resume) resumes[#resumes + 1] = resume end
  co.run(function()
    for _ = 1, 100 do
      co.spawn(function()
        co.await(wait)
        for _ = 1, n // 100 do yield() end
      end)
    end
    yield()
    for i = 0, 99 do resumes[i * 37 % 100 + 1]() end
  end)
end

paths["unbuffered channel"] = function(n)
  co.run(function()
    local there, back = co.chan(), co.chan()
    co.spawn(function()
      for value in there:iter() do back:send(value) end
    end)
    for i = 1, n do
      there:send(i)
      back:recv()
    end
    there:close()
  end)
end

paths["buffered channel"] = function(n)
  co.run(function()
    local values = co.chan(100)
    co.spawn(function()
      for i = 1, n do values:send(i) end
      values:close()
    end)
    for _ in values:iter() do nothing() end
  end)
end

paths["select of 8"] = function(n)
  co.run_with({ seed = 1 }, function()
    local channels = {}
    for i = 1, 8 do channels[i] = co.chan() end
    co.spawn(function()
      for i = 1, n do channels[i % 8 + 1]:send(i) end
    end)
    for _ = 1, n do co.select(nil, table.unpack(channels)) end
  end)
end

paths["mutex"] = function(n)
  co.run(function()
    local mutex = co.mutex()
    for _ = 1, 8 do
      co.spawn(function()
        for _ = 1, n // 8 do
          mutex:lock()
          co.yield()
          mutex:unlock()
        end
      end)
    end
  end)
end

-- While co.order watches: all but the first round find what was seen before.
paths["mutex under another, watched"] = function(n)
  local order = co.order()
  co.run(function()
    local outer = co.mutex()
    local inner = co.mutex()
    outer:lock()
    for _ = 1, n do
      inner:lock()
      inner:unlock()
    end
    outer:unlock()
  end)
  order:stop()
end

paths["timer that fires"] = function(n)
  co.run_with(VIRTUAL, function()
    for t = 1, 100 do
      co.spawn(function()
        for i = 1, n // 100 do co.sleep((t * i) % 17 + 1) end
      end)
    end
  end)
end

paths["timer that is cancelled"] = function(n)
  co.run_with(VIRTUAL, function()
    local event = co.event()
    for _ = 1, 100 do
      co.spawn(function()
        for _ = 1, n // 100 do event:wait(60) end
      end)
    end
    for _ = 1, n // 100 do
      co.yield()
      event:set()
      event:clear()
    end
  end)
end

paths["func"] = function(n)
  local guarded = co.func(nothing)
  for _ = 1, n do guarded() end
end

paths["defer"] = function(n)
  local defer = co.defer
  local frame = co.func(function()
    for _ = 1, 100 do defer(nothing) end
  end)
  for _ = 1, n // 100 do frame() end
end

paths["defer in a task that parks"] = function(n)
  hundreds(n, function()
    co.defer(nothing)
    yield()
  end)
end

paths["once, its first call"] = function(n)
  co.run(function()
    for _ = 1, n do co.once(nothing)() end
  end)
end

local function deep(frames)
  if frames <= 1 then co.panic "x" end
  deep(frames - 1)
  return 1
end

--- A function that panics `frames` deep, recovers, and calls `use` with the record.
local function recovering(frames, use)
  return function()
    co.defer(function()
      local _, record = co.recover()
      use(record)
    end)
    deep(frames)
  end
end

local function panics(frames, n, use)
  local frame = co.func(recovering(frames, use))
  co.run(function()
    for _ = 1, n do frame() end
  end)
end

paths["panic through 1"] = function(n) panics(1, n, nothing) end
paths["panic through 10"] = function(n) panics(10, n, nothing) end
paths["panic through 50"] = function(n) panics(50, n, nothing) end

paths["panic in a task"] = function(n) hundreds(n, recovering(10, nothing)) end

paths["panic that is joined"] = function(n)
  co.run(function()
    for _ = 1, n do co.spawn(deep, 10):join() end
  end)
end

paths["panic in a supervisor"] = function(n)
  co.run_with({ unhandled = nothing, clock = "virtual" }, function()
    co.supervise(function(scope)
      for _ = 1, n do scope:spawn(error, "x", 0) end
    end)
  end)
end

paths["report"] = function(n) panics(10, n, tostring) end

paths["cancel"] = function(n)
  co.run(function()
    local root = co.spawn(function()
      co.scope(function(scope)
        for _ = 1, n do scope:spawn(co.sleep, math.huge) end
      end)
    end)
    co.yield()
    co.yield()
    root:cancel()
    root:join()
  end)
end

paths["scope in a scope"] = function(n)
  local depth
  local function level()
    if depth == 0 then return end
    depth = depth - 1
    co.scope(level)
  end
  co.run(function()
    for _ = 1, n // 50 do
      depth = 50
      level()
    end
  end)
end

paths["time-out that does not run out"] = function(n)
  co.run(function()
    for _ = 1, n do co.with_timeout(60, nothing) end
  end)
end

paths["traceparent"] = function(n)
  co.run(function()
    for _ = 1, n do
      local carrier = {}
      co.trace.inject(carrier)
    end
  end)
end

--- Under it nothing is recorded, although somebody listens.
local function unsampled(fn)
  local before = co.trace.on_span(nothing)
  co.run(co.trace.continue, { traceparent = ("00-%032x-%016x-00"):format(1, 1) }, fn)
  co.trace.on_span(before)
end

paths["span that is not sampled"] = function(n)
  local span, options = co.trace.span, { kind = "client", attributes = { a = 1 } }
  unsampled(function()
    for _ = 1, n do span("s", options, nothing) end
  end)
end

paths["span that nobody hears of"] = function(n)
  local span = co.trace.span
  co.run(function()
    for _ = 1, n do span("s", nothing) end
  end)
end

paths["span that is recorded"] = function(n)
  local span = co.trace.span
  local before = co.trace.on_span(nothing)
  co.run(function()
    for _ = 1, n do span("s", nothing) end
  end)
  co.trace.on_span(before)
end

paths["continue"] = function(n)
  local continue, headers = co.trace.continue, { traceparent = ("00-%032x-%016x-00"):format(1, 1) }
  co.run(function()
    for _ = 1, n do continue(headers, nothing) end
  end)
end

paths["set that is not sampled"] = function(n)
  local set, attributes = co.trace.set, { a = 1 }
  unsampled(function()
    for _ = 1, n do set(attributes) end
  end)
end

paths["spawn that is not sampled"] = function(n)
  unsampled(function()
    for _ = 1, n do co.spawn(nothing):join() end
  end)
end

paths["event that is not sampled"] = function(n)
  local event, attributes = co.trace.event, { a = 1 }
  unsampled(function()
    for _ = 1, n do event("e", attributes) end
  end)
end

return paths
