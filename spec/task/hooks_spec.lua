local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

describe("a hook", function()
  after_each(function()
    co.on_panic(nil)
    co.on_spawn(nil)
    co.on_start(nil)
    co.on_suspend(nil)
    co.on_exit(nil)
  end)

  for _, name in ipairs { "on_panic", "on_spawn", "on_start", "on_suspend", "on_exit" } do
    it(("set by %s replaces the one before, which is returned"):format(name), function()
      local function first() end
      local function second() end
      assert.is_nil(co[name](first))
      assert.equal(first, co[name](second))
      assert.equal(second, co[name](nil))
      assert.is_nil(co[name](nil))
    end)
  end

  it("set by on_spawn is called with each new task", function()
    local names = {}
    co.on_spawn(function(task) names[#names + 1] = task.name end)
    helpers.run(function()
      co.spawn_with({ name = "a" }, co.spawn_with, { name = "b" }, function() end)
    end)
    assert.same({ "main", "a", "b" }, names)
  end)

  it("set by on_start runs in each task and coroutine of co.coroutine, once, before its function", function()
    local lines, say = helpers.log()
    co.on_start(function(...)
      local task = co.current()
      say("start", task and task.name, coroutine.running(), select("#", ...))
    end)
    local threads = {}
    helpers.run(function(...)
      threads[1] = coroutine.running()
      say("main", ...)
      co.spawn_with({ name = "worker" }, function(...)
        threads[2] = coroutine.running()
        say("worker", ...)
        co.yield()
        co.defer(co.sleep, 1)
      end, 1, nil):join()
      local thread = co.coroutine.create(function(...)
        say("coroutine", ...)
        say("again", co.coroutine.yield())
      end)
      threads[3] = thread
      co.coroutine.resume(thread, 3)
      co.coroutine.resume(thread, 4)
    end, "given")
    assert.same({
      ("start main %s 0"):format(tostring(threads[1])),
      "main given",
      ("start worker %s 0"):format(tostring(threads[2])),
      "worker 1 nil",
      ("start main %s 0"):format(tostring(threads[3])),
      "coroutine 3",
      "again 4",
    }, lines)
  end)

  it("set by on_start is not called for a task that is cancelled before it runs", function()
    local started = 0
    helpers.run(function()
      co.on_start(function() started = started + 1 end)
      local task = co.spawn(function() end)
      task:cancel()
      task:join()
    end)
    assert.equal(0, started)
  end)

  it("set by on_suspend is called each time a task has suspended, with where it stands", function()
    local lines, say = helpers.log()
    local places = {}
    co.on_suspend(function(task) say(task.name, task:status(), task.where) end)
    helpers.run(function()
      local task = co.spawn_with({ name = "worker" }, function()
        co.defer(function()
          places[3] = helpers.here(1)
          co.yield()
        end)
        places[1] = helpers.here(1)
        co.yield()
        places[2] = helpers.here(1)
        co.sleep(1)
      end)
      places.join = helpers.here(1)
      task:join()
    end)
    assert.same({
      "main waiting " .. places.join,
      "worker ready " .. places[1],
      "worker waiting " .. places[2],
      "worker ready " .. places[3],
    }, lines)
  end)

  it("set by on_suspend may cancel the task, which then ends where it has suspended", function()
    local task
    co.on_suspend(function(suspended)
      if suspended == task then task:cancel "enough" end
    end)
    helpers.run(function()
      local lines, say = helpers.log()
      task = co.spawn(function()
        co.defer(say, "released")
        co.sleep(10)
        say "never"
      end)
      local _, record = task:join()
      assert.equal("enough", record.reason)
      assert.same({ "released" }, lines)
      assert.equal(0, co.now())
    end)
  end)

  it("set by on_exit is called once with each task that has ended, however it ended", function()
    local ended = {}
    co.on_exit(function(task) ended[task.name] = (ended[task.name] or "") .. task:status() end)
    helpers.run(function()
      co.spawn_with({ name = "panicked" }, co.panic, "x"):join()
      co.spawn_with({ name = "exited" }, co.goexit):join()
      local cancelled = co.spawn_with({ name = "cancelled" }, co.sleep, 100)
      co.spawn_with({ name = "daemon", daemon = true }, co.sleep, 100)
      co.yield()
      cancelled:cancel()
    end)
    assert.same({
      main = "done",
      panicked = "panicked",
      exited = "exited",
      cancelled = "cancelled",
      daemon = "cancelled",
    }, ended)
  end)

  it("set by on_exit may join the task", function()
    local joined = {}
    co.on_exit(function(task) joined[task.name] = select(2, task:join()) end)
    helpers.run(function() return "main's result" end)
    assert.same({ main = "main's result" }, joined)
  end)

  it("set by on_panic is called with the record and the task of a panic that nobody joins", function()
    local calls = {}
    local task
    co.on_panic(function(...) calls[#calls + 1] = table.pack(...) end)
    helpers.run(function() task = co.spawn(co.panic, "x") end)
    assert.equal(1, #calls)
    assert.equal("x", calls[1][1].value)
    assert.equal(task, calls[1][2])
  end)

  it("set by on_panic takes the place of the report on stderr", function()
    local result = helpers.run_script [[
      local co = require "coropanic"
      co.on_panic(function(record) print("hook got " .. record.value) end)
      co.run(co.spawn, co.panic, "x")
    ]]
    assert.equal("hook got x\n", result.stdout)
    assert.equal("", result.stderr)
  end)

  it("set by on_panic is not called for a joined panic", function()
    local calls = 0
    co.on_panic(function() calls = calls + 1 end)
    helpers.run(function() co.spawn(co.panic, "x"):join() end)
    assert.equal(0, calls)
  end)

  it("that is removed is not called any more", function()
    local calls = 0
    co.on_spawn(function() calls = calls + 1 end)
    co.on_spawn(nil)
    helpers.run(function() end)
    assert.equal(0, calls)
  end)

  for _, name in ipairs { "on_spawn", "on_start", "on_suspend", "on_exit", "on_panic" } do
    it(("set by %s that panics is reported, and the tasks go on"):format(name), function()
      local result = helpers.run_script(([[
        local co = require "coropanic"
        co.%s(function() error("the hook fails", 0) end)
        co.run(function()
          co.spawn(co.panic, "the task fails")
          co.sleep(0.001)
          print "goes on"
        end)
      ]]):format(name))
      assert.equal("goes on\n", result.stdout)
      assert.equal(0, result.status)
      helpers.assert_contains("panic: the hook fails", result.stderr)
      helpers.assert_contains("panic: the task fails", result.stderr)
    end)
  end

  it("can not suspend: that is reported as its panic", function()
    local result = helpers.run_script [[
      local co = require "coropanic"
      co.on_exit(function() co.sleep(1) end)
      co.run(function() print "goes on" end)
    ]]
    assert.equal("goes on\n", result.stdout)
    helpers.assert_contains("sleep", result.stderr)
  end)

  it("that exits leaves the cancellation of the task that it was called in as it is", function()
    co.on_panic(function() end)
    helpers.run(function()
      local task = co.spawn(function()
        co.defer(function() end)
        pcall(co.sleep, 10)
        co.on_spawn(function()
          co.on_spawn(nil)
          co.goexit()
        end)
        co.spawn(function() end)
        co.sleep(1)
      end)
      co.yield()
      task:cancel "enough"
      local _, record = task:join()
      assert.equal("cancelled", task:status())
      assert.equal("cancelled", record.kind)
      assert.equal("enough", record.reason)
    end)
    co.on_panic(nil)
  end)

  --- A task that swallows its cancellation, is told of a spawn, and then suspends.
  local function spawn_while_cancelled(hook)
    local task = co.spawn(function()
      co.defer(function() end)
      pcall(co.sleep, 10)
      co.on_spawn(function()
        co.on_spawn(nil)
        hook()
      end)
      co.spawn(function() end)
      co.sleep(1)
    end)
    co.yield()
    task:cancel "enough"
    local _, record = task:join()
    return task:status(), record.reason
  end

  co_it("that exits in a frame of its own leaves the cancellation as it is too", function()
    local status, reason = spawn_while_cancelled(function() co.call(co.goexit) end)
    assert.same({ "cancelled", "enough" }, { status, reason })
  end)

  co_it("goes on after a frame of its own although its task is being cancelled", function()
    local returned
    local status, reason = spawn_while_cancelled(function()
      returned = co.call(function() return "result" end)
    end)
    assert.equal("result", returned)
    assert.same({ "cancelled", "enough" }, { status, reason })
  end)

  co_it("defers to the frame that it was called in", seeded, function()
    local lines, say = helpers.log()
    co.call(function()
      co.on_spawn(function()
        co.on_spawn(nil)
        co.defer(say, "deferred by the hook")
        say "hook"
      end)
      co.spawn(function() end)
      say "body"
    end)
    assert.same({ "hook", "body", "deferred by the hook" }, lines)
  end)

  for _, given in ipairs { "nothing", "something" } do
    co_it(("that exits leaves a task that had deferred %s as it is"):format(given), seeded, function()
      local task = co.spawn(function()
        if given == "something" then co.defer(function() end) end
        co.on_spawn(function()
          co.on_spawn(nil)
          co.goexit()
        end)
        co.spawn(function() end)
        co.sleep(1)
        return "goes on"
      end)
      assert.equal("goes on", task:await())
    end)
  end

  it("does not run into the cancellation of the task that it is called in", function()
    local sent
    helpers.run(function()
      co.spawn(function()
        local ch = co.chan(1)
        co.on_spawn(function() sent = pcall(ch.send, ch, "a value") end)
        co.current():cancel()
        co.spawn(function() end)
      end):join()
    end)
    co.on_spawn(nil)
    assert.is_true(sent)
  end)
end)
