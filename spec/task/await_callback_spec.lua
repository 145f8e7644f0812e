local co = require "coropanic"
local helpers = require "spec.helpers"

describe("co.await", function()
  it("parks the task until the callback comes, and returns its arguments, nils included", function()
    helpers.run(function()
      local results = table.pack(co.await(function(resume)
        co.spawn(function()
          co.sleep(1)
          resume(nil, "b", nil)
        end)
      end))
      assert.same({ n = 3, nil, "b", nil }, results)
    end)
  end)

  it("returns at once when the callback comes before the function returns", function()
    helpers.run(function()
      local before = co.stats().switches
      local results = table.pack(co.await(function(resume) resume("a", nil) end))
      assert.same({ n = 2, "a", nil }, results)
      assert.equal(before, co.stats().switches)
    end)
  end)

  it("returns nothing when the callback has no arguments", function()
    helpers.run(function()
      assert.equal(0, select("#", co.await(function(resume) resume() end)))
      assert.equal(0, select("#", co.await(function(resume) co.spawn(resume) end)))
    end)
  end)

  it("lets other tasks run", function()
    local lines, say = helpers.log()
    helpers.run(function()
      co.await(function(resume)
        co.spawn(function()
          say "another"
          resume()
        end)
      end)
      say "resumed"
    end)
    assert.same({ "another", "resumed" }, lines)
  end)

  it("keeps to the first call of the callback", function()
    helpers.run(function()
      local first = co.await(function(resume)
        resume "first"
        resume "second"
      end)
      assert.equal("first", first)
    end)
  end)

  it("is not disturbed by a callback that comes again later", function()
    helpers.run(function()
      local again
      co.await(function(resume)
        again = resume
        co.spawn(resume, "first")
      end)
      local task = co.spawn(function() again "late" end)
      assert.equal("second", co.await(function(resume)
        co.spawn(function()
          task:join()
          resume "second"
        end)
      end))
    end)
  end)

  it("panics when its function does", function()
    helpers.run(function()
      local record = helpers.record_of(co.await, function() co.panic "x" end)
      assert.equal("x", record.value)
      co.sleep(1)
    end)
  end)

  it("returns the values in the order of the callbacks, whatever the order of the calls", function()
    local lines, say = helpers.log()
    helpers.run(function()
      local callbacks = {}
      for i = 1, 3 do
        co.spawn(function() say(i, co.await(function(resume) callbacks[i] = resume end)) end)
      end
      co.yield()
      for _, i in ipairs { 2, 3, 1 } do
        callbacks[i]("value " .. i)
      end
    end)
    assert.same({ "2 value 2", "3 value 3", "1 value 1" }, lines)
  end)

  it("works in a deferred call", function()
    local lines, say = helpers.log()
    helpers.run(function()
      co.defer(function() say(co.await(function(resume) co.spawn(resume, "resumed") end)) end)
    end)
    assert.same({ "resumed" }, lines)
  end)

  it("may suspend in its function", function()
    helpers.run(function()
      assert.equal("result", co.await(function(resume)
        co.sleep(1)
        resume "result"
      end))
    end)
  end)

  it("can be cancelled; the callback may still come", function()
    helpers.run(function()
      local callback
      local task = co.spawn(co.await, function(resume) callback = resume end)
      co.yield()
      task:cancel()
      task:join()
      callback "late"
      assert.equal("cancelled", task:status())
    end)
  end)

  it("does not keep a callback that will never come from being collected", function()
    local collected = false
    helpers.run(function()
      co.await(function(resume)
        local held = setmetatable({}, { __gc = function() collected = true end })
        co.spawn(function()
          resume(held)
          held = nil
        end)
      end)
      collectgarbage()
      collectgarbage()
    end)
    assert.is_true(collected)
  end)

  it("is resumed by a host between two steps", function()
    local callback
    local task = co.spawn(function() return co.await(function(resume) callback = resume end) end)
    co.step(0)
    assert.equal("await", task.waiting_on)
    callback "from the host"
    assert.equal("ready", task:status())
    co.step(0)
    assert.same({ true, "from the host" }, { task:join() })
  end)

  it("is resumed from a coroutine of somebody else", function()
    helpers.run(function()
      assert.equal("result", co.await(function(resume)
        coroutine.wrap(function() resume "result" end)()
      end))
    end)
  end)
end)
