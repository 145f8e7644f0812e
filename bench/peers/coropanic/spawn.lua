-- Tasks that begin and end.

local co = require "coropanic"
local measure = require "peers.measure"

local run, spawn = co.run, co.spawn

local workloads = {}

-- Tasks live at a time while spawning is timed, as a server has them.
local GENERATION = 100

-- Spawns and ends n tasks, in the task that runs. `start(opts, fn)` or `start(fn)`, as `opts` says.
local function generations(n, start, task, opts)
  local yield = co.yield
  for _ = 1, n // GENERATION do
    if opts then
      for _ = 1, GENERATION do start(opts, task) end
    else
      for _ = 1, GENERATION do start(task) end
    end
    yield()
  end
end

local function warm(n, start, opts)
  local ended = 0
  local function task() ended = ended + 1 end
  local result = measure.time(n, function() run(generations, n, start, task, opts) end)
  measure.expect("tasks that ended", ended, 2 * n)
  return result
end

workloads["spawn"] = function(n) return warm(n, spawn) end

workloads["spawn/traced"] = function(n, variant)
  return warm(n, co.spawn_with, { detached_trace = variant ~= "inherited" })
end

-- None of them ends before all have begun: neither memory nor coroutines of former tasks are at hand.
workloads["spawn/cold"] = function(n)
  local begun, ended = 0, 0
  local watch = measure.watch()
  run(function()
    local leave = co.event()
    local function task()
      begun = begun + 1
      leave:wait()
      ended = ended + 1
    end
    watch.start()
    for _ = 1, n do spawn(task) end
    co.yield()
    watch.stop()
    measure.expect("tasks that began", begun, n)
    leave:set()
  end)
  measure.expect("tasks that ended", ended, n)
  return watch.result(n)
end

-- Spawned tasks that end, while n others stay parked.
workloads["spawn/parked"] = function(n)
  local ended = 0
  local function task() ended = ended + 1 end
  local watch = measure.watch()
  run(function()
    local never = co.chan()
    for _ = 1, n do co.spawn_with({ daemon = true }, never.recv, never) end
    co.yield()
    measure.expect("parked tasks", co.stats().live - co.stats().ready, n + 1)
    watch.start()
    generations(measure.CHURN, spawn, task)
    watch.stop()
  end)
  measure.expect("tasks that ended", ended, measure.CHURN)
  return watch.result(measure.CHURN)
end

return workloads
