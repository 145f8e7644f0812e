--- Loops over a channel that wait in their iterator, which those of Lua 5.1 can't.

local co = require "coropanic"
local helpers = require "spec.helpers"

local run, settle = helpers.run, helpers.settle

describe("for v in ch:iter()", function()
  it("ends when the channel is closed and drained", function()
    run(function()
      local ch = co.chan(2)
      co.spawn(function()
        for i = 1, 5 do
          ch:send(i)
        end
        ch:close()
      end)
      local received = {}
      for v in ch:iter() do
        received[#received + 1] = v
      end
      assert.same({ 1, 2, 3, 4, 5 }, received)
    end)
  end)

  it("ends when the channel is closed while it waits", function()
    run(function()
      local ch = co.chan()
      local task = co.spawn(function()
        for _ in ch:iter() do
          error "there is no value"
        end
        return "ended"
      end)
      settle()
      assert.equal(ch, task.waiting_on)
      ch:close()
      assert.equal("ended", task:await())
    end)
  end)

  for name, capacity in pairs { ["in the buffer"] = 1, ["handed over"] = 0 } do
    it(("refuses nil %s, and says what to use"):format(name), function()
      run(function()
        local ch = co.chan(capacity)
        co.spawn(function() ch:send(nil) end)
        local ok, err = pcall(function()
          for _ in ch:iter() do
            error "nil is no iteration"
          end
        end)
        assert.is_false(ok)
        helpers.assert_contains("use 'recv'", helpers.message_of(err))
      end)
    end)
  end

  it("may be shared by several loops, which get each value once", function()
    run(function()
      local ch = co.chan()
      local seen = {}
      local tasks = {}
      for i = 1, 3 do
        tasks[i] = co.spawn(function()
          for v in ch:iter() do
            seen[v] = (seen[v] or 0) + 1
          end
        end)
      end
      for v = 1, 30 do
        ch:send(v)
      end
      ch:close()
      for _, task in ipairs(tasks) do
        task:await()
      end
      for v = 1, 30 do
        assert.equal(1, seen[v])
      end
    end)
  end)
end)
