local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

--- The record of the panic that a scope with this body raises.
local function record_of_scope(body) return helpers.record_of(co.scope, body) end

--- Panics with `value` after `seconds`.
local function panic_after(seconds, value)
  co.sleep(seconds)
  co.panic(value)
end

--- Is cancelled while it sleeps, and panics with `value` on its way out.
local function panic_when_cancelled(value)
  co.defer(co.panic, value)
  co.sleep(100)
end

describe("the panic of a task in a scope", function()
  co_it("is raised again in the caller, with the identical value", seeded, function()
    local value = {}
    local record = record_of_scope(function(s) s:spawn(co.panic, value) end)
    assert.equal(value, record.value)
  end)

  co_it("keeps its kind", seeded, function()
    assert.equal("error", record_of_scope(function(s) s:spawn(error, "x") end).kind)
  end)

  co_it("is the cause: a record of the caller's own has the task's", seeded, function()
    local child
    local record = record_of_scope(function(s)
      child = s:spawn_with({ name = "child" }, co.panic, "x")
    end)
    assert.equal("main", record.task.name)
    assert.equal("child", record.cause.task.name)
    assert.equal(select(2, child:join()), record.cause)
    assert.is_nil(record.cause.cause)
  end)

  co_it("can be recovered in the caller", seeded, function()
    local recovered
    co.call(function()
      co.defer(function() recovered = co.recover() end)
      co.scope(function(s) s:spawn(co.panic, "x") end)
    end)
    assert.equal("x", recovered)
    co.sleep(1)
  end)

  co_it("can not be recovered in the body: it comes after that has ended", seeded, function()
    local recovered = "nothing yet"
    local record = record_of_scope(function(s)
      co.defer(function() recovered = co.recover() end)
      s:spawn(co.panic, "x")
      co.sleep(100)
    end)
    assert.is_nil(recovered)
    assert.equal("x", record.value)
  end)

  co_it("cancels the siblings, whose deferred calls run first", seeded, function()
    local lines, say = helpers.log()
    local sibling
    local record = record_of_scope(function(s)
      sibling = s:spawn(function()
        co.defer(function()
          co.sleep(5)
          say "sibling's deferred"
        end)
        co.sleep(100)
      end)
      s:spawn(panic_after, 1, "x")
    end)
    say(record.value, co.now())
    assert.equal("scope", select(2, sibling:join()).cancellation.source)
    assert.same({ "sibling's deferred", "x 6" }, lines)
  end)

  co_it("tells the siblings which task panicked", seeded, function()
    local sibling
    record_of_scope(function(s)
      sibling = s:spawn(co.sleep, 100)
      s:spawn_with({ name = "culprit" }, panic_after, 1, "x")
    end)
    helpers.assert_contains('"culprit"', select(2, sibling:join()).cancellation.reason)
  end)

  co_it("cuts the body where it waits", seeded, function()
    local lines, say = helpers.log()
    record_of_scope(function(s)
      co.defer(say, "deferred")
      s:spawn(panic_after, 1, "x")
      co.sleep(100)
      say "never"
    end)
    assert.equal(1, co.now())
    assert.same({ "deferred" }, lines)
  end)

  co_it("leaves the caller uncancelled", seeded, function()
    record_of_scope(function(s)
      s:spawn(co.panic, "x")
      co.sleep(100)
    end)
    co.sleep(2)
    assert.equal(2, co.now())
  end)

  co_it("comes though the body returns, and its results are dropped", seeded, function()
    local results = table.pack(co.pcall(co.scope, function(s)
      s:spawn(panic_after, 1, "x")
      return "result"
    end))
    assert.equal(2, results.n)
    assert.is_false(results[1])
    assert.equal("x", results[2].value)
  end)

  co_it("is that of tasks spawned by tasks too, and of plain co.spawn", seeded, function()
    local record = record_of_scope(function() co.spawn(co.spawn, co.panic, "x") end)
    assert.equal("x", record.value)
  end)

  co_it("of a daemon counts as well", seeded, function()
    local record = record_of_scope(function(s)
      s:spawn_with({ daemon = true }, co.panic, "x")
      co.sleep(1)
    end)
    assert.equal("x", record.value)
  end)

  co_it("passes up through scopes, cause within cause", seeded, function()
    local record = record_of_scope(function(outer)
      outer:spawn_with({ name = "middle" }, co.scope, function(inner)
        inner:spawn_with({ name = "innermost" }, co.panic, "x")
      end)
    end)
    assert.equal("x", record.value)
    assert.equal("middle", record.cause.task.name)
    assert.equal("innermost", record.cause.cause.task.name)
  end)

  it("is reported once, when nobody recovers it", function()
    local reports = helpers.run_reporting(function()
      co.spawn_with({ name = "owner" }, co.scope, function(s) s:spawn(co.panic, "x") end)
    end)
    assert.equal(1, #reports)
    assert.equal("owner", reports[1].task.name)
    assert.equal("x", reports[1].record.value)
  end)

  it("is reported to nobody when the caller recovers it", function()
    local reports = helpers.run_reporting(function()
      record_of_scope(function(s) s:spawn(co.panic, "x") end)
      co.sleep(10)
    end)
    assert.same({}, reports)
  end)

  it("ends the run of a main that does not recover it", function()
    local record = helpers.record_of_run(function()
      co.scope(function(s) s:spawn(co.panic, "x") end)
    end)
    assert.equal("x", record.value)
    assert.equal("main", record.task.name)
  end)
end)

describe("several panics in a scope", function()
  co_it("are the first as the cause, the others in suppressed", function()
    local record = record_of_scope(function(s)
      s:spawn_with({ name = "second" }, panic_when_cancelled, "b")
      s:spawn_with({ name = "third" }, panic_when_cancelled, "c")
      s:spawn_with({ name = "first" }, panic_after, 1, "a")
    end)
    assert.equal("a", record.value)
    assert.equal("first", record.cause.task.name)
    assert.equal(2, #record.suppressed)
    assert.same({ "b", "c" }, { record.suppressed[1].value, record.suppressed[2].value })
    assert.same({ "second", "third" },
      { record.suppressed[1].task.name, record.suppressed[2].task.name })
  end)

  co_it("are those of scopes in scopes too, the inner first", function()
    local record = record_of_scope(function(outer)
      outer:spawn(panic_when_cancelled, "outer")
      co.scope(function(inner)
        inner:spawn(panic_when_cancelled, "inner")
        co.yield()
        co.panic "body"
      end)
    end)
    assert.equal("body", record.value)
    assert.equal(2, #record.suppressed)
    assert.same({ "inner", "outer" }, { record.suppressed[1].value, record.suppressed[2].value })
  end)

  co_it("are an empty list when there is only one", seeded, function()
    assert.same({}, record_of_scope(function(s) s:spawn(co.panic, "x") end).suppressed)
  end)

  co_it("do not hold tasks that were merely cancelled", seeded, function()
    local record = record_of_scope(function(s)
      s:spawn(co.sleep, 100)
      s:spawn(panic_after, 1, "x")
    end)
    assert.same({}, record.suppressed)
  end)

  it("are reported to nobody else", function()
    local reports = helpers.run_reporting(function()
      record_of_scope(function(s)
        s:spawn(panic_when_cancelled, "b")
        s:spawn(panic_after, 1, "a")
      end)
      co.sleep(10)
    end)
    assert.same({}, reports)
  end)

  co_it("are bounded, and say how many were left out", seeded, function()
    local record = record_of_scope(function(s)
      for i = 1, 500 do
        s:spawn(panic_when_cancelled, i)
      end
      s:spawn(panic_after, 1, "first")
    end)
    local suppressed = record.suppressed
    assert.is_true(#suppressed > 0 and #suppressed < 500)
    assert.equal(500, #suppressed + suppressed.omitted)
  end)

  co_it("are in the report and in the JSON form", seeded, function()
    local record = record_of_scope(function(s)
      s:spawn(panic_when_cancelled, "the second")
      s:spawn(panic_after, 1, "the first")
    end)
    local text = tostring(record)
    helpers.assert_contains("the first", text)
    helpers.assert_contains("the second", text)
    assert.equal("the second", record:to_table().suppressed[1].value)
  end)
end)

describe("a panic of the body", function()
  co_it("is raised when the tasks have been cancelled and have ended", function()
    local lines, say = helpers.log()
    local child
    local record = record_of_scope(function(s)
      child = s:spawn(function()
        co.defer(function()
          co.sleep(5)
          say "child's deferred"
        end)
        co.sleep(100)
      end)
      co.yield()
      co.panic "x"
    end)
    say(record.value)
    assert.equal("scope", select(2, child:join()).cancellation.source)
    assert.same({ "child's deferred", "x" }, lines)
  end)

  co_it("is the body's own record, without a cause", seeded, function()
    local value = {}
    local record = record_of_scope(function() co.panic(value) end)
    assert.equal(value, record.value)
    assert.is_nil(record.cause)
  end)

  co_it("has the panics of the tasks in suppressed", function()
    local record = record_of_scope(function(s)
      s:spawn(panic_when_cancelled, "child")
      co.yield()
      co.panic "body"
    end)
    assert.equal("body", record.value)
    assert.equal(1, #record.suppressed)
    assert.equal("child", record.suppressed[1].value)
  end)

  co_it("on its way out takes the place of the task's panic that ended it, which is suppressed",
    seeded, function()
    local record = record_of_scope(function(s)
      co.defer(co.panic, "body")
      s:spawn(panic_after, 1, "child")
      co.sleep(100)
    end)
    assert.equal("body", record.value)
    assert.equal("child", record.suppressed[1].value)
  end)

  co_it("can be recovered by its own deferred call: the scope goes on", seeded, function()
    local child
    local result = co.scope(function(s)
      co.defer(function()
        co.recover()
        co.set_results "recovered"
      end)
      child = s:spawn(co.sleep, 1)
      co.panic "x"
    end)
    assert.equal("recovered", result)
    assert.equal("done", child:status())
  end)
end)

describe("a task in a scope that somebody joins or awaits", function()
  co_it("gives its panic to the one who joins it, and the scope goes on", seeded, function()
    local sibling
    local result = co.scope(function(s)
      sibling = s:spawn(co.sleep, 5)
      local ok, record = s:spawn(panic_after, 1, "x"):join()
      assert.is_false(ok)
      assert.equal("x", record.value)
      return "result"
    end)
    assert.equal("result", result)
    assert.equal("done", sibling:status())
  end)

  co_it("gives it to the body that awaits it, which may recover it", seeded, function()
    local result = co.scope(function(s)
      local task = s:spawn(panic_after, 1, "x")
      local ok, record = co.pcall(task.await, task)
      return ok, record.value, record.cause.value
    end)
    assert.is_false(result)
  end)

  co_it("gives it to a sibling", seeded, function()
    local seen
    co.scope(function(s)
      local task = s:spawn(panic_after, 1, "x")
      s:spawn(function() seen = select(2, task:join()).value end)
    end)
    assert.equal("x", seen)
  end)

  co_it("gives it to somebody outside the scope", seeded, function()
    local task
    local outsider = co.spawn(function()
      return select(2, task:join()).value
    end)
    co.scope(function(s) task = s:spawn(panic_after, 1, "x") end)
    assert.equal("x", outsider:await())
  end)

  it("gives it to somebody outside though the scope ends before they run", function()
    for _, open in ipairs { co.scope, function(body) assert(co.with_timeout(50, body)) end } do
      helpers.run(function()
        local task
        local owner = co.spawn(open, function(s)
          task = (s and s.spawn or function(_, ...) return co.spawn(...) end)(s, panic_after, 1, "x")
          co.yield() -- the task's timer is the first
          co.sleep(1)
        end)
        co.yield()
        local _, record = task:join()
        assert.equal("x", record.value)
        assert.is_true(owner:join())
      end)
    end
  end)

  it("lets the scope end when somebody has come for the panic, in whatever order they go on", function()
    for seed = 1, 20 do
      local ended
      co.run_with({ clock = "virtual", seed = seed }, function()
        local task
        co.spawn(function()
          co.scope(function(s) task = s:spawn(panic_after, 1, "x") end)
          ended = co.now()
        end)
        co.sleep(0.5)
        for _ = 1, 2 do
          co.spawn(function() assert.is_false((task:join())) end)
        end
        co.sleep(100)
      end)
      assert.equal(1, ended)
    end
  end)

  co_it("has its panic raised by the scope that has waited for the joiner, if that is cancelled", function()
    local task, joiner
    local owner = co.spawn(co.scope, function(s)
      task = s:spawn(panic_after, 1, "x")
      co.yield()
      co.sleep(1)
      joiner:cancel()
    end)
    co.yield()
    joiner = co.spawn(function() task:join() end)
    local _, record = owner:join()
    assert.equal("x", record.value)
    assert.equal(1, co.now())
    assert.equal("cancelled", joiner:status())
  end)

  co_it("has its panic raised by the body when that awaits and does not recover", seeded, function()
    local sibling
    local record = record_of_scope(function(s)
      sibling = s:spawn(co.sleep, 100)
      s:spawn_with({ name = "child" }, panic_after, 1, "x"):await()
    end)
    assert.equal("x", record.value)
    assert.equal("child", record.cause.task.name)
    assert.equal("cancelled", sibling:status())
    assert.equal(1, co.now())
  end)

  co_it("has its panic raised by the scope if the joiner went away before", seeded, function()
    local record = record_of_scope(function(s)
      local task = s:spawn(panic_after, 2, "x")
      task:join(1)
    end)
    assert.equal("x", record.value)
  end)

  co_it("has its panic raised by the scope at once if the joiner is cancelled before it runs", function()
    local failing
    local record = record_of_scope(function(s)
      failing = s:spawn(panic_after, 1, "x")
      local joiner = s:spawn(function() failing:join() end)
      s:spawn(function()
        co.sleep(1)
        joiner:cancel()
      end)
      s:spawn(co.sleep, 100)
    end)
    assert.equal("x", record.value)
    assert.equal(1, co.now())
    assert.equal("panicked", failing:status())
  end)

  co_it("loses no panic when the joiner is cancelled before it runs", seeded, function()
    local record = record_of_scope(function(s)
      local joiner
      local task = s:spawn(function()
        co.sleep(1)
        joiner:cancel()
        co.panic "x"
      end)
      joiner = s:spawn(task.join, task)
    end)
    assert.equal("x", record.value)
  end)
end)

describe("a task of the scope that is awaited by name", function()
  co_it("gives the record to a later join too, after the scope has raised it", seeded, function()
    local task
    local record = record_of_scope(function(s) task = s:spawn(co.panic, "x") end)
    assert.equal(record.cause, select(2, task:join()))
  end)
end)

describe("a cancellation from outside", function()
  co_it("gives way to a panic of a task on its way out: it is not lost", function()
    local owner = co.spawn(co.scope, function(s) s:spawn(panic_when_cancelled, "child") end)
    co.yield()
    co.yield()
    owner:cancel()
    local _, record = owner:join()
    assert.equal("child", record.value)
    assert.equal("panicked", owner:status())
  end)

  co_it("of a scope whose tasks end quietly leaves the task cancelled", seeded, function()
    local owner = co.spawn(co.scope, function(s) s:spawn(co.sleep, 100) end)
    co.yield()
    co.yield()
    owner:cancel()
    owner:join()
    assert.equal("cancelled", owner:status())
  end)
end)

describe("scope:cancel", function()
  co_it("does not silence the panic of a task on its way out", function()
    local record = record_of_scope(function(s)
      s:spawn(panic_when_cancelled, "child")
      co.yield()
      s:cancel()
    end)
    assert.equal("child", record.value)
  end)
end)
