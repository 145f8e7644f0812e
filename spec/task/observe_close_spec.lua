-- In the C module a task has its coroutine before it starts; an observer may take that away.
local co = require "coropanic"
local helpers = require "spec.helpers"

describe("an observer", function()
  it("may cancel a task that is about to start, or take its coroutine away from it", function()
    local threads = {}
    co.on_start(function() threads[co.current().name] = coroutine.running() end)
    local stop = co.observe({ "start" }, function(_, task)
      if task.name == "cancelled" then task:cancel "enough" end
      if task.name == "taken" then helpers.unguarded.close(threads.taken) end
    end)
    helpers.run(function()
      local cancelled = co.spawn_with({ name = "cancelled" }, co.sleep, 10)
      local taken = co.spawn_with({ name = "taken" }, function(...) return ... end, 1, 2)
      local _, record = cancelled:join()
      assert.equal("enough", record.reason)
      local ok, loss = taken:join()
      assert.is_false(ok)
      helpers.assert_contains("closed or resumed by somebody else", loss.message)
    end)
    stop()
    co.on_start(nil)
  end)
end)
