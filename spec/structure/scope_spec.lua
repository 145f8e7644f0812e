local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

--- Sleeps, then says so.
local function sleeper(say, seconds, word)
  co.sleep(seconds)
  say(word)
end

describe("co.scope", function()
  co_it("calls the function with the scope and returns its results, nils included", seeded, function()
    local results = table.pack(co.scope(function(s) return type(s.spawn), nil, "c", nil end))
    assert.same({ n = 4, "function", nil, "c", nil }, results)
  end)

  co_it("runs the function in the calling task", seeded, function()
    local task = co.current()
    co.scope(function() assert.equal(task, co.current()) end)
  end)

  co_it("returns when all its tasks have ended", seeded, function()
    local lines, say = helpers.log()
    co.scope(function(s)
      s:spawn(sleeper, say, 2, "two")
      s:spawn(sleeper, say, 1, "one")
      say "body"
    end)
    say "after"
    assert.same({ "body", "one", "two", "after" }, lines)
  end)

  co_it("returns at once when it has none", seeded, function()
    local before = co.stats().switches
    co.scope(function() end)
    assert.equal(before, co.stats().switches)
  end)

  co_it("waits for the deferred calls of its tasks", seeded, function()
    local lines, say = helpers.log()
    co.scope(function(s)
      s:spawn(function() co.defer(sleeper, say, 1, "deferred") end)
    end)
    say "after"
    assert.same({ "deferred", "after" }, lines)
  end)

  co_it("runs the body's deferred calls when the body ends, before it waits", seeded, function()
    local lines, say = helpers.log()
    co.scope(function(s)
      co.defer(say, "deferred")
      s:spawn(sleeper, say, 1, "child")
      say "body"
    end)
    assert.same({ "body", "deferred", "child" }, lines)
  end)

  co_it("lets a deferred call of the body set the results", seeded, function()
    assert.equal("set", co.scope(function()
      co.defer(function() co.set_results "set" end)
      return "returned"
    end))
  end)

  co_it("can be nested: the inner one waits for its own", seeded, function()
    local lines, say = helpers.log()
    co.scope(function(outer)
      outer:spawn(sleeper, say, 5, "outer child")
      co.scope(function(inner) inner:spawn(sleeper, say, 1, "inner child") end)
      say "between"
    end)
    assert.same({ "inner child", "between", "outer child" }, lines)
  end)

  co_it("works in tasks of a scope, and in theirs", seeded, function()
    local lines, say = helpers.log()
    local function nest(depth)
      co.scope(function(s)
        if depth > 0 then
          s:spawn(nest, depth - 1)
        end
      end)
      say(depth)
    end
    nest(3)
    assert.same({ "0", "1", "2", "3" }, lines)
  end)

  co_it("works in a deferred call", seeded, function()
    local lines, say = helpers.log()
    co.call(function()
      co.defer(co.scope, function(s) s:spawn(sleeper, say, 1, "child") end)
    end)
    say "after"
    assert.same({ "child", "after" }, lines)
  end)

  it("outside a task is an error", function()
    local _, err = pcall(co.scope, function() end)
    helpers.assert_contains("'scope' outside a task: start one with co.run or co.spawn", err)
  end)

  co_it("asks for a function", seeded, function()
    helpers.assert_contains("bad argument #1 to 'scope'", helpers.record_of(co.scope, 1).message)
  end)

  co_it("has room for ten thousand tasks", function()
    local count = 0
    co.scope(function(s)
      for _ = 1, 10000 do
        s:spawn(function()
          co.yield()
          count = count + 1
        end)
      end
    end)
    assert.equal(10000, count)
  end)
end)

describe("scope:spawn", function()
  co_it("gives a task that can be awaited", seeded, function()
    co.scope(function(s)
      assert.equal(3, s:spawn(function(a, b) return a + b end, 1, 2):await())
    end)
  end)

  co_it("makes the task a child of the one that spawns", seeded, function()
    co.scope(function(s)
      s:spawn_with({ name = "outer" }, function()
        assert.equal("outer", s:spawn(function() end).parent.name)
      end)
    end)
  end)

  co_it("knows where it was spawned", seeded, function()
    co.scope(function(s)
      local task = s:spawn(function() end)
      assert.equal(helpers.here(-1), task.spawned_at)
    end)
  end)

  co_it("can be called by anybody while the scope is open, also from outside it", function()
    local lines, say = helpers.log()
    local scope
    co.spawn(function()
      scope:spawn(sleeper, say, 5, "guest")
    end)
    co.scope(function(s)
      scope = s
      co.yield()
    end)
    say "after"
    assert.same({ "guest", "after" }, lines)
  end)

  co_it("by a task of the scope keeps it open while that waits", seeded, function()
    local lines, say = helpers.log()
    co.scope(function(s)
      s:spawn(function() s:spawn(sleeper, say, 1, "grandchild") end)
    end)
    say "after"
    assert.same({ "grandchild", "after" }, lines)
  end)

  co_it("after the end of the scope is an error", seeded, function()
    local scope
    co.scope(function(s) scope = s end)
    local record = helpers.record_of(scope.spawn, scope, print)
    helpers.assert_contains("'spawn' on a scope that has ended", record.message)
    record = helpers.record_of(scope.spawn_with, scope, {}, print)
    helpers.assert_contains("'spawn_with' on a scope that has ended", record.message)
  end)

  co_it("in a scope that was cancelled gives a task that never begins", seeded, function()
    local lines, say = helpers.log()
    co.scope(function()
      co.scope(function(s)
        s:cancel()
        local task = s:spawn(say, "never")
        co.defer(function() task:join() end)
      end)
    end)
    assert.same({}, lines)
  end)
end)

describe("scope:spawn_with", function()
  co_it("takes the options of co.spawn_with, then the function and its arguments", seeded, function()
    co.scope(function(s)
      local task = s:spawn_with({ name = "adder", attributes = { n = 1 } }, math.max, 1, 2)
      assert.equal("adder", task.name)
      assert.equal(1, task.attributes.n)
      assert.equal(2, task:await())
    end)
  end)

  co_it("refuses options that do not exist", seeded, function()
    co.scope(function(s)
      local record = helpers.record_of(s.spawn_with, s, { nmae = "a" }, print)
      helpers.assert_contains("unknown option 'nmae'", record.message)
    end)
  end)

  co_it("makes daemons, which are cancelled when all others have ended", seeded, function()
    local lines, say = helpers.log()
    local daemon
    co.scope(function(s)
      daemon = s:spawn_with({ daemon = true }, function()
        co.defer(say, "daemon's deferred")
        co.sleep(100)
      end)
      s:spawn(sleeper, say, 2, "child")
    end)
    assert.equal(2, co.now())
    assert.equal("scope", select(2, daemon:join()).cancellation.source)
    assert.same({ "child", "daemon's deferred" }, lines)
  end)

  co_it("makes daemons, which may end before the others", seeded, function()
    local lines, say = helpers.log()
    co.scope(function(s)
      s:spawn_with({ daemon = true }, say, "daemon")
      s:spawn(sleeper, say, 2, "child")
    end)
    assert.same({ "daemon", "child" }, lines)
  end)

  co_it("keeps a task of another context in the scope: it is waited for", seeded, function()
    local lines, say = helpers.log()
    co.scope(function(s)
      s:spawn_with({ context = co.context.background() }, sleeper, say, 1, "child")
    end)
    say "after"
    assert.same({ "child", "after" }, lines)
  end)
end)

describe("co.spawn", function()
  co_it("in the body joins the scope", seeded, function()
    local lines, say = helpers.log()
    co.scope(function() co.spawn(sleeper, say, 1, "child") end)
    say "after"
    assert.same({ "child", "after" }, lines)
  end)

  co_it("in a task of the scope, and in what that spawns, joins it too", seeded, function()
    local lines, say = helpers.log()
    co.scope(function(s)
      s:spawn(co.spawn, co.spawn, sleeper, say, 1, "great-grandchild")
    end)
    say "after"
    assert.same({ "great-grandchild", "after" }, lines)
  end)

  co_it("joins the innermost scope", seeded, function()
    local lines, say = helpers.log()
    co.scope(function()
      co.scope(function() co.spawn(sleeper, say, 1, "inner") end)
      say "between"
      co.spawn(sleeper, say, 1, "outer")
    end)
    assert.same({ "inner", "between", "outer" }, lines)
  end)

  it("after the scope joins nothing", function()
    local lines, say = helpers.log()
    helpers.run(function()
      co.scope(function() end)
      co.spawn(sleeper, say, 1, "free")
      say "main"
    end)
    assert.same({ "main", "free" }, lines)
  end)

  it("under a context that does not descend from the scope's leaves it", function()
    local lines, say = helpers.log()
    helpers.run(function()
      co.scope(function()
        co.spawn_with({ context = co.context.background() }, sleeper, say, 1, "free")
      end)
      say "after"
    end)
    assert.same({ "after", "free" }, lines)
  end)

  co_it("under a context that descends from the scope's stays in it", seeded, function()
    local lines, say = helpers.log()
    co.scope(function()
      local ctx = co.context.with_value(co.ctx(), "a", 1)
      co.spawn_with({ context = ctx }, sleeper, say, 1, "child")
    end)
    say "after"
    assert.same({ "child", "after" }, lines)
  end)
end)

describe("scope:cancel", function()
  co_it("cancels the tasks, with scope for their source, and the scope returns normally", seeded, function()
    local a, b
    local result = co.scope(function(s)
      a, b = s:spawn(co.sleep, 100), s:spawn(co.sleep, 100)
      co.yield()
      s:cancel "enough"
      return "result"
    end)
    assert.equal("result", result)
    assert.equal(0, co.now())
    for _, task in ipairs { a, b } do
      local _, record = task:join()
      assert.same({ "cancelled", "scope", "enough" },
        { record.kind, record.cancellation.source, record.cancellation.reason })
    end
  end)

  co_it("cuts the body at its next suspension point; the scope then returns nothing", seeded, function()
    local lines, say = helpers.log()
    local results = table.pack(co.scope(function(s)
      co.defer(say, "deferred")
      s:cancel()
      say "before"
      co.yield()
      say "never"
      return "result"
    end))
    assert.equal(0, results.n)
    say "after"
    co.yield()
    assert.same({ "before", "deferred", "after" }, lines)
  end)

  co_it("by a task of the scope cuts the body where it waits", seeded, function()
    co.scope(function(s)
      s:spawn(function() s:cancel() end)
      co.sleep(100)
    end)
    assert.equal(0, co.now())
  end)

  co_it("waits for the deferred calls of what it cancels", function()
    local lines, say = helpers.log()
    co.scope(function(s)
      s:spawn(function()
        co.defer(sleeper, say, 5, "deferred")
        co.sleep(100)
      end)
      co.yield()
      s:cancel()
    end)
    say "after"
    assert.same({ "deferred", "after" }, lines)
  end)

  co_it("reaches the scopes further in", seeded, function()
    local lines, say = helpers.log()
    co.scope(function()
      local inner
      co.scope(function(outer)
        outer:spawn(function()
          co.scope(function(s) inner = s:spawn(co.sleep, 100) end)
          say "never"
        end)
        co.sleep(1)
        outer:cancel()
      end)
      assert.equal("cancelled", inner:status())
      assert.equal(1, co.now())
    end)
    assert.same({}, lines)
  end)

  co_it("does not reach the scopes further out", seeded, function()
    co.scope(function(outer)
      local sibling = outer:spawn(co.sleep, 5)
      co.scope(function(inner)
        inner:cancel()
        co.yield()
      end)
      assert.is_true((sibling:join()))
    end)
  end)

  co_it("does nothing the second time, or after the end", seeded, function()
    local scope
    co.scope(function(s)
      scope = s
      s:cancel "first"
      s:cancel "second"
      local task = s:spawn(print)
      co.defer(function()
        assert.equal("cancelled", select(2, task:join()).kind)
      end)
    end)
    scope:cancel()
    co.yield()
  end)

  co_it("keeps its first reason", seeded, function()
    local task
    co.scope(function(s)
      task = s:spawn(co.sleep, 100)
      s:cancel "first"
      s:cancel "second"
    end)
    assert.equal("first", select(2, task:join()).cancellation.reason)
  end)

  co_it("ends the context under which the scope's code runs", seeded, function()
    local ctx
    co.scope(function(s)
      ctx = co.ctx()
      assert.is_nil(ctx:err())
      s:cancel "enough"
    end)
    assert.same({ "context canceled", "enough" }, { ctx:err(), ctx:cause() })
  end)

  co_it("ends that context also if nobody has asked for it before", seeded, function()
    local ctx
    co.scope(function(s)
      s:cancel "enough"
      ctx = co.ctx()
    end)
    assert.same({ "context canceled", "enough" }, { ctx:err(), ctx:cause() })
  end)

  co_it("ends the contexts of the scopes further in, asked for or not", seeded, function()
    local ctx
    co.scope(function(s)
      co.with(co.context.with_value(co.ctx(), "a", 1), co.scope, function()
        co.scope(function()
          s:cancel "enough"
          ctx = co.ctx()
        end)
      end)
    end)
    assert.same({ "context canceled", "enough", 1 }, { ctx:err(), ctx:cause(), ctx:value "a" })
  end)

  co_it("is level-triggered for the body: pcall swallows it for one suspension point", seeded, function()
    local swallowed = 0
    co.scope(function(s)
      s:cancel()
      for _ = 1, 3 do
        swallowed = swallowed + (pcall(co.sleep, 100) and 0 or 1)
      end
    end)
    assert.equal(3, swallowed)
    co.sleep(1)
    assert.equal(1, co.now())
  end)
end)

describe("a task that is cancelled in a scope", function()
  co_it("is no panic: the scope and the siblings go on", seeded, function()
    local result = co.scope(function(s)
      local victim, sibling = s:spawn(co.sleep, 100), s:spawn(co.sleep, 5)
      co.yield()
      victim:cancel()
      assert.is_true((sibling:join()))
      return "result"
    end)
    assert.equal("result", result)
  end)

  co_it("and runs the scope takes its tasks with it, then unwinds", function()
    local lines, say = helpers.log()
    local child
    local owner = co.spawn(function()
      co.defer(say, "owner's deferred")
      co.scope(function(s)
        child = s:spawn(function()
          co.defer(sleeper, say, 1, "child's deferred")
          co.sleep(100)
        end)
      end)
      say "never"
    end)
    co.yield()
    co.yield()
    owner:cancel "stop"
    owner:join()
    local _, record = child:join()
    assert.same({ "cancelled", "parent" }, { record.kind, record.cancellation.source })
    assert.same({ "child's deferred", "owner's deferred" }, lines)
  end)

  co_it("and runs the body takes them with it as well", function()
    local child
    local owner = co.spawn(function()
      co.scope(function(s)
        child = s:spawn(co.sleep, 100)
        co.sleep(100)
      end)
    end)
    co.yield()
    co.yield()
    owner:cancel "stop"
    assert.equal("stop", select(2, owner:join()).cancellation.reason)
    assert.equal("parent", select(2, child:join()).cancellation.source)
    assert.equal(0, co.now())
  end)
end)

describe("a goexit", function()
  co_it("of a task of the scope leaves the others alone", seeded, function()
    local sibling
    co.scope(function(s)
      s:spawn(co.goexit)
      sibling = s:spawn(co.sleep, 1)
    end)
    assert.equal("done", sibling:status())
  end)

  co_it("of the body cancels the tasks, waits for them, and ends the task", function()
    local lines, say = helpers.log()
    local child
    local owner = co.spawn(function()
      co.scope(function(s)
        child = s:spawn(function()
          co.defer(sleeper, say, 1, "child's deferred")
          co.sleep(100)
        end)
        co.yield()
        co.goexit()
      end)
    end)
    owner:join()
    assert.same({ "exited", "cancelled" }, { owner:status(), child:status() })
    assert.same({ "child's deferred" }, lines)
  end)
end)

describe("a task that waits in a scope", function()
  co_it("waits on the scope, whose text names the tasks", function()
    local owner = co.spawn(co.scope, function(s)
      s:spawn_with({ name = "a" }, co.sleep, 1)
      s:spawn_with({ name = "b" }, co.sleep, 1)
    end)
    co.yield()
    assert.equal('scope (2 tasks: "a", "b")', tostring(owner.waiting_on))
    owner:join()
  end)

  co_it("tells so in co.dump", function()
    local owner = co.spawn(co.scope, function(s) s:spawn_with({ name = "a" }, co.sleep, 1) end)
    co.yield()
    helpers.assert_contains('waiting on end of scope (1 task: "a")', co.dump())
    owner:join()
  end)

  co_it("names those that refuse to end when it was cancelled", function()
    local owner = co.spawn(co.scope, function(s)
      s:spawn_with({ name = "willing" }, co.sleep, 100)
      s:spawn_with({ name = "stubborn" }, function()
        co.defer(co.sleep, 10)
        co.sleep(100)
      end)
      co.yield()
      s:cancel()
    end)
    co.sleep(1)
    local text = tostring(owner.waiting_on)
    helpers.assert_contains("cancelled", text)
    helpers.assert_contains('"stubborn"', text)
    helpers.assert_lacks('"willing"', text)
    owner:join()
  end)

  it("is in the record of a deadlock", function()
    local record = helpers.record_of_run(function()
      co.scope(function(s)
        s:spawn_with({ name = "forgotten" }, co.await, function() end)
      end)
    end)
    assert.equal("deadlock", record.kind)
    helpers.assert_contains('"forgotten"', record.parked[1].waiting_on)
  end)
end)

describe("a scope", function()
  co_it("tells what it is by tostring, before, during and after", seeded, function()
    local scope
    co.scope(function(s)
      scope = s
      assert.matches("^scope ", tostring(s))
      s:spawn_with({ name = "a" }, co.yield)
      assert.equal('scope (1 task: "a")', tostring(s))
    end)
    assert.equal("scope (ended)", tostring(scope))
  end)

  co_it("has the cause of what ended it first, asked for before or after that", seeded, function()
    for _, early in ipairs { true, false } do
      local function cause_of(...)
        local around, cancel = co.context.with_cancel(co.ctx())
        local order, cause = { ... }, nil
        pcall(co.with, around, function()
          co.scope(function()
            co.scope(function(s)
              local ctx = early and co.ctx()
              for _, what in ipairs(order) do
                if what == "scope" then s:cancel(what) else cancel(what) end
              end
              cause = (ctx or co.ctx()):cause()
            end)
          end)
        end)
        return cause
      end
      assert.equal("scope", cause_of("scope", "around"))
      assert.equal("around", cause_of("around", "scope"))
      assert.equal("scope", cause_of "scope")
      assert.equal("around", cause_of "around")
    end
  end)

  co_it("has the deadline of the time-out around it, whoever asks for it, and when", seeded, function()
    local deadline, late
    co.with_timeout(1, function()
      deadline = co.ctx():deadline()
      co.scope(function()
        co.scope(function() late = co.ctx() end)
      end)
    end)
    assert.equal(deadline, late:deadline())
    assert.equal("context canceled", late:err())
  end)

  co_it("in a deferred call of unwinding code has a context that does not end with it", seeded, function()
    local err, deadline
    co.with_timeout(1, function()
      co.defer(function()
        co.scope(function()
          err, deadline = co.ctx():err() or false, co.ctx():deadline() or false
        end)
      end)
      co.sleep(2)
    end)
    assert.same({ false, false }, { err, deadline })
  end)

  co_it("leaves nothing behind", seeded, function()
    local kept = setmetatable({}, { __mode = "k" })
    for _ = 1, 10 do
      co.scope(function(s)
        kept[s] = true
        kept[s:spawn(co.yield)] = true
        kept[co.ctx()] = true
      end)
    end
    for _ = 1, 4 do
      collectgarbage()
    end
    assert.is_nil(next(kept))
  end)

  co_it("in a coroutine of the task's own is an error that says what to do", seeded, function()
    local _, err = coroutine.resume(coroutine.create(function() co.scope(function() end) end))
    helpers.assert_contains("inside a coroutine", helpers.message_of(err))
  end)

  co_it("checks its methods' self", seeded, function()
    co.scope(function(s)
      local record = helpers.record_of(s.spawn, print)
      helpers.assert_contains("calling 'spawn' on bad self (scope expected", record.message)
    end)
  end)

  co_it("gives a task that a deferred call spawns in it its time, though it is cancelled", seeded, function()
    local joined
    co.scope(function(s)
      co.defer(function() joined = { s:spawn(function() return 42 end):join() } end)
      s:cancel()
      co.sleep(1)
    end)
    assert.same({ true, 42 }, joined)
  end)
end)
