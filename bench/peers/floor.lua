-- The floor: a bare C loop of lua_resume and lua_yield (bench/floor.c), the least that a switch can cost.

local floor = require "floor"
local measure = require "peers.measure"

local workloads = {}

function workloads.switch(n)
  local rounds = measure.rounds(n)
  local count = 0
  local ring = floor.ring(n, function(yield)
    yield()
    for _ = 1, rounds do yield() end
    count = count + 1
    yield()
  end)
  local watch = measure.watch "stopped"
  watch.start()
  floor.turn(ring, rounds)
  watch.stop()
  floor.turn(ring, 1)
  measure.expect("coroutines that came through", count, n)
  return watch.result(n * rounds)
end

measure.main(workloads)
