-- Panics in finalizers of tables, which older Luas do not have.

local co = require "coropanic"

describe("a panic in a finalizer", function()
  it("does not reach the code that it interrupts", function()
    local finalized = false
    co.call(function()
      setmetatable({}, {
        __gc = function()
          finalized = true
          co.panic "x"
        end,
      })
      collectgarbage()
      collectgarbage()
    end)
    assert.is_true(finalized)
  end)
end)

describe("co.recover", function()
  it("stops no panic from a finalizer that runs as a deferred call is called", function()
    finally(function()
      collectgarbage("incremental", 200, 100, 13) -- as Lua begins
      collectgarbage "restart"
    end)
    local calls_by_driver = 0
    local function finalize()
      if debug.getinfo(2, "f").func == co.call then calls_by_driver = calls_by_driver + 1 end
      co.recover()
    end
    collectgarbage "stop"
    collectgarbage("incremental", 200, 400, 40) -- a step is a whole cycle
    -- Lua's stack grows twice for so many arguments and variables, and the second time the collector may run.
    for width = 20, 200, 5 do
      local names = {}
      for i = 1, width do names[i] = "a" .. i end
      local deferred = load("local " .. table.concat(names, ",") .. " = ...")
      assert.is_false(coroutine.wrap(function()
        return pcall(co.call, function()
          co.defer(deferred, table.unpack(names))
          co.defer(function()
            collectgarbage() -- the stack shrinks
            setmetatable({}, { __gc = finalize })
            collectgarbage "restart" -- the next allocation is the collector's turn
          end)
          error "x"
        end)
      end)())
      collectgarbage "stop"
    end
assert.is_true(calls_by_driver > 0)
  end)
end)
