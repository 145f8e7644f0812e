-- The to-be-closed variables of a task that is unwound by force.

local co = require "coropanic"
local endless = require "spec.structure.endless"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)

describe("a task that swallows its cancellation for ever", function()
  for loop_name, loop in pairs(endless.LOOPS) do
    for request_name, request in pairs(endless.REQUESTS) do
      for _, wait_name in ipairs { "sleep", "recv", "condition" } do
        co_it(("by %s around %s, after %s, has its variables closed before its deferred calls run"):format(
          loop_name, wait_name, request_name), function()
          local log = {}
          local context, cancel = co.context.with_cancel(co.context.background())
          local task = co.spawn_with({ context = context }, function()
            co.defer(table.insert, log, "deferred")
            local _ <close> = setmetatable({}, { __close = function() table.insert(log, "closed") end })
            loop(endless.WAITS[wait_name](), function() end)
          end)
          co.sleep(1)
          request.ask(task, cancel)
          local ended, record = task:join(100)
          assert.same({ false, true }, { ended, record.forced })
          assert.same({ "closed", "deferred" }, log)
        end)
      end
    end
  end

  co_it("has its variables closed, and a panic of that is how it ends", function()
    local released = false
    local task = co.spawn(function()
      co.defer(function()
        co.sleep(1)
        released = true
      end)
      local _ <close> = setmetatable({}, { __close = function() error("closing", 0) end })
      while true do pcall(co.sleep, 1e6) end
    end)
    co.yield()
    task:cancel()
    local _, record = task:join()
    assert.equal("closing", record.value)
    assert.equal("panicked", task:status())
    assert.is_true(record.chain[1].forced)
    assert.is_true(released)
  end)

  it("has the panics of what its generators close reported", function()
    local reported = helpers.run_reporting(function()
      local task = co.spawn(function()
        co.coroutine.wrap(function()
          local _ <close> = setmetatable({}, { __close = function() error("closing", 0) end })
          while true do pcall(co.sleep, 1e6) end
        end)()
      end)
      co.yield()
      task:cancel()
      task:join()
      assert.equal("cancelled", task:status())
    end)
    assert.equal(1, #reported)
    assert.equal("closing", reported[1].record.value)
  end)

  co_it("has the guards that it holds unlocked", function()
    local mutex, ch = co.mutex(), co.chan()
    local task = co.spawn(function()
      local _ <close> = mutex:guard()
      while true do pcall(ch.recv, ch) end
    end)
    co.yield()
    task:cancel()
    task:join()
    assert.is_true(mutex:try_lock())
  end)
end)
