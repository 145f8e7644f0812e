-- What parked tasks hold: their deferred calls, the arguments of these, and the frames around them.

local co = require "coropanic"
local helpers = require "spec.helpers"

--- Runs `fn` in many tasks that park, and returns how many bytes of Lua memory each costs.
local function bytes_of_parked(fn)
  local COUNT = 4096
  return helpers.run(function()
    local function parked()
      local tasks = {}
      for i = 1, COUNT do tasks[i] = co.spawn(fn) end
      co.yield()
      collectgarbage()
      collectgarbage()
      local bytes = collectgarbage "count" * 1024
      for i = 1, COUNT do tasks[i]:cancel() end
      for i = 1, COUNT do tasks[i]:join() end
      return bytes
    end
    parked() -- what grows with the first ones stays
    collectgarbage()
    collectgarbage()
    local before = collectgarbage "count" * 1024
    return (parked() - before) / COUNT
  end)
end

describe("a parked task", function()
  local function nothing() end
  local bare = bytes_of_parked(function() co.sleep(1000) end)

  it("costs little more with a deferred call", function()
    local held = bytes_of_parked(function()
      co.defer(nothing)
      co.sleep(1000)
    end)
    assert.is_true(held - bare < 256, tostring(held - bare))
  end)

  it("costs little more in a function of co.func", function()
    local fn = co.func(co.sleep)
    local held = bytes_of_parked(function() fn(1000) end)
    assert.is_true(held - bare < 320, tostring(held - bare))
  end)
end)

describe("many parked tasks", function()
  it("keep their deferred calls apart, whatever the order in which they end", function()
    helpers.run(function()
      local COUNT = 3000
      local tasks, ran = {}, {}
      for i = 1, COUNT do
        tasks[i] = co.spawn(function()
          for k = 1, i % 5 do
            co.defer(function(...) ran[i] = (ran[i] or "") .. table.concat({ ... }, " ") .. ";" end, i, k)
          end
          co.sleep(1000)
        end)
      end
      co.yield()
      local i = 1
      for _ = 1, COUNT do
        i = (i + 1012) % COUNT + 1
        tasks[i]:cancel()
        tasks[i]:join()
      end
      for n = 1, COUNT do
        local expected = {}
        for k = n % 5, 1, -1 do expected[#expected + 1] = n .. " " .. k .. ";" end
        assert(ran[n] == (expected[1] and table.concat(expected)), n)
      end
    end)
  end)

  it("let go of what they have held", function()
    local kept = setmetatable({}, { __mode = "k" })
    helpers.run(function()
      local tasks = {}
      for i = 1, 500 do
        tasks[i] = co.spawn(function()
          local object = {}
          kept[object] = true
          co.defer(function(...) return ... end, object, nil, object)
          co.sleep(1000)
        end)
      end
      co.yield()
      for i = 1, 500 do tasks[i]:cancel() end
      for i = 1, 500 do tasks[i]:join() end
      tasks = nil -- luacheck: ignore
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(kept))
    end)
  end)
end)
