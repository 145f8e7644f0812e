-- Nothing keeps what a task has occupied that was cancelled in the midst of calls.

local co = require "coropanic"
local helpers = require "spec.helpers"

local function park() co.sleep(1e6) end

-- How a task can come to be parked below others' frames.
local WAYS = {
  ["a protected call in a frame"] = function() co.call(co.pcall, park) end,
  ["a frame in a protected call"] = function() co.pcall(co.call, park) end,
  ["protected calls in one another"] = function() co.pcall(co.pcall, co.pcall, park) end,
  ["a time-out"] = function() co.with_timeout(1e5, co.pcall, park) end,
  ["a scope"] = function()
    co.scope(function(s) s:spawn(co.pcall, park) end)
  end,
}

local function cancel_some(way, times)
  for _ = 1, times do
    helpers.run(function()
      for _ = 1, 20 do
        local task = co.spawn(way)
        co.yield()
        task:cancel()
        task:join()
      end
    end)
  end
  collectgarbage()
  collectgarbage()
  return collectgarbage "count"
end

describe("what a task occupied that was cancelled", function()
  for name, way in pairs(WAYS) do
    it("in " .. name .. " is freed", function()
      local before = cancel_some(way, 20)
      local after = cancel_some(way, 100)
      assert.is_true(after - before < 1000, ("%.0f KB more after 2,000 tasks"):format(after - before))
    end)
  end
end)
