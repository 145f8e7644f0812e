local co = require "coropanic"
local helpers = require "spec.helpers"

local run_reporting = helpers.run_reporting

describe("a panic that nobody joins", function()
  it("goes to the handler of the run, with the task", function()
    local task
    local reports = run_reporting(function() task = co.spawn(co.panic, "x") end)
    assert.equal(1, #reports)
    assert.equal("x", reports[1].record.value)
    assert.equal(task, reports[1].task)
  end)

  it("leaves the other tasks alone", function()
    local lines, say = helpers.log()
    run_reporting(function()
      co.spawn(co.panic, "x")
      co.spawn(function()
        co.sleep(10)
        say "another"
      end)
    end)
    assert.same({ "another" }, lines)
  end)

  it("does not fail the run", function()
    local result
    run_reporting(function()
      co.spawn(co.panic, "x")
      result = "result"
    end)
    assert.equal("result", result)
  end)

  it("is reported once for each task, whatever their number", function()
    local reports = run_reporting(function()
      for i = 1, 200 do
        co.spawn(co.panic, i)
      end
    end)
    local seen = {}
    for _, report in ipairs(reports) do
      seen[report.record.value] = (seen[report.record.value] or 0) + 1
    end
    for i = 1, 200 do
      assert.equal(1, seen[i])
    end
    assert.equal(200, #reports)
  end)

  it("is reported while the run goes on, a second after the task's end at the latest", function()
    local lines, say = helpers.log()
    local function unhandled(record) say("report of", record.value) end
    co.run_with({ clock = "virtual", unhandled = unhandled }, function()
      local task = co.spawn(co.panic, "x")
      co.sleep(2)
      say("main has", task:status())
    end)
    assert.same({ "report of x", "main has panicked" }, lines)
  end)

  it("is reported as soon as the collector has found that nobody can join it any more", function()
    local lines, say = helpers.log()
    local function unhandled(record) say("report of", record.value, "at", co.now()) end
    co.run_with({ clock = "virtual", unhandled = unhandled }, function()
      co.spawn(co.panic, "x")
      co.sleep(0.25)
      collectgarbage()
      collectgarbage()
      co.sleep(0.25)
      say("half a second")
      co.sleep(2)
    end)
    assert.same({ "half a second" }, { lines[2] })
    helpers.assert_contains("report of x", lines[1])
  end)

  it("is not reported when it is joined before that", function()
    local reports = run_reporting(function()
      local task = co.spawn(co.panic, "x")
      co.sleep(0.5)
      local _, record = task:join()
      assert.equal("x", record.value)
      co.sleep(10)
    end)
    assert.same({}, reports)
  end)

  it("is not reported when it is awaited before that", function()
    local reports = run_reporting(function()
      local task = co.spawn(co.panic, "x")
      co.sleep(0.5)
      assert.is_false(pcall(function() task:await() end))
      co.sleep(10)
    end)
    assert.same({}, reports)
  end)

  it("is not reported while its spawner joins one child after the other", function()
    local values = {}
    local reports = run_reporting(function()
      local slow = co.spawn(co.sleep, 100)
      local failing = co.spawn(co.panic, "x")
      slow:join()
      values[1] = select(2, failing:join()).value
    end)
    assert.same({ "x" }, values)
    assert.same({}, reports)
  end)

  it("is reported after a second although its spawner joins another task, if nobody can join it", function()
    local result = helpers.run_apart(function() -- the loop looks for garbage only while Lua has little memory
      collectgarbage() -- before it is time for that again all is over
      local times = {}
      local function unhandled() times[#times + 1] = co.now() end
      co.run_with({ clock = "virtual", unhandled = unhandled }, function()
        for i = 1, 3 do
          co.spawn(co.panic, i)
        end
        co.spawn(co.sleep, 100):join()
      end)
      print(("%g %g %g"):format(times[1], times[2], times[3]))
    end)
    assert.equal("1 1 1\n", result.stdout)
  end)

  it("can be joined after it was reported, and is not reported again", function()
    local reports = run_reporting(function()
      local task = co.spawn(co.panic, "x")
      co.sleep(5)
      assert.equal("x", select(2, task:join()).value)
      co.sleep(5)
    end)
    assert.equal(1, #reports)
  end)

  it("is reported when it is a daemon's", function()
    local reports = run_reporting(function()
      co.spawn_with({ daemon = true }, co.panic, "x")
      co.yield()
    end)
    assert.equal(1, #reports)
  end)

  it("is reported when a deferred call panics at the end of the run", function()
    local reports = run_reporting(function()
      co.spawn_with({ daemon = true }, function()
        co.defer(co.panic, "x")
        co.sleep(100)
      end)
      co.yield()
    end)
    assert.equal(1, #reports)
    assert.equal("x", reports[1].record.value)
  end)

  it("is reported when its deferred calls take longer than the run", function()
    local reports = run_reporting(function()
      co.spawn_with({ daemon = true }, function()
        co.defer(co.sleep, 10)
        co.panic "x"
      end)
      co.sleep(1)
    end)
    assert.equal(1, #reports)
  end)

  it("is reported when the one that joined it was cancelled before it came for it", function()
    local reports = run_reporting(function()
      local task = co.spawn(function()
        co.sleep(1)
        error "lost"
      end)
      local joiner = co.spawn(function() task:join() end)
      co.yield()
      co.spawn(function()
        co.sleep(1)
        joiner:cancel()
      end)
      co.sleep(5)
    end)
    assert.equal(1, #reports)
    assert.is_truthy(reports[1].record.message:find("lost", 1, true))
  end)

  it("is reported when the one that joined it gave up before", function()
    local reports = run_reporting(function()
      local task = co.spawn(function()
        co.sleep(10)
        co.panic "x"
      end)
      task:join(1)
    end)
    assert.equal(1, #reports)
  end)

  it("is reported when the one that joins it is cancelled", function()
    local reports = run_reporting(function()
      local failing = co.spawn(function()
        co.sleep(10)
        co.panic "x"
      end)
      local joiner = co.spawn(function() failing:join() end)
      co.sleep(1)
      joiner:cancel()
    end)
    assert.equal(1, #reports)
    assert.equal("x", reports[1].record.value)
  end)

  it("takes part in the count of unhandled panics", function()
    local before = co.stats().unhandled
    run_reporting(function() co.spawn(co.panic, "x") end)
    assert.equal(before + 1, co.stats().unhandled)
  end)
end)

describe("the handler of unhandled panics", function()
  it("does not get main's panic: co.run raises it", function()
    local reports = {}
    local function unhandled(record) reports[#reports + 1] = record end
    local ok, record = pcall(co.run_with, { unhandled = unhandled }, co.panic, "x")
    assert.is_false(ok)
    assert.equal("x", record.value)
    assert.same({}, reports)
  end)

  it("gets the panics of other tasks also when main panics", function()
    local reports = {}
    local function unhandled(record) reports[#reports + 1] = record.value end
    pcall(co.run_with, { unhandled = unhandled }, function()
      co.spawn(co.panic, "child's")
      co.yield()
      co.panic "main's"
    end)
    assert.same({ "child's" }, reports)
  end)

  it("does not get joined, awaited, recovered, cancelled and exited tasks", function()
    local reports = run_reporting(function()
      co.spawn(co.panic, "joined"):join()
      pcall(function() co.spawn(co.panic, "awaited"):await() end)
      co.spawn(function()
        co.defer(function() co.recover() end)
        co.panic "recovered"
      end)
      co.spawn(co.goexit)
      local cancelled = co.spawn(co.sleep, 100)
      co.yield()
      cancelled:cancel()
      co.sleep(10)
    end)
    assert.same({}, reports)
  end)

  it("gets the panic of a task that awaited, once for both", function()
    local reports = run_reporting(function()
      co.spawn_with({ name = "awaiter" }, function() co.spawn(co.panic, "x"):await() end)
      co.sleep(10)
    end)
    assert.equal(1, #reports)
    assert.equal("awaiter", reports[1].record.task.name)
  end)

  it("is not called again while it runs, whatever the collector does", function()
    local running, nested, calls = false, 0, 0
    local function unhandled()
      calls = calls + 1
      nested = nested + (running and 1 or 0)
      running = true
      collectgarbage()
      collectgarbage()
      running = false
    end
    co.run_with({ clock = "virtual", unhandled = unhandled }, function()
      for i = 1, 10 do
        co.spawn(co.panic, i)
      end
    end)
    assert.equal(10, calls)
    assert.equal(0, nested)
  end)

  it("comes before the hook on_panic", function()
    local hooked = 0
    co.on_panic(function() hooked = hooked + 1 end)
    local reports = run_reporting(function() co.spawn(co.panic, "x") end)
    co.on_panic(nil)
    assert.equal(1, #reports)
    assert.equal(0, hooked)
  end)

  it("may spawn tasks, which the run waits for", function()
    local lines, say = helpers.log()
    local function unhandled() co.spawn(say, "spawned") end
    co.run_with({ clock = "virtual", unhandled = unhandled }, function()
      local task = co.spawn(co.panic, "x")
      co.sleep(10)
      return task
    end)
    assert.same({ "spawned" }, lines)
  end)

  it("that panics is reported on stderr, as is what it was given, and the run goes on", function()
    local result = helpers.run_script [[
      local co = require "coropanic"
      local function unhandled() error("the handler fails", 0) end
      co.run_with({ clock = "virtual", unhandled = unhandled }, function()
        co.spawn(co.panic, "the task fails")
        co.sleep(10)
        print "goes on"
      end)
    ]]
    assert.equal("goes on\n", result.stdout)
    assert.equal(0, result.status)
    helpers.assert_contains("panic: the handler fails", result.stderr)
    helpers.assert_contains("panic: the task fails", result.stderr)
  end)
end)

describe('unhandled = "crash"', function()
  it("ends the process with status 2 at the first panic, as Go does", function()
    local result = helpers.run_script [[
      local co = require "coropanic"
      co.run_with({ unhandled = "crash" }, function()
        co.spawn(function()
          co.defer(print, "deferred")
          co.panic "x"
        end)
        co.sleep(0.01)
        print "not reached"
      end)
    ]]
    assert.equal("deferred\n", result.stdout)
    assert.equal(2, result.status)
    assert.matches("^panic: x\n\n", result.stderr)
  end)

  it("leaves a cancelled or exited task alone", function()
    local result = helpers.run_script [[
      local co = require "coropanic"
      co.run_with({ unhandled = "crash" }, function()
        co.spawn(co.goexit):join()
        local task = co.spawn(co.sleep, 100)
        co.yield()
        task:cancel()
        task:join()
        print "goes on"
      end)
    ]]
    assert.same({ "goes on\n", "", 0 }, { result.stdout, result.stderr, result.status })
  end)
end)

describe('unhandled = "report"', function()
  it("is the default: a report on stderr", function()
    local result = helpers.run_script [[
      local co = require "coropanic"
      co.run_with({ unhandled = "report" }, function() co.spawn(co.panic, "x") end)
    ]]
    assert.equal(0, result.status)
    assert.matches("^panic: x\n\n", result.stderr)
  end)
end)
