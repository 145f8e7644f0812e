local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

describe("co.tasks", function()
  co_it("is a list of the tasks that have not ended, by id", function()
    local ended = co.spawn(function() end)
    local a = co.spawn(co.sleep, 1)
    co.yield()
    local b = co.spawn(co.sleep, 1)
    assert.equal("done", ended:status())
    assert.same({ co.current(), a, b }, co.tasks())
    b:join()
  end)

  co_it("is a snapshot: what happens later does not change it", seeded, function()
    local snapshot = co.tasks()
    co.spawn(function() end)
    assert.equal(1, #snapshot)
    assert.equal(2, #co.tasks())
  end)

  it("is empty outside a run", function() assert.same({}, co.tasks()) end)
end)

describe("co.dump", function()
  it("is empty when there are no tasks", function() assert.equal("", co.dump()) end)

  co_it("names each task, its status, its trace and where it was spawned", seeded, function()
    local task = co.spawn_with({ name = "worker" }, function() end)
    local spawned_at = helpers.here(-1)
    local dump = co.dump()
    helpers.assert_contains(('task %d "worker" ready'):format(task.id), dump)
    helpers.assert_contains(('task %d "main" running'):format(co.current().id), dump)
    helpers.assert_contains(task.trace_id, dump)
    helpers.assert_contains("spawned at " .. spawned_at, dump)
  end)

  co_it("says what a parked task waits on, and where", function()
    local at
    local sleeper = co.spawn_with({ name = "sleeper" }, function()
      at = helpers.here(1)
      co.sleep(1)
    end)
    local joiner = co.spawn_with({ name = "joiner" }, function() sleeper:join() end)
    co.yield()
    local dump = co.dump()
    assert.matches('"sleeper" waiting[^\n]*sleep', dump)
    assert.matches('"joiner" waiting[^\n]*' .. ('join of task %d "sleeper"'):format(sleeper.id), dump)
    helpers.assert_contains(at, dump)
    joiner:join()
  end)

  co_it("leaves out tasks that have ended", seeded, function()
    co.spawn_with({ name = "ended" }, function() end):join()
    helpers.assert_lacks("ended", co.dump())
  end)
end)

describe("co.stats", function()
  --- By how much each counter grows while `fn` runs as main.
  local function growth(fn)
    local before = co.stats()
    helpers.run(fn)
    local after = co.stats()
    local difference = {}
    for name, value in pairs(after) do
      difference[name] = value - before[name]
    end
    return difference
  end

  it("has a count for each of these", function()
    local stats = co.stats()
    for _, name in ipairs {
      "spawned", "live", "ready", "switches", "panics", "recovered", "unhandled", "cancelled", "afters",
      "leaked", "timers", "steals", "preemptions", "rejected_clocks",
    } do
      assert.equal("integer", math.type(stats[name]), name)
    end
  end)

  it("counts the tasks spawned, main too", function()
    assert.equal(4, growth(function()
      for _ = 1, 3 do
        co.spawn(function() end)
      end
    end).spawned)
  end)

  it("counts the tasks that live and that are ready just now", function()
    helpers.run(function()
      co.spawn(co.sleep, 1)
      co.yield()
      co.spawn(function() end)
      local stats = co.stats()
      assert.equal(3, stats.live)
      assert.equal(1, stats.ready)
    end)
    assert.equal(0, co.stats().live)
    assert.equal(0, co.stats().ready)
  end)

  it("counts the switches to tasks", function()
    assert.equal(11, growth(function()
      for _ = 1, 10 do
        co.yield()
      end
    end).switches)
  end)

  it("counts the panics, recovered or not", function()
    local difference = growth(function()
      co.pcall(co.panic, "x")
      co.spawn(function()
        co.defer(function() co.recover() end)
        error "x"
      end)
    end)
    assert.equal(2, difference.panics)
    assert.equal(1, difference.recovered)
  end)

  it("counts a panic that is caught, awaited or joined, and anew when it is raised again", function()
    assert.equal(1, growth(function() co.pcall(error, "x") end).panics)
    assert.equal(1, growth(function() co.spawn(error, "x"):join() end).panics)
    local difference = growth(function()
      local task = co.spawn(error, "x")
      co.pcall(task.await, task)
    end)
    assert.equal(2, difference.panics)
    assert.equal(0, difference.recovered)
    assert.equal(0, difference.unhandled)
  end)

  local unwindings = {
    ["a cancellation"] = function()
      local task = co.spawn(co.sleep, 10)
      co.yield()
      task:cancel()
      task:join()
    end,
    ["the cancellation of who has not begun"] = function()
      local task = co.spawn(co.sleep, 10)
      task:cancel()
      task:join()
    end,
    ["a time-out"] = function() co.with_timeout(1, co.sleep, 10) end,
    ["a context's deadline"] = function()
      co.spawn_with({ context = co.context.with_timeout(co.ctx(), 1) }, co.sleep, 10):join()
    end,
    ["a goexit"] = function() co.spawn(co.goexit):join() end,
    ["the cancellation of a scope"] = function()
      co.scope(function(scope)
        scope:spawn(co.sleep, 10)
        scope:cancel()
      end)
    end,
    ["the end of a run"] = function() co.spawn_with({ daemon = true }, co.sleep, 10) end,
  }
  for what, unwind in pairs(unwindings) do
    it("counts no panic for " .. what, function() assert.equal(0, growth(unwind).panics) end)
  end

  it("counts the panics given to the handler, and those of hooks", function()
    local difference = growth(function()
      co.on_panic(function() end)
      co.spawn(error, "nobody joins")
      co.on_exit(error)
      co.spawn(function() end):join()
      co.on_exit(nil)
      co.sleep(10)
      co.on_panic(nil)
    end)
    assert.is_true(difference.unhandled >= 2)
    assert.equal(difference.unhandled, difference.panics)
    assert.equal(0, growth(function() co.spawn(error, "x"):join() end).unhandled)
  end)

  it("counts the tasks that end as cancelled, not those that time out or exit", function()
    local difference = growth(function()
      local task = co.spawn(co.sleep, 10)
      task:cancel()
      co.spawn(co.goexit)
      co.with_timeout(1, co.sleep, 10)
      co.spawn_with({ daemon = true }, co.sleep, 10)
    end)
    assert.equal(2, difference.cancelled)
  end)

  it("counts the tasks that are asleep for ever, once each", function()
    assert.equal(0, growth(function()
      co.spawn_with({ daemon = true }, co.await, function() end)
      co.spawn(co.sleep, 1)
    end).leaked)
    local before = co.stats().leaked
    helpers.record_of_run(function()
      co.spawn(co.await, function() end)
      co.spawn(function() co.chan():recv() end)
      co.chan():recv()
    end)
    assert.equal(before + 3, co.stats().leaked)
    helpers.run_reporting(function()
      co.spawn_with({ daemon = true }, function()
        co.defer(co.await, function() end)
        co.defer(co.await, function() end)
        co.sleep(10)
      end)
      co.yield()
    end)
    assert.equal(before + 4, co.stats().leaked)
  end)

  it("counts the timers started: of sleeps, waits and contexts", function()
    assert.equal(2, growth(function()
      co.sleep(1)
      co.sleep(1)
    end).timers)
    assert.equal(1, growth(function() co.with_timeout(1, co.yield) end).timers)
    assert.equal(1, growth(function() co.event():wait(1) end).timers)
    assert.equal(0, growth(function() co.spawn(function() end):join(0) end).timers)
  end)

  it("counts the steals: turns that took longer than the run's budget", function()
    local before = co.stats().steals
    co.run_with({ budget = 0.0001 }, function()
      local start = os.clock()
      while os.clock() - start < 0.005 do
        math.abs(start)
      end
    end)
    assert.equal(before + 1, co.stats().steals)
  end)

  co_it("is a snapshot", seeded, function()
    local stats = co.stats()
    local spawned = stats.spawned
    co.spawn(function() end)
    assert.equal(spawned, stats.spawned)
  end)
end)
