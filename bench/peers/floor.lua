-- The floor: a bare C loop of lua_resume and lua_yield (bench/floor.c), the least that a switch can cost.

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

measure.main(workloads)
