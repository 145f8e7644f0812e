local co = require "coropanic"
local resilience = require "coropanic.resilience"

local function handler(record) print("given up:", record.kind) end

local stopped = co.event()

local function flush() stopped:wait() end --> C110

local function wait_for_bank()
  stopped:wait() --> C110
end

co.run_with({ clock = "virtual", unhandled = handler }, function()
  co.spawn_with({ daemon = true }, function()
    co.defer(flush)
    co.sleep(60)
  end)
  local task = co.spawn_with({ daemon = true }, co.sleep, 60)
  co.spawn_with({ daemon = true }, function()
    co.defer(task.join, task) --> C110
    co.defer(co.sleep, math.huge) --> C110
    co.sleep(60)
  end)
  local boundary = resilience.boundary { fallback = function() end }
  co.spawn_with({ daemon = true }, function()
    boundary:run(function(b)
      b:compensate(function() wait_for_bank() end)
      co.sleep(60)
    end)
  end)
  co.yield()
end)
--[[ prints
given up:	deadlock
given up:	deadlock
given up:	deadlock
]]
