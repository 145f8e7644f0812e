--- Programs for the recorder's specs: what a seed gives is the same each time.

local co = require "coropanic"
local helpers = require "spec.helpers"

local programs = {}

--- What a task of a program does in a step. (n: random numbers, world: what the tasks share)
local STEPS = {
  function() co.yield() end,
  function(n) co.sleep(n(20) / 1000) end,
  function(n, world) co.pcall(co.with_timeout, n(5) / 1000, world.channel.send, world.channel, n(9)) end,
  function(n, world) co.pcall(co.with_timeout, n(5) / 1000, world.channel.recv, world.channel) end,
  function(n, world)
    local _ <close> = world.mutex:guard()
    if n(2) == 1 then co.sleep(0.001) end
  end,
  function(n, world) co.select(n(5) / 1000, world.channel, { world.other, 1 }) end,
  function(n, world)
    local child = world.spawn(n(3))
    if n(2) == 1 then co.pcall(child.join, child) end
  end,
  function(n, world)
    local child = world.spawn(n(3))
    if n(3) == 1 then co.yield() end
    child:cancel "enough"
  end,
  function(n, world)
    co.pcall(co.scope, function(s)
      for _ = 1, n(3) do s:spawn(world.body(n(2))) end
      if n(3) == 1 then error "scope" end
    end)
  end,
  function() co.pcall(co.with_timeout, 0.002, co.sleep, 1) end,
  function() co.call(function() co.defer(function() co.recover() end) error "recovered" end) end,
  function(n) co.trace.span("step", function() if n(2) == 1 then co.yield() end end) end,
  function(n) co.trace.event("event " .. n(3)) end,
  function(n, world) if n(4) == 1 then world.spawn(0) error "task" end end,
  function(n, world) co.spawn_with({ detached_trace = true }, world.body(n(2))) end,
}

--- Runs the program of a seed under the virtual clock.
---@param seed integer
---@param size integer?  # tasks that main spawns
function programs.run(seed, size)
  local n = helpers.random(seed)
  local world = { channel = co.chan(2), other = co.chan(), mutex = co.mutex() }
  function world.body(steps)
    return function()
      for _ = 1, steps do STEPS[n(#STEPS)](n, world) end
    end
  end
  function world.spawn(steps)
    return co.spawn(world.body(steps))
  end
  local options = { clock = "virtual", seed = seed, unhandled = function() end }
  co.run_with(options, function()
    for _ = 1, size or 1 + n(6) do world.spawn(n(6)) end
    co.spawn_with({ daemon = true, name = "daemon" }, function()
      for _ = 1, 20 do co.sleep(0.01) end
    end)
  end)
end

return programs
