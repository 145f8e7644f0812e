-- What scripts do to tasks behind the scheduler's back where coroutines can be closed.

local co = require "coropanic"
local helpers = require "spec.helpers"

--- Runs `fn` with panics that nobody claims collected.
local function run_collecting(fn)
  local records = {}
  co.run_with({ clock = "virtual", unhandled = function(record) records[#records + 1] = record end }, fn)
  return records
end

describe("a callback", function()
  it("may be resumed after its task was closed from outside and collected", function()
    local resume
    coroutine.wrap(function()
      local thread
      local task = co.spawn(function()
        thread = coroutine.running()
        co.await(function(r) resume = r end)
      end)
      co.step()
      helpers.unguarded.close(thread)
      task:cancel()
      co.step()
      co.run(function() assert.is_false((task:join())) end)
    end)()
    for _ = 1, 5 do collectgarbage() end
    assert.is_false(resume(1)) -- nobody takes it
    assert.is_false(resume(1))
  end)

  it("does not end another wait of its task", function()
    local slept
    run_collecting(function()
      local resume, thread
      local task = co.spawn(function()
        co.defer(function()
          local start = co.now()
          co.sleep(5)
          slept = co.now() - start
        end)
        thread = coroutine.running()
        co.await(function(r) resume = r end)
      end)
      co.yield()
      helpers.unguarded.close(thread)
      task:cancel()
      co.yield()
      resume(1)
      task:join()
    end)
    assert.equal(5, slept)
  end)
end)
