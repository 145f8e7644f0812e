-- The floor: bare C over Lua's API (bench/floor.c), the least that each of these can cost in Lua 5.4.

local floor = require "floor"
local measure = require "peers.measure"

local workloads = {}

local function in_order() end

local function switch(n, arrange)
  local rounds = measure.rounds(n)
  local count = 0
  local ring = floor.ring(n, function(yield)
    yield()
    for _ = 1, rounds do yield() end
    count = count + 1
    yield()
  end)
  arrange(ring)
  local watch = measure.watch()
  watch.start()
  floor.turn(ring, rounds)
  watch.stop()
  floor.turn(ring, 1)
  measure.expect("coroutines that came through", count, n)
  return watch.result(n * rounds)
end

workloads["switch"] = function(n) return switch(n, in_order) end

workloads["switch/random"] = function(n) return switch(n, floor.shuffle) end

workloads["spawn/cold"] = function(n)
  local begun = 0
  local watch = measure.watch()
  watch.start()
  local ring = floor.ring(n, function(yield)
    begun = begun + 1
    yield()
    yield()
  end)
  watch.stop()
  floor.turn(ring, 1)
  measure.expect("coroutines that began", begun, n)
  return watch.result(n)
end

workloads["spawn"] = function(n)
  local ended = 0
  local function task() ended = ended + 1 end
  local result = measure.time(n, function() floor.spawn(task, n) end)
  measure.expect("coroutines that ended", ended, 2 * n)
  return result
end

workloads["panic"] = function(n)
  local times = measure.rounds(n + 10)
  local caught = 0
  local result = measure.time(times, function()
    for _ = 1, times do
      if floor.traced(measure.deep, n, floor.raise) == "x" then caught = caught + 1 end
    end
  end)
  measure.expect("errors caught", caught, 2 * times)
  return result
end

workloads["defer"] = function(n)
  local count = 0
  local defer = floor.defer
  local function release() count = count + 1 end
  local function block()
    for _ = 1, measure.PER_BLOCK do defer(release) end
  end
  local blocks = n // measure.PER_BLOCK
  local result = measure.time(blocks * measure.PER_BLOCK, function()
    for _ = 1, blocks do floor.frame(block) end
  end)
  measure.expect("deferred calls", count, 2 * blocks * measure.PER_BLOCK)
  return result
end

measure.main(workloads)
