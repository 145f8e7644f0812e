-- luv, as programs without a scheduler of their own use it: a coroutine waits by handing its own resumption
-- to libuv as a callback, and yields.

local measure = require "peers.measure"
local uv = require "luv"

local workloads = {}

local running, yield = coroutine.running, coroutine.yield

local function resume(thread, ...)
  local ok, message = coroutine.resume(thread, ...)
  if not ok then error(debug.traceback(thread, message), 0) end
end

-- Coroutines that have given way, and the idle handle that resumes each of them once a turn of the loop.
local ready = {}
local idle = uv.new_idle()

local function turn()
  local now = ready
  ready = {}
  for i = 1, #now do resume(now[i]) end
  if not ready[1] then idle:stop() end
end

local function enqueue(thread)
  if not ready[1] then idle:start(turn) end
  ready[#ready + 1] = thread
end

local function give_way()
  enqueue(running())
  yield()
end

local function spawn(fn, ...)
  local thread = coroutine.create(fn)
  resume(thread, ...)
end

-- Runs `fn` in a coroutine and the loop until nothing is left, and returns what it does.
local function run(fn)
  local result
  spawn(function() result = fn() end)
  uv.run()
  return result
end

local function in_order() end

local function switch(n, arrange)
  local rounds = measure.rounds(n)
  local count = 0
  local result = run(function()
    local function task()
      give_way()
      for _ = 1, rounds do give_way() end
      count = count + 1
    end
    for _ = 1, n - 1 do spawn(task) end
    arrange(ready)
    give_way()
    local watch = measure.watch()
    watch.start()
    for _ = 1, rounds do give_way() end
    watch.stop()
    return watch.result(n * rounds)
  end)
  measure.expect("coroutines that came through", count, n - 1)
  return result
end

workloads["switch"] = function(n) return switch(n, in_order) end

workloads["switch/random"] = function(n) return switch(n, measure.shuffle) end

local GENERATION = 100

local function generations(n, task)
  for _ = 1, n // GENERATION do
    for _ = 1, GENERATION do enqueue(coroutine.create(task)) end
    give_way()
  end
end

-- Begins n coroutines that park, and returns them.
local function park(n)
  local parked = {}
  local function task()
    parked[#parked + 1] = running()
    yield()
  end
  for _ = 1, n do enqueue(coroutine.create(task)) end
  give_way()
  measure.expect("parked coroutines", #parked, n)
  return parked
end

workloads["spawn/cold"] = function(n)
  local watch = measure.watch()
  run(function()
    watch.start()
    local parked = park(n)
    watch.stop()
    for i = 1, n do resume(parked[i]) end
  end)
  return watch.result(n)
end

workloads["spawn/parked"] = function(n)
  local watch = measure.watch()
  local ended = 0
  local function task() ended = ended + 1 end
  run(function()
    local parked = park(n)
    watch.start()
    generations(measure.CHURN, task)
    watch.stop()
    for i = 1, n do resume(parked[i]) end
  end)
  measure.expect("coroutines that ended", ended, measure.CHURN)
  return watch.result(measure.CHURN)
end

workloads["spawn"] = function(n)
  local ended = 0
  local function task() ended = ended + 1 end
  local result = measure.time(n, function() run(function() generations(n, task) end) end)
  measure.expect("coroutines that ended", ended, 2 * n)
  return result
end

function workloads.timers(n)
  local repeats = measure.repeats_of_timers(n)
  local watch = measure.watch()
  local fired, cancelled = 0, 0
  local delays = measure.delays(n)
  for _ = 1, repeats do
    local threads = {}
    local function task(i)
      threads[i] = running()
      yield()
      local timer = uv.new_timer()
      timer:start(math.ceil(delays[i] * 1000), 0, function() resume(threads[i], true) end)
      local has_fired = yield()
      timer:close()
      if has_fired then
        fired = fired + 1
      else
        cancelled = cancelled + 1
      end
    end
    for i = 1, n do spawn(task, i) end
    uv.update_time()
    watch.start()
    for i = 1, n do resume(threads[i]) end
    for i = 2, n, 2 do resume(threads[i], false) end
    uv.run()
    watch.stop()
  end
  measure.expect("fired", fired, repeats * (n - n // 2))
  measure.expect("cancelled", cancelled, repeats * (n // 2))
  return watch.result(repeats * n)
end

measure.main(workloads)
