local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

local context = co.context
local background = context.background

--- The results of `fn` as a task of its own.
local function in_task(fn, ...) return co.spawn(fn, ...):await() end

describe("co.ctx", function()
  it("is the background in a task that was given none", function()
    helpers.run(function() assert.equal(background(), co.ctx()) end)
  end)

  it("is the background outside tasks", function() assert.equal(background(), co.ctx()) end)

  co_it("is inherited by child tasks, and theirs", seeded, function()
    local ctx = context.with_value(background(), "user", "ann")
    local seen = co.with(ctx, in_task, in_task, function() return co.ctx():value "user" end)
    assert.equal("ann", seen)
  end)

  co_it("is the one that spawn_with gives", seeded, function()
    local ctx = context.with_cancel(background())
    local task = co.spawn_with({ context = ctx }, co.ctx)
    assert.equal(ctx, task:await())
    assert.equal(background(), co.ctx())
  end)

  co_it("stays the same when the context ends", seeded, function()
    local ctx, cancel = context.with_cancel(background())
    co.spawn_with({ context = ctx }, function()
      cancel()
      assert.equal(ctx, co.ctx())
      assert.equal("context canceled", co.ctx():err())
    end):join()
  end)
end)

describe("co.with", function()
  co_it("calls the function with its arguments under the context, and returns its results", seeded, function()
    local ctx = context.with_value(background(), "user", "ann")
    local function body(...) return co.ctx():value "user", ... end
    local results = table.pack(co.with(ctx, body, nil, "b", nil))
    assert.same({ n = 4, "ann", nil, "b", nil }, results)
  end)

  co_it("has the old context again afterwards", seeded, function()
    co.with(context.with_value(background(), "a", 1), function() end)
    assert.equal(background(), co.ctx())
  end)

  co_it("has the old context again after a panic", seeded, function()
    local record = helpers.record_of(co.with, context.with_value(background(), "a", 1), co.panic, "x")
    assert.equal("x", record.value)
    assert.equal(background(), co.ctx())
  end)

  co_it("may be nested", seeded, function()
    local outer = context.with_value(background(), "a", 1)
    co.with(outer, function()
      co.with(context.with_value(co.ctx(), "b", 2), function()
        assert.same({ 1, 2 }, { co.ctx():value "a", co.ctx():value "b" })
      end)
      assert.equal(outer, co.ctx())
    end)
  end)

  co_it("runs the function in a frame of its own", function()
    local lines, say = helpers.log()
    co.with(background(), function()
      co.defer(say, "deferred")
      say "body"
    end)
    say "after"
    assert.same({ "body", "deferred", "after" }, lines)
  end)

  co_it("does not wait for tasks that the function spawns: it is no scope", seeded, function()
    local lines, say = helpers.log()
    co.scope(function()
      co.with(context.with_value(background(), "a", 1), function()
        co.spawn(function()
          co.sleep(1)
          say("child", co.ctx():value "a")
        end)
      end)
      say "after"
    end)
    assert.same({ "after", "child 1" }, lines)
  end)

  it("leaves the tasks that the function spawns to the scope around it", function()
    local lines, say = helpers.log()
    helpers.run(function()
      co.scope(function()
        co.with(background(), function()
          co.spawn(function()
            co.sleep(1)
            say "child"
          end)
        end)
        say "after"
      end)
      say "after the scope"
    end)
    assert.same({ "after", "child", "after the scope" }, lines)
  end)

  it("outside a task is an error", function()
    local _, err = pcall(co.with, background(), function() end)
    helpers.assert_contains("'with' outside a task: start one with co.run or co.spawn", err)
  end)

  co_it("asks for a context and a function", seeded, function()
    local record = helpers.record_of(co.with, "a", print)
    helpers.assert_contains("bad argument #1 to 'with' (context expected, got string)", record.message)
    record = helpers.record_of(co.with, background(), "a")
    helpers.assert_contains("bad argument #2 to 'with'", record.message)
  end)
end)

describe("co.with, when its context ends", function()
  co_it("unwinds the function where it waits and panics with the cause", seeded, function()
    local lines, say = helpers.log()
    co.scope(function()
      local ctx, cancel = context.with_cancel(background())
      co.spawn(function()
        co.sleep(1)
        cancel "stop"
      end)
      local record = helpers.record_of(co.with, ctx, function()
        co.sleep(100)
        say "never"
      end)
      assert.equal(1, co.now())
      assert.equal("cancelled", record.kind)
      assert.equal("stop", record.value)
    end)
    assert.same({}, lines)
  end)

  co_it("has the identical cause for its value", seeded, function()
    local cause = {}
    local ctx, cancel = context.with_cancel(background())
    co.spawn(cancel, cause)
    assert.equal(cause, helpers.record_of(co.with, ctx, co.sleep, 100).value)
  end)

  co_it("panics with the text of err when no cause was given", seeded, function()
    local ctx, cancel = context.with_cancel(background())
    co.spawn(cancel)
    assert.equal("context canceled", helpers.record_of(co.with, ctx, co.sleep, 100).value)
  end)

  co_it("panics with kind timeout when that was a deadline", seeded, function()
    local record = helpers.record_of(co.with, context.with_timeout(background(), 2), co.sleep, 100)
    assert.equal(2, co.now())
    assert.equal("timeout", record.kind)
    assert.equal("context deadline exceeded", record.value)
  end)

  co_it("lets the task live on", seeded, function()
    local task = co.spawn(function()
      co.pcall(co.with, context.with_timeout(background(), 1), co.sleep, 100)
      co.sleep(1)
      return "alive", co.now()
    end)
    assert.same({ "alive", 2.0 }, { task:await() })
    assert.equal("done", task:status())
  end)

  co_it("can be recovered around it", seeded, function()
    local recovered
    co.call(function()
      co.defer(function() recovered = co.recover() end)
      co.with(context.with_timeout(background(), 1, "slow"), co.sleep, 100)
    end)
    assert.equal("slow", recovered)
  end)

  co_it("can not be recovered inside it", seeded, function()
    local recovered = "nothing yet"
    local record = helpers.record_of(co.with, context.with_timeout(background(), 1), function()
      co.defer(function() recovered = co.recover() end)
      co.sleep(100)
    end)
    assert.is_nil(recovered)
    assert.equal("timeout", record.kind)
  end)

  co_it("runs the function's deferred calls, shielded: they may suspend", seeded, function()
    local lines, say = helpers.log()
    co.pcall(co.with, context.with_timeout(background(), 1), function()
      co.defer(say, "outer")
      co.call(function()
        co.defer(function()
          co.sleep(5)
          say "inner"
        end)
        co.sleep(100)
      end)
    end)
    assert.equal(6, co.now())
    assert.same({ "inner", "outer" }, lines)
  end)

  co_it("raises at the next suspension point what was swallowed before", seeded, function()
    local swallowed = 0
    local record = helpers.record_of(co.with, context.with_timeout(background(), 1), function()
      for _ = 1, 3 do
        swallowed = swallowed + (pcall(co.sleep, 100) and 0 or 1)
      end
      co.sleep(100)
    end)
    assert.equal(3, swallowed)
    assert.equal("timeout", record.kind)
    assert.equal(1, co.now())
  end)

  co_it("raises nothing in a function that does not suspend any more", seeded, function()
    local ctx, cancel = context.with_cancel(background())
    assert.equal("result", co.with(ctx, function()
      cancel()
      return "result"
    end))
    co.sleep(1)
  end)

  co_it("raises it at once when the context has ended before, if the function suspends", function()
    local lines, say = helpers.log()
    local ctx, cancel = context.with_cancel(background())
    cancel "gone"
    local record = helpers.record_of(co.with, ctx, function()
      say "before"
      co.yield()
      say "never"
    end)
    assert.equal("gone", record.value)
    assert.same({ "before" }, lines)
  end)

  co_it("unwinds to the co.with whose context has ended, not further", seeded, function()
    local outer = context.with_cancel(background())
    local result = co.with(outer, function()
      local inner = context.with_timeout(co.ctx(), 1, "inner")
      return helpers.record_of(co.with, inner, co.sleep, 100).value
    end)
    assert.equal("inner", result)
  end)

  co_it("unwinds through inner ones to the outer whose context has ended", seeded, function()
    local lines, say = helpers.log()
    co.scope(function()
      local outer = context.with_timeout(background(), 1, "outer")
      local record = helpers.record_of(co.with, outer, function()
        say(co.pcall(co.with, context.with_cancel(co.ctx()), co.sleep, 100))
      end)
      assert.equal("outer", record.value)
    end)
    assert.same({}, lines)
  end)

  co_it("cancels the tasks that the function has spawned under it", seeded, function()
    local child
    co.pcall(co.with, context.with_timeout(background(), 1, "slow"), function()
      child = co.spawn(co.sleep, 100)
      co.sleep(100)
    end)
    local _, record = child:join()
    assert.same({ "timeout", "deadline", "slow" },
      { record.kind, record.cancellation.source, record.cancellation.reason })
  end)
end)

describe("spawn_with{context=}", function()
  co_it("cancels the task when the context is cancelled, for its cause", seeded, function()
    local ctx, cancel = context.with_cancel(background())
    local task = co.spawn_with({ context = ctx }, co.sleep, 100)
    co.yield()
    cancel "stop"
    local _, record = task:join()
    assert.equal(0, co.now())
    assert.equal("cancelled", task:status())
    assert.same({ "cancelled", "parent", "stop" },
      { record.kind, record.cancellation.source, record.cancellation.reason })
  end)

  co_it("times it out when the deadline passes", seeded, function()
    local task = co.spawn_with({ context = context.with_timeout(background(), 2) }, co.sleep, 100)
    local _, record = task:join()
    assert.equal(2, co.now())
    assert.equal("cancelled", task:status())
    assert.same({ "timeout", "deadline", "context deadline exceeded" },
      { record.kind, record.cancellation.source, record.cancellation.reason })
  end)

  co_it("lets a task whose context has ended never begin", seeded, function()
    local lines, say = helpers.log()
    co.scope(function()
      local ctx, cancel = context.with_cancel(background())
      cancel "gone"
      local task = co.spawn_with({ context = ctx }, say, "never")
      local _, record = task:join()
      assert.equal("cancelled", task:status())
      assert.equal("gone", record.cancellation.reason)
    end)
    assert.same({}, lines)
  end)

  co_it("runs the task's deferred calls, which may suspend", seeded, function()
    local lines, say = helpers.log()
    co.spawn_with({ context = context.with_timeout(background(), 1) }, function()
      co.defer(function()
        co.sleep(3)
        say(co.now())
      end)
      co.sleep(100)
    end):join()
    assert.same({ "4" }, lines)
  end)

  co_it("ends the tasks that the task has spawned as well", function()
    local grandchild
    co.spawn_with({ context = context.with_timeout(background(), 1) }, function()
      grandchild = co.spawn(co.sleep, 100)
    end)
    co.yield()
    co.yield()
    assert.equal("timeout", select(2, grandchild:join()).kind)
    assert.equal(1, co.now())
  end)

  co_it("with a context that nothing can end takes the task out of the spawner's", seeded, function()
    local survivor
    co.pcall(co.with, context.with_timeout(background(), 1), function()
      local ctx = context.without_cancel(co.ctx())
      survivor = co.spawn_with({ context = ctx }, function()
        co.sleep(5)
        return "survived"
      end)
      co.sleep(100)
    end)
    assert.equal("survived", survivor:await())
  end)

  co_it("holds the context: its deadline comes though nobody else refers to it", seeded, function()
    local task = co.spawn_with({ context = context.with_timeout(background(), 2) }, co.sleep, 100)
    collectgarbage()
    collectgarbage()
    assert.equal("timeout", select(2, task:join()).kind)
  end)

  co_it("leaves no timer when the task has ended before", seeded, function()
    co.spawn_with({ context = context.with_timeout(background(), 100) }, co.yield):join()
    for _ = 1, 4 do
      collectgarbage()
    end
    assert.is_nil(co.timeout())
  end)

  co_it("asks for a context", seeded, function()
    local record = helpers.record_of(co.spawn_with, { context = 1 }, print)
    helpers.assert_contains("context", record.message)
    helpers.assert_contains("got number", record.message)
  end)
end)
