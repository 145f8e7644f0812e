local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

describe("join", function()
  co_it("returns true and the task's results, nils included", seeded, function()
    local task = co.spawn(function() return nil, "b", nil end)
    assert.same({ n = 4, true, nil, "b", nil }, table.pack(task:join()))
  end)

  co_it("returns true alone when the task returned nothing", seeded, function()
    assert.same({ n = 1, true }, table.pack(co.spawn(function() end):join()))
  end)

  co_it("returns false and the record of a task that panicked", seeded, function()
    local value = {}
    local results = table.pack(co.spawn(co.panic, value):join())
    assert.equal(2, results.n)
    assert.is_false(results[1])
    assert.equal(value, results[2].value)
  end)

  co_it("returns false and a record of kind cancelled for a cancelled task", seeded, function()
    local task = co.spawn(co.sleep, 100)
    co.yield()
    task:cancel()
    local ok, record = task:join()
    assert.is_false(ok)
    assert.equal("cancelled", record.kind)
  end)

  co_it("waits for the task's deferred calls", seeded, function()
    local lines, say = helpers.log()
    local task = co.spawn(function()
      co.defer(function()
        co.sleep(1)
        say "deferred"
      end)
    end)
    task:join()
    say "joined"
    assert.same({ "deferred", "joined" }, lines)
  end)

  co_it("returns at once when the task has ended", seeded, function()
    local task = co.spawn(function() return "result" end)
    co.sleep(1)
    local before = co.stats().switches
    assert.same({ true, "result" }, { task:join() })
    assert.equal(before, co.stats().switches)
  end)

  co_it("gives every joiner the same", seeded, function()
    local record_a, record_b
    co.scope(function()
      local task = co.spawn(function()
        co.sleep(1)
        co.panic "x"
      end)
      co.spawn(function() record_a = select(2, task:join()) end)
      co.spawn(function() record_b = select(2, task:join()) end)
    end)
    assert.equal("x", record_a.value)
    assert.equal(record_a, record_b)
  end)

  co_it("wakes joiners in the order in which they came", function()
    local lines, say = helpers.log()
    co.scope(function()
      local task = co.spawn(co.sleep, 1)
      for i = 1, 3 do
        co.spawn(function()
          task:join()
          say(i)
        end)
      end
    end)
    assert.same({ "1", "2", "3" }, lines)
  end)

  it("works outside tasks once the task has ended", function()
    local task
    helpers.run(function() task = co.spawn(function() return "result" end) end)
    assert.same({ true, "result" }, { task:join() })
  end)

  describe("with a time-out", function()
    co_it("returns false and nil when the time has passed", seeded, function()
      local task = co.spawn(co.sleep, 100)
      local start = co.now()
      assert.same({ n = 2, false, nil }, table.pack(task:join(2)))
      assert.equal(2, co.now() - start)
      task:cancel()
    end)

    co_it("leaves the task running, to be joined again", seeded, function()
      local task = co.spawn(function()
        co.sleep(10)
        return "result"
      end)
      task:join(2)
      assert.equal("waiting", task:status())
      assert.same({ true, "result" }, { task:join(20) })
    end)

    co_it("returns as soon as the task ends", seeded, function()
      local task = co.spawn(co.sleep, 1)
      local start = co.now()
      assert.is_true((task:join(100)))
      assert.equal(1, co.now() - start)
    end)

    co_it("of 0 only looks", function()
      local task = co.spawn(function() return "result" end)
      assert.same({ n = 2, false, nil }, table.pack(task:join(0)))
      co.yield()
      assert.same({ true, "result" }, { task:join(0) })
    end)

    co_it("of nil waits for ever", seeded, function()
      assert.is_true((co.spawn(co.sleep, 10 ^ 6):join(nil)))
    end)
  end)
end)

describe("await", function()
  co_it("returns the task's results, nils included", seeded, function()
    local task = co.spawn(function() return nil, "b", nil end)
    assert.same({ n = 3, nil, "b", nil }, table.pack(task:await()))
  end)

  co_it("panics with the value of a task that panicked, the identical one", seeded, function()
    local value = {}
    local record = helpers.record_of(function() co.spawn(co.panic, value):await() end)
    assert.equal(value, record.value)
  end)

  co_it("panics with a record of its own, whose cause is the task's", seeded, function()
    local task = co.spawn_with({ name = "child" }, co.panic, "x")
    local record = helpers.record_of(function() task:await() end)
    assert.equal(select(2, task:join()), record.cause)
    assert.equal("main", record.task.name)
    assert.equal("child", record.cause.task.name)
  end)

  co_it("keeps the kind of the panic", seeded, function()
    local record = helpers.record_of(function() co.spawn(error, "x"):await() end)
    assert.equal("error", record.kind)
  end)

  it("passes a panic up a line of tasks, cause within cause", function()
    local record = helpers.record_of_run(function()
      co.spawn_with({ name = "outer" }, function()
        co.spawn_with({ name = "inner" }, co.panic, "x"):await()
      end):await()
    end)
    assert.equal("x", record.value)
    assert.equal("outer", record.cause.task.name)
    assert.equal("inner", record.cause.cause.task.name)
    assert.is_nil(record.cause.cause.cause)
  end)

  co_it("can be recovered in the task that awaits", seeded, function()
    local got
    local task = co.spawn(co.panic, "x")
    co.call(function()
      co.defer(function() got = co.recover() end)
      task:await()
    end)
    assert.equal("x", got)
  end)

  co_it("panics when the task exited: there is no result", seeded, function()
    local record = helpers.record_of(function() co.spawn(co.goexit):await() end)
    assert.equal("goexit", record.cause.kind)
    assert.equal("running", co.current():status())
  end)

  co_it("panics when the task was cancelled, which does not cancel the one that awaits", seeded, function()
    local task = co.spawn(co.sleep, 100)
    co.yield()
    task:cancel()
    local record = helpers.record_of(function() task:await() end)
    assert.equal("cancelled", record.cause.kind)
    co.sleep(1)
  end)
end)
