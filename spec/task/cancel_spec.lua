local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

--- Runs `body` as a task that is cancelled for "not needed" once it is parked; returns the task.
local function cancel_parked(body, ...)
  local task
  helpers.run(function(...)
    task = co.spawn(body, ...)
    co.yield()
    task:cancel "not needed"
    task:join()
  end, ...)
  return task
end

describe("cancel", function()
  it("ends a task that is parked", function()
    local lines, say = helpers.log()
    local task = cancel_parked(function()
      co.sleep(100)
      say "never"
    end)
    assert.equal("cancelled", task:status())
    assert.same({}, lines)
  end)

  co_it("ends it now, not when its timer runs out", seeded, function()
    local task = co.spawn(co.sleep, 100)
    co.yield()
    local start = co.now()
    task:cancel()
    task:join()
    assert.equal(start, co.now())
  end)

  co_it("ends a task in join, await and co.yield as well", seeded, function()
    local sleeper = co.spawn(co.sleep, 10)
    local tasks = {
      co.spawn(function() sleeper:join() end),
      co.spawn(function() sleeper:await() end),
      co.spawn(co.await, function() end),
      co.spawn(function()
        while true do
          co.yield()
        end
      end),
    }
    co.yield()
    for _, task in ipairs(tasks) do
      task:cancel()
      task:join()
      assert.equal("cancelled", task:status())
    end
    assert.is_true((sleeper:join()))
  end)

  it("runs the task's deferred calls, inner frames first", function()
    local lines, say = helpers.log()
    cancel_parked(function()
      co.defer(say, "outer")
      co.call(function()
        co.defer(say, "inner")
        co.sleep(100)
      end)
    end)
    assert.same({ "inner", "outer" }, lines)
  end)

  it("gives the record its reason, and explicit as its source", function()
    local _, record = cancel_parked(co.sleep, 100):join()
    assert.equal("cancelled", record.kind)
    assert.equal("explicit", record.source)
    assert.equal("not needed", record.reason)
    helpers.assert_contains("not needed", tostring(record))
  end)

  co_it("accepts any value as the reason, and none", seeded, function()
    local reason = {}
    local task, other = co.spawn(co.sleep, 100), co.spawn(co.sleep, 100)
    co.yield()
    task:cancel(reason)
    other:cancel()
    assert.equal(reason, select(2, task:join()).reason)
    assert.is_nil(select(2, other:join()).reason)
  end)

  co_it("keeps the first reason", seeded, function()
    local task = co.spawn(co.sleep, 100)
    co.yield()
    task:cancel "first"
    task:cancel "second"
    assert.equal("first", select(2, task:join()).reason)
  end)

  it("says where the task was parked", function()
    local at
    local _, record = cancel_parked(function()
      at = helpers.here(1)
      co.sleep(100)
    end):join()
    local places = {}
    for _, frame in ipairs(record.frames) do
      places[frame.source .. ":" .. tostring(frame.line)] = true
    end
    assert.is_true(places[at])
  end)

  it("is not stopped by recover", function()
    local lines, say = helpers.log()
    local task = cancel_parked(function()
      co.call(function()
        co.defer(function() co.recover() end)
        co.sleep(100)
      end)
      say "never"
    end)
    assert.equal("cancelled", task:status())
    assert.same({}, lines)
  end)

  it("is raised again at the next suspension when pcall has swallowed it", function()
    local swallowed = 0
    local task = cancel_parked(function()
      for _ = 1, 10 do
        if not pcall(co.sleep, 100) then
          swallowed = swallowed + 1
        end
      end
    end)
    assert.equal("cancelled", task:status())
    assert.equal(10, swallowed)
  end)

  it("ends a task that swallows it and returns", function()
    local task = cancel_parked(function()
      pcall(co.sleep, 100)
      return "result"
    end)
    assert.equal("cancelled", task:status())
  end)

  it("shields the deferred calls that it runs: they may suspend", function()
    local lines, say = helpers.log()
    local task = cancel_parked(function()
      co.defer(function()
        co.sleep(1)
        co.yield()
        say(co.spawn(function() return "joined" end):await())
      end)
      co.sleep(100)
    end)
    assert.same({ "joined" }, lines)
    assert.equal("cancelled", task:status())
  end)

  co_it("does not reach a deferred call that is running already", function()
    local task = co.spawn(function()
      co.defer(co.sleep, 10)
      co.sleep(100)
    end)
    co.yield()
    local start = co.now()
    task:cancel "first"
    co.sleep(1)
    task:cancel "second"
    task:join()
    assert.equal(10, co.now() - start)
  end)

  co_it("does not wake a deferred call of a task that exits", function()
    local task = co.spawn(function()
      co.defer(co.sleep, 10)
      co.goexit()
    end)
    co.yield()
    local start = co.now()
    task:cancel()
    task:join()
    assert.equal(10, co.now() - start)
    assert.equal("exited", task:status())
  end)

  co_it("of a task that has not begun lets it never begin", seeded, function()
    local lines, say = helpers.log()
    co.scope(function()
      local task = co.spawn(say, "never")
      task:cancel()
      task:join()
      assert.equal("cancelled", task:status())
    end)
    assert.same({}, lines)
  end)

  co_it("of the running task takes effect at its next suspension", seeded, function()
    local lines, say = helpers.log()
    local task = co.spawn(function()
      co.current():cancel()
      say "before"
      co.yield()
      say "never"
    end)
    task:join()
    assert.equal("cancelled", task:status())
    assert.same({ "before" }, lines)
  end)

  co_it("of a task that has ended does nothing", seeded, function()
    local task = co.spawn(function() return "result" end)
    task:join()
    task:cancel()
    assert.equal("done", task:status())
    assert.same({ true, "result" }, { task:join() })
  end)

  it("does not reach the task's children", function()
    local lines, say = helpers.log()
    cancel_parked(function()
      co.spawn(function()
        co.sleep(1)
        say "child"
      end)
      co.sleep(100)
    end)
    assert.same({ "child" }, lines)
  end)

  it("gives way to a panic of a deferred call, which is not lost", function()
    local reports = helpers.run_reporting(function()
      local task = co.spawn(function()
        co.defer(co.panic, "x")
        co.sleep(100)
      end)
      co.yield()
      task:cancel()
    end)
    assert.equal(1, #reports)
    assert.equal("x", reports[1].record.value)
    assert.equal("panicked", reports[1].task:status())
  end)

  it("goes on after a panic of a deferred call has been recovered", function()
    local lines, say = helpers.log()
    local task = cancel_parked(function()
      co.call(function()
        co.defer(function() say(co.recover() == "p" and "recovered") end)
        co.defer(co.panic, "p")
        co.sleep(100)
      end)
      say "never"
    end)
    assert.same({ "recovered" }, lines)
    assert.equal("cancelled", task:status())
  end)

  it("is no panic: nobody is told", function()
    local reports = helpers.run_reporting(function()
      local task = co.spawn(co.sleep, 100)
      co.yield()
      task:cancel()
      co.sleep(10)
    end)
    assert.same({}, reports)
  end)

  it("of main ends the run with main's record", function()
    local record = helpers.record_of_run(function()
      local main = co.current()
      co.spawn(function() main:cancel "stopped" end)
      co.sleep(100)
    end)
    assert.equal("cancelled", record.kind)
    assert.equal("stopped", record.reason)
  end)

  it("takes part in the count of cancelled tasks", function()
    local before = co.stats().cancelled
    cancel_parked(co.sleep, 100)
    assert.equal(before + 1, co.stats().cancelled)
  end)
end)

describe("the end of the run", function()
  it("cancels daemons, with shutdown as the source", function()
    local daemon
    helpers.run(function()
      daemon = co.spawn_with({ daemon = true }, co.sleep, 100)
      co.yield()
    end)
    local _, record = daemon:join()
    assert.equal("cancelled", record.kind)
    assert.equal("shutdown", record.source)
  end)

  it("comes as soon as main has returned: daemons do not get another turn", function()
    local turns, until_then = 0, nil
    helpers.run(function()
      co.spawn_with({ daemon = true }, function()
        while true do
          turns = turns + 1
          co.yield()
        end
      end)
      co.yield()
      co.yield()
      until_then = turns
    end)
    assert.equal(until_then, turns)
  end)

  it("comes as soon as main is cancelled, whatever the others have still to do", function()
    local ended
    local ok, record = pcall(helpers.run, function()
      co.spawn(function()
        co.defer(function() ended = co.now() end)
        co.sleep(100)
      end)
      co.yield()
      co.current():cancel "enough"
      co.sleep(1)
    end)
    assert.is_false(ok)
    assert.equal("enough", record.reason)
    assert.equal(0, ended)
  end)

  it("cancels what the deferred calls of cancelled tasks spawn", function()
    local lines, say = helpers.log()
    helpers.run(function()
      co.spawn_with({ daemon = true }, function()
        co.defer(co.spawn, function()
          co.sleep(100)
          say "never"
        end)
        co.sleep(100)
      end)
      co.yield()
    end)
    assert.same({}, co.tasks())
    assert.same({}, lines)
  end)

  it("ends daemons that swallow every error", function()
    local daemon
    helpers.run(function()
      daemon = co.spawn_with({ daemon = true }, function()
        while pcall(co.sleep, 1) do
          co.yield()
        end
      end)
      co.sleep(3)
    end)
    assert.equal("cancelled", daemon:status())
  end)

  it("gives up deferred calls that wait for each other, and leaves nothing of them on the queue", function()
    local function insist(wait, ...)
      while true do
        pcall(wait, ...)
      end
    end
    helpers.run_reporting(function()
      local first = co.spawn_with({ daemon = true }, function()
        co.defer(insist, co.await, function() end)
        co.sleep(100)
      end)
      co.spawn_with({ daemon = true }, function()
        co.defer(insist, first.join, first)
        co.sleep(100)
      end)
      co.yield()
    end)
    assert.equal(0, co.stats().live)
    assert.equal(0, co.stats().ready)
  end)
end)
