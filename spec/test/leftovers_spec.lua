local co = require "coropanic"
local helpers = require "spec.helpers"
local test = require "coropanic.test"

--- The failure of a body.
local function failure_of(opts, body)
  local ok, err = pcall(test.run, opts, body)
  if ok then
    error("the test has passed", 2)
  end
  return err
end

local function lines_of_failure(opts, body)
  return helpers.lines_of(failure_of(opts, body))
end

local function for_ever()
  co.await(function() end)
end

describe("test.run", function()
  it("runs the body as the main task, under the virtual clock, with the arguments", function()
    local got
    test.run(nil, function(...)
      co.sleep(3600)
      got = table.pack(co.now(), co.current().name, ...)
      return "not looked at"
    end, 1, nil)
    assert.same({ n = 4, 3600.0, "main", 1, nil }, got)
  end)

  it("returns nothing", function()
    assert.equal(0, select("#", test.run({}, function() return 1 end)))
  end)

  it("uses the real clock when asked to", function()
    local before, during = co.now(), nil
    test.run({ clock = "monotonic" }, function() during = co.now() end)
    assert.is_true(during >= before)
  end)

  it("runs what the body has deferred before it looks for tasks", function()
    local task
    test.run({}, function()
      co.defer(function()
        task:cancel()
        task:join()
      end)
      task = co.spawn(for_ever)
      co.yield()
    end)
    assert.equal("cancelled", task:status())
  end)

  it("passes on what co.run has against being called here", function()
    helpers.run(function()
      local _, err = pcall(test.run, {}, print)
      helpers.assert_contains("co.run inside a task", err)
    end)
  end)

  for message, arguments in pairs {
    ["bad argument #1 to 'run' (table expected, got string)"] = { "x", print },
    ["bad argument #1 to 'run' (unknown option 'sedes')"] = { { sedes = 1 }, print },
    ["bad argument #1 to 'run' (unknown option '1')"] = { { 5 }, print },
    ["bad argument #1 to 'run' (option 'clock': \"virtual\" or \"monotonic\" expected, got \"sun\")"] =
      { { clock = "sun" }, print },
    ["bad argument #1 to 'run' (option 'leftovers': \"fail\" or \"ignore\" expected, got boolean)"] =
      { { leftovers = true }, print },
    ["bad argument #1 to 'run' (option 'daemons': \"allow\" or \"fail\" expected, got \"ignore\")"] =
      { { daemons = "ignore" }, print },
    ["bad argument #1 to 'run' (option 'seeds': integer from 1 expected, got 0)"] = { { seeds = 0 }, print },
    ["bad argument #1 to 'run' (option 'seed': integer expected, got 1.5)"] = { { seed = 1.5 }, print },
    ["bad argument #1 to 'run' (option 'timeout': seconds above 0 expected, got 0)"] =
      { { timeout = 0 }, print },
    ["bad argument #1 to 'run' (option 'timeout': seconds above 0 expected, got nan)"] =
      { { timeout = math.abs(0 / 0) }, print },
    ["bad argument #2 to 'run' (function expected, got nil)"] = { {} },
  } do
    it("answers " .. message, function()
      local line = helpers.here(1)
      local _, err = pcall(function() test.run(arguments[1], arguments[2]) end)
      assert.equal(line .. ": " .. message, err)
    end)
  end
end)

describe("a task that is left over", function()
  it("fails the test, with its id, name, status, what it waits on and where, and its spawn site", function()
    local spawned_at, parked_at, id, place
    place = helpers.here(1)
    local lines = lines_of_failure({}, function()
      local function wait()
        parked_at = helpers.here(1)
        co.sleep(1000)
      end
      spawned_at = helpers.here(1)
      id = co.spawn_with({ name = "reader" }, wait).id
    end)
    assert.same({
      place .. ": 1 task is left over when the test's body has returned:",
      ('\ttask %d "reader" waiting on sleep at %s, spawned at %s'):format(id, parked_at, spawned_at),
    }, lines)
  end)

  it("is named with the task that it waits for", function()
    local lines = lines_of_failure({}, function()
      local sleeper = co.spawn_with({ name = "sleeper" }, for_ever)
      co.spawn_with({ name = "joiner" }, function() sleeper:join() end)
    end)
    helpers.assert_contains("2 tasks are left over", lines[1])
    helpers.assert_contains('"sleeper" waiting on await at', lines[2])
    helpers.assert_contains('"joiner" waiting on task', lines[3])
    helpers.assert_contains('"sleeper"', lines[3])
    assert.equal(3, #lines)
  end)

  it("is ended, and its deferred calls run", function()
    local released = false
    local task
    failure_of({}, function()
      task = co.spawn(function()
        co.defer(function()
          co.sleep(1)
          released = true
        end)
        for_ever()
      end)
    end)
    assert.equal("cancelled", task:status())
    assert.is_true(released)
    assert.same({}, co.tasks())
  end)

  it("may still end by itself, as long as no time passes", function()
    local turns = 0
    test.run({}, function()
      co.spawn(function()
        for _ = 1, 40 do
          co.yield()
          co.sleep(0)
          turns = turns + 1
        end
        co.spawn(function() turns = turns + 1 end)
      end)
    end)
    assert.equal(41, turns)
  end)

  it("is one that waits for time to pass, however little", function()
    helpers.assert_contains("1 task is left over", failure_of({}, function() co.spawn(co.sleep, 1e-9) end))
  end)

  it("is one that yields for ever", function()
    local failure = failure_of({}, function()
      co.spawn_with({ name = "spinner" }, function()
        while true do
          co.yield()
        end
      end)
    end)
    helpers.assert_contains('"spinner" ready at', failure)
  end)

  it("is not a daemon, which ends with the run", function()
    local daemon
    test.run({}, function() daemon = co.spawn_with({ daemon = true }, for_ever) end)
    assert.equal("cancelled", daemon:status())
  end)

  it("is a daemon too where those are not allowed", function()
    local failure = failure_of({ daemons = "fail", timeout = 1 }, function()
      co.spawn_with({ name = "poller", daemon = true }, for_ever)
    end)
    helpers.assert_contains("1 task is left over", failure)
    helpers.assert_contains('"poller"', failure)
  end)

  it("may be ignored; it is ended all the same", function()
    local tasks
    test.run({ leftovers = "ignore" }, function()
      tasks = { co.spawn(for_ever), co.spawn(co.sleep, 100), co.spawn_with({ daemon = true }, for_ever) }
    end)
    for _, task in ipairs(tasks) do
      assert.equal("cancelled", task:status())
    end
  end)

  it("is not looked for when the body has failed", function()
    local failure = failure_of({}, function()
      co.spawn(for_ever)
      error "the reason"
    end)
    helpers.assert_contains("the reason", failure)
    helpers.assert_lacks("left over", failure)
  end)
end)

describe("a panic", function()
  it("of a task that nobody joins fails the test with its report", function()
    local at
    local failure = failure_of({}, function()
      co.spawn_with({ name = "worker" }, function()
        at = helpers.here(1)
        error "broken"
      end)
    end)
    assert.equal(at .. ": broken", helpers.lines_of(failure)[1])
    helpers.assert_contains('"worker" panicked', failure)
  end)

  it("that somebody joins does not", function()
    test.run({}, function() co.spawn(error, "expected"):join() end)
  end)

  it("is the first thing told when others wait for ever because of it", function()
    local failure = failure_of({}, function()
      local main = co.current()
      co.spawn_with({ name = "worker" }, error, "the reason", 0)
      co.spawn_with({ name = "waiter" }, function() main:join() end)
      for_ever()
    end)
    assert.is_truthy(failure:match "^[^\n]*the reason\n", failure)
    helpers.assert_contains("\n\nalso: ", failure)
    helpers.assert_contains("all tasks are asleep - deadlock!\n", failure)
    helpers.assert_contains('"waiter" waiting on join of task', failure)
  end)

  it("is told with every other one", function()
    local failure = failure_of({}, function()
      co.spawn(error, "second", 0)
      co.spawn(error, "third", 0)
      co.yield()
      error("first", 0)
    end)
    local order = {}
    for word in failure:gmatch "%f[%w](%l+)\n\ntask" do
      order[#order + 1] = word
    end
    assert.same({ "first", "second", "third" }, order)
  end)

  it("has the position of the test where it has none", function()
    local place = helpers.here(1)
    local failure = failure_of({}, function() co.panic "no position" end)
    assert.equal(place .. ": no position", helpers.lines_of(failure)[1])
  end)

  it("with a long text is told in full", function()
    local text = ("x"):rep(10000) .. "|"
    helpers.assert_contains(text, failure_of({}, function() error(text) end))
  end)

  it("of a deferred call of a task that is left over is told too", function()
    local failure = failure_of({}, function()
      co.spawn(function()
        co.defer(error, "in a deferred call")
        for_ever()
      end)
    end)
    helpers.assert_contains("in a deferred call", failure)
    helpers.assert_contains("left over", failure)
  end)

  it("is raised as busted's own failure if that is what it is", function()
    local _, failure = pcall(test.run, { seed = 3 }, function() assert.equal(1, 2) end)
    assert.equal("failure", debug.getmetatable(failure).__type)
    helpers.assert_contains("Expected objects to be equal", tostring(failure))
    helpers.assert_contains("\nseed 3 (rerun with COROPANIC_SEED=3)", tostring(failure))
  end)
end)

describe("the end of main", function()
  it("by goexit fails the test", function()
    helpers.assert_contains("main called goexit", failure_of({}, co.goexit))
  end)

  it("by a cancellation fails the test", function()
    local failure = failure_of({}, function()
      co.current():cancel "own wish"
      co.yield()
    end)
    helpers.assert_contains("own wish", failure)
  end)
end)

describe("the option timeout", function()
  it("fails a test that takes longer, and names its tasks", function()
    local place = helpers.here(1)
    local lines = lines_of_failure({ timeout = 5 }, function()
      co.spawn_with({ name = "slow" }, co.sleep, 6):join()
    end)
    assert.equal(place .. ": the test has not ended after 5 seconds; tasks:", lines[1])
    helpers.assert_contains('"main" waiting on task', lines[2])
    helpers.assert_contains('"slow" waiting on sleep', lines[3])
    assert.equal(3, #lines)
  end)

  it("leaves one alone that ends in time", function()
    test.run({ timeout = 5, daemons = "fail" }, function() co.sleep(4.999) end)
  end)

  it("tells what panics on the way out", function()
    local failure = failure_of({ timeout = 5 }, function()
      co.defer(error, "in a deferred call")
      for_ever()
    end)
    helpers.assert_contains("has not ended after 5 seconds", helpers.lines_of(failure)[1])
    helpers.assert_contains("also: ", failure)
    helpers.assert_contains("in a deferred call", failure)
  end)
end)

describe("a function of ctx:after", function()
  it("fails the test when it waits still for the end of its context", function()
    helpers.assert_contains("1 function of ctx:after is left over", failure_of({}, function()
      co.context.with_cancel(co.ctx()):after(function() end)
    end))
  end)

  it("is none that was started, or called off", function()
    test.run({}, function()
      local ctx, cancel = co.context.with_cancel(co.ctx())
      ctx:after(function() end)
      local stop = ctx:after(function() end)
      stop()
      cancel()
    end)
  end)

  it("may be ignored", function()
    test.run({ leftovers = "ignore" }, function()
      co.context.with_cancel(co.ctx()):after(function() end)
    end)
  end)
end)

describe("a task that polls while the clock stands still", function()
  local function poll_by(pause)
    return function()
      local done
      co.spawn(function()
        co.sleep(1)
        done = true
      end)
      co.spawn_with({ name = "poller" }, function()
        while not done do pause(0) end
      end)
    end
  end

  for name, pause in pairs { ["co.yield"] = co.yield, ["co.sleep(0)"] = co.sleep } do
    it("fails the test, which names it: " .. name, function()
      for _, opts in ipairs { {}, { timeout = 5 } } do
        local failure = failure_of(opts, function()
          poll_by(pause)()
          co.sleep(2)
        end)
        helpers.assert_contains('"poller" polls, so the virtual clock stands still', failure)
      end
    end)
  end

  it("ends a run under the virtual clock likewise", function()
    local record = helpers.record_of_run(poll_by(co.yield))
    assert.equal("deadlock", record.kind)
    helpers.assert_contains('"poller" polls', record.message)
  end)

  it("is not a task that yields often while others do something", function()
    helpers.run(function()
      local ch = co.chan()
      co.spawn(function()
        for i = 1, 20 do ch:send(i) end
        ch:close()
      end)
      for _ in ch:iter() do
        for _ = 1, 1000 do co.yield() end
      end
    end)
  end)

  it("is given up when it is a deferred call at the end of the run", function()
    local reports = helpers.run_reporting(function()
      co.spawn_with({ daemon = true }, function()
        co.defer(function()
          while true do co.yield() end
        end)
        co.sleep(9)
      end)
      co.yield()
    end)
    helpers.assert_contains("given up", reports[1].record.message)
    assert.equal(0, co.stats().live)
  end)
end)
