-- What a parked task occupies, by what it holds.

local co = require "coropanic"
local measure = require "peers.measure"

local workloads = {}

local function nothing() end

local function park() co.sleep(math.huge) end

local guarded = co.func(park)

local PLAIN = { daemon = true }

local function holding(task)
  return function() co.spawn_with(PLAIN, task) end
end

-- What each spawns parks at once. `first` and `second` are channels that all of them share.
local holdings = {
  lua = function() return holding(park) end,
  c = function()
    return function() co.spawn_with(PLAIN, co.sleep, math.huge) end
  end,
  defer = function()
    return holding(function()
      co.defer(nothing)
      park()
    end)
  end,
  func = function()
    return holding(function()
      guarded()
      nothing() -- the call above is none that replaces this function
    end)
  end,
  scope = function() return holding(function() co.scope(park) end) end,
  timeout = function() return holding(function() co.with_timeout(1e6, park) end) end,
  channel = function() return holding(function() co.chan():recv() end) end,
  select = function()
    local first, second = co.chan(), co.chan()
    return holding(function() co.select(nil, first, second) end)
  end,
  name = function()
    local named = { daemon = true, name = "worker" }
    return function() co.spawn_with(named, park) end
  end,
  attributes = function()
    return function() co.spawn_with({ daemon = true, attributes = { customer = 1 } }, park) end
  end,
  span = function()
    co.trace.on_span(nothing) -- otherwise nobody hears of it, and none is made
    return holding(function() co.trace.span("work", park) end)
  end,
}

local function memory(n, case, size)
  return co.run(function()
    local spawn = holdings[case or "lua"]()
    local before = size()
    for _ = 1, n do spawn() end
    co.yield()
    local stats = co.stats()
    measure.expect("parked tasks", stats.live - stats.ready, n + 1)
    return { operations = n, bytes = size() - before }
  end)
end

function workloads.memory(n, _, case) return memory(n, case, measure.heap) end

function workloads.memory_resident(n, _, case) return memory(n, case, measure.resident) end

return workloads
