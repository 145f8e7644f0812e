local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

local context = co.context

describe("co.with_timeout, in time", function()
  co_it("returns true and the function's results, nils included", seeded, function()
    local results = table.pack(co.with_timeout(1, function() return nil, "b", nil end))
    assert.same({ n = 4, true, nil, "b", nil }, results)
  end)

  co_it("passes its arguments on", seeded, function()
    local results = table.pack(co.with_timeout(1, function(...) return ... end, nil, "b", nil))
    assert.same({ n = 4, true, nil, "b", nil }, results)
  end)

  it("runs the function in the calling task", function()
    helpers.run(function() assert.same({ true, co.current() }, { co.with_timeout(1, co.current) }) end)
  end)

  co_it("takes no more time than the function", seeded, function()
    co.with_timeout(10, co.sleep, 2)
    assert.equal(2, co.now())
  end)

  co_it("leaves no timer", seeded, function()
    co.with_timeout(10, co.sleep, 2)
    assert.is_nil(co.timeout())
  end)

  co_it("waits for the tasks that were spawned in it", seeded, function()
    local lines, say = helpers.log()
    assert.same({ true, "result" }, { co.with_timeout(10, function()
      co.spawn(function()
        co.sleep(2)
        say "child"
      end)
      return "result"
    end) })
    say "after"
    assert.same({ "child", "after" }, lines)
  end)

  co_it("of math.huge never ends", seeded, function()
    assert.is_true((co.with_timeout(math.huge, co.sleep, 10 ^ 6)))
  end)

  co_it("gives the function a context with the deadline", seeded, function()
    co.sleep(1)
    assert.same({ true, 6.0 }, { co.with_timeout(5, function() return co.ctx():deadline() end) })
    assert.is_nil(co.ctx():deadline())
  end)

  co_it("keeps the values of the context around it", seeded, function()
    local ctx = context.with_value(context.background(), "user", "ann")
    local _, user = co.with(ctx, co.with_timeout, 5, function() return co.ctx():value "user" end)
    assert.equal("ann", user)
  end)
end)

describe("co.with_timeout, when the time is over", function()
  co_it("unwinds the function and returns false and a record", seeded, function()
    local lines, say = helpers.log()
    co.scope(function()
      local results = table.pack(co.with_timeout(2, function()
        co.sleep(100)
        say "never"
      end))
      assert.equal(2, co.now())
      assert.equal(2, results.n)
      assert.is_false(results[1])
      assert.equal("timeout", results[2].kind)
    end)
    assert.same({}, lines)
  end)

  co_it("has a record that says so", seeded, function()
    local _, record = co.with_timeout(2, co.sleep, 100)
    assert.equal("deadline", record.cancellation.source)
    assert.equal("context deadline exceeded", record.cancellation.reason)
    assert.equal("context deadline exceeded", record.message)
    assert.equal("coropanic.timeout", record.error_code)
    assert.equal("main", record.task.name)
  end)

  co_it("has a record of where the function was", seeded, function()
    local at
    local _, record = co.with_timeout(2, function()
      at = helpers.here(1)
      co.sleep(100)
    end)
    helpers.assert_contains(at, tostring(record))
  end)

  co_it("lets the task go on, which can suspend", seeded, function()
    co.with_timeout(2, co.sleep, 100)
    co.sleep(1)
    assert.equal(3, co.now())
  end)

  co_it("runs the function's deferred calls, shielded", seeded, function()
    local lines, say = helpers.log()
    co.with_timeout(2, function()
      co.defer(say, "outer")
      co.call(function()
        co.defer(function()
          co.sleep(5)
          say("inner", co.recover())
        end)
        co.sleep(100)
      end)
    end)
    assert.equal(7, co.now())
    assert.same({ "inner nil", "outer" }, lines)
  end)

  co_it("is level-triggered inside, and over outside", seeded, function()
    local swallowed = 0
    local ok = co.with_timeout(2, function()
      for _ = 1, 3 do
        swallowed = swallowed + (pcall(co.sleep, 100) and 0 or 1)
      end
      co.sleep(100)
    end)
    assert.is_false(ok)
    assert.equal(3, swallowed)
    assert.equal(2, co.now())
  end)

  co_it("passes through co.pcall", seeded, function()
    local ok, record = co.with_timeout(2, co.pcall, co.sleep, 100)
    assert.is_false(ok)
    assert.equal("timeout", record.kind)
  end)

  co_it("cancels the tasks that were spawned in it, and waits for them", seeded, function()
    local lines, say = helpers.log()
    local child
    local ok = co.with_timeout(2, function()
      child = co.spawn(function()
        co.defer(function()
          co.sleep(5)
          say "child's deferred"
        end)
        co.sleep(100)
      end)
      co.sleep(100)
    end)
    say "after"
    assert.is_false(ok)
    local _, record = child:join()
    assert.same({ "timeout", "deadline" }, { record.kind, record.cancellation.source })
    assert.same({ "child's deferred", "after" }, lines)
  end)

  co_it("cancels them also while it waits for them, and still has the function's results", seeded, function()
    local child
    local ok, result = co.with_timeout(2, function()
      child = co.spawn(co.sleep, 100)
      return "result"
    end)
    assert.equal(2, co.now())
    assert.equal("timeout", select(2, child:join()).kind)
    assert.same({ true, "result" }, { ok, result })
  end)

  co_it("reaches scopes inside, and what they wait for", seeded, function()
    local child
    local ok = co.with_timeout(2, co.scope, function(s) child = s:spawn(co.sleep, 100) end)
    assert.is_false(ok)
    assert.equal(2, co.now())
    assert.equal("cancelled", child:status())
  end)

  co_it("of 0 ends the function at its first suspension point", seeded, function()
    local lines, say = helpers.log()
    local ok, record = co.with_timeout(0, function()
      say "before"
      co.yield()
      say "never"
    end)
    assert.is_false(ok)
    assert.equal("timeout", record.kind)
    assert.equal(0, co.now())
    assert.same({ "before" }, lines)
  end)

  co_it("of 0 does not touch a function that does not suspend", seeded, function()
    assert.same({ true, "result" }, { co.with_timeout(0, function() return "result" end) })
    co.yield()
  end)

  co_it("works again and again", seeded, function()
    for i = 1, 10 do
      assert.is_false((co.with_timeout(1, co.sleep, 100)))
      assert.equal(i, co.now())
    end
  end)

  co_it("ends a wait of each kind", seeded, function()
    local forever = co.spawn(co.sleep, 1000)
    for _, wait in ipairs {
      function() forever:join() end,
      function() forever:await() end,
      function() co.await(function() end) end,
      function() co.chan():recv() end,
      function() co.chan():send(1) end,
      function() co.select(nil, co.chan()) end,
    } do
      local start = co.now()
      assert.is_false((co.with_timeout(1, wait)))
      assert.equal(1, co.now() - start)
    end
    forever:cancel()
  end)

  co_it("is no panic: it counts as none", seeded, function()
    local before = co.stats()
    co.with_timeout(1, co.sleep, 100)
    local after = co.stats()
    assert.equal(before.unhandled, after.unhandled)
    assert.equal(before.cancelled, after.cancelled)
  end)
end)

describe("co.with_timeout, with a panic inside", function()
  co_it("lets it through", seeded, function()
    local value = {}
    local record = helpers.record_of(co.with_timeout, 10, co.panic, value)
    assert.equal(value, record.value)
    assert.equal("panic", record.kind)
  end)

  co_it("lets that of a task through, as a scope does", seeded, function()
    local record = helpers.record_of(co.with_timeout, 10, function()
      co.spawn_with({ name = "child" }, co.panic, "x")
      co.sleep(5)
    end)
    assert.equal("x", record.value)
    assert.equal("child", record.cause.task.name)
    assert.equal(0, co.now())
  end)

  co_it("lets one through that a deferred call raises on the way out", seeded, function()
    local record = helpers.record_of(co.with_timeout, 1, function()
      co.defer(co.panic, "x")
      co.sleep(100)
    end)
    assert.equal("x", record.value)
  end)

  co_it("goes on with the time-out when that one is recovered", seeded, function()
    local ok, record = co.with_timeout(1, function()
      co.defer(function() co.recover() end)
      co.defer(co.panic, "x")
      co.sleep(100)
    end)
    assert.is_false(ok)
    assert.equal("timeout", record.kind)
  end)

  co_it("lets a panic through whose deferred calls outlast the deadline", seeded, function()
    local record = helpers.record_of(co.with_timeout, 1, function()
      co.defer(co.sleep, 5)
      co.panic "x"
    end)
    assert.equal("x", record.value)
  end)
end)

describe("co.with_timeout, cancelled from outside", function()
  co_it("never returns false: the task unwinds", seeded, function()
    local lines, say = helpers.log()
    co.scope(function()
      local task = co.spawn(function()
        say(co.with_timeout(10, co.sleep, 100))
        say "never"
      end)
      co.yield()
      task:cancel "stop"
      local _, record = task:join()
      assert.same({ "cancelled", "explicit", "stop" },
        { record.kind, record.cancellation.source, record.cancellation.reason })
    end)
    assert.same({}, lines)
  end)

  co_it("in the very round of the deadline is a cancellation all the same", function()
    local lines, say = helpers.log()
    co.scope(function()
      local task
      co.spawn(function()
        co.sleep(2)
        task:cancel()
      end)
      task = co.spawn(function() say(co.with_timeout(2, co.sleep, 100)) end)
      task:join()
      assert.equal("cancelled", task:status())
    end)
    assert.same({}, lines)
  end)

  it("while deferred calls run because of the deadline ends the task after them", function()
    local lines, say = helpers.log()
    helpers.run(function()
      local task = co.spawn(function()
        co.with_timeout(1, function()
          co.defer(function()
            co.sleep(5)
            say "deferred"
          end)
          co.sleep(100)
        end)
        co.yield()
        say "never"
      end)
      co.sleep(2)
      task:cancel()
      task:join()
      assert.equal("cancelled", task:status())
    end)
    assert.same({ "deferred" }, lines)
  end)

  co_it("by a scope around it passes through", seeded, function()
    local lines, say = helpers.log()
    co.scope(function(s)
      s:spawn(function() s:cancel() end)
      say(co.with_timeout(10, co.sleep, 100))
    end)
    say "after"
    assert.same({ "after" }, lines)
  end)
end)

describe("co.with_timeout inside another", function()
  co_it("returns false alone when it fires first", seeded, function()
    local ok, inner = co.with_timeout(5, function()
      local inner = co.with_timeout(1, co.sleep, 100)
      co.sleep(1)
      return inner
    end)
    assert.same({ true, false }, { ok, inner })
    assert.equal(2, co.now())
  end)

  co_it("is unwound when the outer one fires first", seeded, function()
    local lines, say = helpers.log()
    co.scope(function()
      local ok, record = co.with_timeout(1, function()
        say(co.with_timeout(5, co.sleep, 100))
      end)
      assert.is_false(ok)
      assert.equal("timeout", record.kind)
      assert.equal(1, co.now())
    end)
    assert.same({}, lines)
  end)

  co_it("is unwound when both fire at once: the outer one wins", seeded, function()
    local lines, say = helpers.log()
    co.scope(function()
      local ok = co.with_timeout(1, function() say(co.with_timeout(1, co.sleep, 100)) end)
      assert.is_false(ok)
    end)
    assert.same({}, lines)
  end)

  co_it("can not have more time than the outer one", seeded, function()
    co.with_timeout(1, function()
      co.with_timeout(5, function() assert.equal(1, co.ctx():deadline()) end)
    end)
  end)

  co_it("is unwound from deferred calls of the inner too: the outer one has the last word", seeded, function()
    local inner_ok
    local ok = co.with_timeout(2, function()
      inner_ok = co.with_timeout(1, function()
        co.defer(co.sleep, 5)
        co.sleep(100)
      end)
      co.sleep(100)
    end)
    assert.is_false(ok)
    assert.is_false(inner_ok)
    assert.equal(6, co.now())
  end)

  co_it("many deep, ends at the one that fires", seeded, function()
    local function nest(depth)
      if depth == 0 then
        co.sleep(100)
      end
      local ok = co.with_timeout(depth, nest, depth - 1)
      return depth, ok
    end
    local ok, depth, inner_ok = co.with_timeout(50, nest, 10)
    assert.same({ true, 10, true }, { ok, depth, inner_ok })
    assert.equal(1, co.now())
  end)
end)

describe("co.with_timeout under a context", function()
  co_it("that ends before passes through it", seeded, function()
    local ctx = context.with_timeout(context.background(), 1, "outer")
    local record = helpers.record_of(co.with, ctx, co.with_timeout, 5, co.sleep, 100)
    assert.equal("outer", record.value)
    assert.equal("timeout", record.kind)
  end)

  co_it("that ends after returns false", seeded, function()
    local ctx = context.with_timeout(context.background(), 5)
    assert.is_false((co.with(ctx, co.with_timeout, 1, co.sleep, 100)))
    assert.equal(1, co.now())
  end)
end)

describe("co.with_timeout", function()
  co_it("asks for seconds and a function", seeded, function()
    local message = helpers.record_of(co.with_timeout, "soon", print).message
    helpers.assert_contains("bad argument #1 to 'with_timeout'", message)
    message = helpers.record_of(co.with_timeout, -1, print).message
    helpers.assert_contains("(seconds expected, got a negative number)", message)
    message = helpers.record_of(co.with_timeout, 1).message
    helpers.assert_contains("bad argument #2 to 'with_timeout'", message)
  end)

  it("outside a task is an error", function()
    local _, err = pcall(co.with_timeout, 1, function() end)
    helpers.assert_contains("'with_timeout' outside a task: start one with co.run or co.spawn", err)
  end)
end)

describe("the context of a time-out", function()
  local EXPIRED = "context deadline exceeded"

  co_it("ends when the time runs out", seeded, function()
    local ctx, child, began = nil, nil, co.now()
    local ok, record = co.with_timeout(1, function()
      ctx = co.ctx()
      child = co.context.with_cancel(ctx)
      co.sleep(5)
    end)
    assert.same({ false, "timeout" }, { ok, record.kind })
    assert.same({ EXPIRED, EXPIRED, began + 1 }, { ctx:err(), ctx:cause(), ctx:deadline() })
    assert.same({ EXPIRED, EXPIRED, began + 1 }, { child:err(), child:cause(), child:deadline() })
  end)

  co_it("has ended when it is asked for after that", seeded, function()
    local ctx, began = nil, co.now()
    co.with_timeout(1, function()
      co.defer(function() ctx = co.ctx() end)
      co.sleep(5)
    end)
    assert.same({ EXPIRED, EXPIRED, began + 1 }, { ctx:err(), ctx:cause(), ctx:deadline() })
  end)

  co_it("leaves no timer when the function has returned", seeded, function()
    for _ = 1, 2 do
      collectgarbage() -- of contexts that other specs have left
    end
    co.with_timeout(100, function() end)
    co.with_timeout(100, function() co.ctx() end)
    assert.is_nil(co.timeout())
  end)
end)
