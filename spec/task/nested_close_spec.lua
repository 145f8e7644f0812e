--- co.coroutine inside tasks whose coroutines are closed by functions of Lua that the module does not guard.

local co = require "coropanic"
local helpers = require "spec.helpers"

local coroutine, run = co.coroutine, helpers.run

describe("coroutines between a task and the one that it waits in", function()
  it("are closed by code that has kept Lua's own function: the task goes on with an error", function()
    run(function()
      local ch, mutex = co.chan(), co.mutex()
      mutex:lock()
      local waits = {
        function() co.sleep(5) end,
        function() ch:recv() end,
        function() mutex:lock() end,
        function() co.select(nil, ch, { co.chan(), 1 }) end,
      }
      local tasks = {}
      for i, wait in ipairs(waits) do
        local middle = coroutine.create(function() coroutine.wrap(wait)() end)
        tasks[i] = co.spawn(function() return coroutine.resume(middle) end)
        co.yield()
        helpers.unguarded.close(middle)
      end
      collectgarbage()
      collectgarbage()
      co.dump()
      ch:try_send "for nobody"
      mutex:unlock()
      co.sleep(6)
      for _, task in ipairs(tasks) do
        task:cancel()
        local ok, resumed = task:join()
        assert.is_false(ok and resumed)
      end
    end)
  end)

  it("are closed so: nobody may resume or close the one that the task has waited in", function()
    run(function()
      local refusal = "this coroutine belongs to a task of coropanic: "
        .. "only its scheduler may resume or close it"
      local inner = coroutine.create(function() co.sleep(5) end)
      local middle = coroutine.create(function() coroutine.resume(inner) end)
      local task = co.spawn(coroutine.resume, middle)
      co.yield()
      helpers.unguarded.close(middle)
      task:join()
      for _ = 1, 2 do
        assert.same({ false, refusal }, { coroutine.resume(inner) })
        assert.same({ false, refusal }, { coroutine.close(inner) })
        assert.same({ true, nil, refusal }, { helpers.unguarded.resume(inner) })
        collectgarbage()
        co.yield()
      end
    end)
  end)

  it("are left when the task's own is closed: deferred calls may suspend, in the task's trace", function()
    run(function()
      local headers = { traceparent = "00-" .. ("a"):rep(32) .. "-" .. ("b"):rep(16) .. "-01" }
      local inner = co.trace.continue(headers, function() return coroutine.wrap(co.sleep) end)
      local thread, seen
      local task = co.spawn(function()
        thread = coroutine.running()
        co.defer(function()
          co.sleep(1)
          seen = co.trace.current().trace_id
        end)
        inner(5)
      end)
      local trace_id = task.trace_id
      co.yield()
      helpers.unguarded.close(thread)
      local _, record = task:join()
      helpers.assert_contains("closed or resumed by somebody else", record.message)
      assert.same({ trace_id, trace_id }, { record.trace_id, seen })
    end)
  end)
end)
