local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

describe("co.run", function()
  it("returns what the function returns, nils included", function()
    assert.same({ n = 3, nil, "b", nil }, table.pack(co.run(function() return nil, "b", nil end)))
  end)

  it("passes its arguments on, nils included", function()
    local got
    co.run(function(...) got = table.pack(...) end, nil, "b", nil)
    assert.same({ n = 3, nil, "b", nil }, got)
  end)

  co_it("makes the function a task named main", seeded, function()
    assert.equal("main", co.current().name)
    assert.is_nil(co.current().parent)
    assert.equal("running", co.current():status())
  end)

  it("waits for the tasks that main leaves behind", function()
    local lines, say = helpers.log()
    local result = helpers.run(function()
      co.spawn(function()
        co.sleep(1)
        co.spawn(say, "grandchild")
        say "child"
      end)
      say "main"
      return "result"
    end)
    assert.same({ "main", "child", "grandchild" }, lines)
    assert.equal("result", result)
  end)

  it("raises main's panic, as its record", function()
    local value = {}
    local ok, record = pcall(co.run, function() co.panic(value) end)
    assert.is_false(ok)
    assert.equal(value, record.value)
    assert.equal("main", record.task.name)
  end)

  it("cancels the other tasks and runs their deferred calls before it raises main's panic", function()
    local lines, say = helpers.log()
    local record = helpers.record_of_run(function()
      co.spawn(function()
        co.defer(say, "deferred")
        co.sleep(100)
        say "never"
      end)
      co.yield()
      co.panic "x"
    end)
    assert.equal("x", record.value)
    assert.same({ "deferred" }, lines)
  end)

  it("can run again after a panic", function()
    helpers.record_of_run(co.panic, "x")
    assert.equal("again", helpers.run(function() return "again" end))
  end)

  it("leaves no task behind", function()
    helpers.record_of_run(function()
      for _ = 1, 10 do
        co.spawn(co.sleep, 100)
      end
      co.panic "x"
    end)
    assert.same({}, co.tasks())
    assert.is_nil(co.current())
  end)

  co_it("is an ordinary error to the task that calls it: there is co.scope for that", seeded, function()
    local ok, err = pcall(co.run, function() end)
    assert.is_false(ok)
    helpers.assert_contains("scope", helpers.message_of(err))
  end)
end)

describe("co.run_with", function()
  it("names the main task", function()
    assert.equal("server", co.run_with({ name = "server" }, function() return co.current().name end))
  end)

  it("takes its arguments after the function", function()
    assert.same({ n = 2, "a", nil }, table.pack(co.run_with({}, function(...) return ... end, "a", nil)))
  end)

  it("takes no option over to the next run", function()
    local before = co.now()
    co.run_with({ clock = "virtual", unhandled = error, name = "server" }, co.sleep, 10 ^ 9)
    co.run(function()
      assert.equal("main", co.current().name)
      assert.is_true(co.now() - before < 10 ^ 9)
    end)
  end)
end)

describe("co.spawn", function()
  co_it("passes its arguments to the task, nils included", seeded, function()
    local got
    co.scope(function()
      co.spawn(function(...) got = table.pack(...) end, nil, "b", nil)
    end)
    assert.same({ n = 3, nil, "b", nil }, got)
  end)

  co_it("returns at once: the task runs when its spawner suspends or ends", function()
    local lines, say = helpers.log()
    co.spawn(say, "child")
    say "parent"
    co.yield()
    say "parent again"
    assert.same({ "parent", "child", "parent again" }, lines)
  end)

  co_it("starts tasks in the order in which they were spawned", function()
    local lines, say = helpers.log()
    co.scope(function()
      for i = 1, 5 do
        co.spawn(say, i)
      end
    end)
    assert.same({ "1", "2", "3", "4", "5" }, lines)
  end)

  it("accepts anything that can be called", function()
    local object = setmetatable({}, { __call = function(_, word) return "called with " .. word end })
    helpers.run(function() assert.equal("called with x", co.spawn(object, "x"):await()) end)
  end)

  co_it("is cheap enough for ten thousand tasks at once", function()
    local count = 0
    co.scope(function()
      for _ = 1, 10000 do
        co.spawn(function()
          co.yield()
          count = count + 1
        end)
      end
    end)
    assert.equal(10000, count)
  end)

  co_it("works in a deferred call", seeded, function()
    local lines, say = helpers.log()
    co.scope(function()
      co.defer(co.spawn, say, "spawned")
    end)
    assert.same({ "spawned" }, lines)
  end)

  it("gives each of many generations its own stack", function()
    local function descend(n)
      return n == 0 and "bottom" or (co.spawn(descend, n - 1):await())
    end
    assert.equal("bottom", helpers.run(descend, 1000))
  end)
end)

describe("a task that spawns its successor for ever", function()
  co_it("does not keep all that were before it", seeded, function()
    local generations = setmetatable({}, { __mode = "v" })
    co.scope(function()
      local function succeed(n)
        generations[n] = co.current()
        if n < 500 then
          co.spawn(succeed, n + 1)
        else
          collectgarbage()
          collectgarbage()
        end
      end
      co.spawn(succeed, 1)
    end)
    local kept = 0
    for _ in pairs(generations) do
      kept = kept + 1
    end
    assert.is_true(kept < 250, kept .. " of 500 are kept")
  end)
end)

describe("co.spawn_with", function()
  co_it("reads options that a metatable gives", function()
    local defaults = { name = "worker", daemon = true }
    local task = co.spawn_with(setmetatable({ name = "special" }, { __index = defaults }), co.sleep, 1)
    assert.equal("special", task.name)
    assert.is_true(task.daemon)
    assert.equal("worker", co.spawn_with(setmetatable({}, { __index = defaults }), co.sleep, 1).name)
  end)

  co_it("names the task", seeded, function()
    assert.equal("worker", co.spawn_with({ name = "worker" }, function() end).name)
  end)

  it("makes a daemon: run does not wait for it, and runs its deferred calls", function()
    local lines, say = helpers.log()
    helpers.run(function()
      co.spawn_with({ daemon = true }, function()
        co.defer(say, "deferred")
        while true do
          co.sleep(1)
        end
      end)
      co.sleep(0.5)
    end)
    assert.same({ "deferred" }, lines)
  end)

  co_it("starts a new trace with detached_trace", seeded, function()
    local detached = co.spawn_with({ detached_trace = true }, function() return co.trace.current() end)
    local own, its = co.trace.current(), detached:await()
    assert.not_equal(own.trace_id, its.trace_id)
    assert.is_nil(its.parent_span_id)
    assert.equal(co.current(), detached.parent)
  end)
end)

describe("a task", function()
  it("has an id that no other task has had", function()
    local seen, count = {}, 0
    for _ = 1, 3 do
      helpers.run(function()
        for _ = 1, 100 do
          local id = co.spawn(function() end).id
          assert.equal("integer", math.type(id))
          count = count + (seen[id] and 0 or 1)
          seen[id] = true
        end
      end)
    end
    assert.equal(300, count)
  end)

  co_it("has a name: its id's, unless it was given one", seeded, function()
    local task = co.spawn(function() end)
    assert.equal("task " .. task.id, task.name)
  end)

  co_it("has the task that spawned it as its parent", seeded, function()
    local main = co.current()
    local child = co.spawn(function() return co.spawn(function() end) end)
    assert.equal(main, child.parent)
    assert.equal(child, child:await().parent)
  end)

  co_it("knows where it was spawned", seeded, function()
    local task = co.spawn(function() end)
    assert.equal(helpers.here(-1), task.spawned_at)
  end)

  co_it("knows its place among the places of many others", seeded, function()
    local lines = {}
    for line = 1, 200 do lines[line] = "tasks[#tasks + 1] = spawn(function() end)" end
    local tasks = {}
    assert(load(table.concat(lines, "\n"), "=many places", "t", { tasks = tasks, spawn = co.spawn }))()
    for line = 1, 200 do assert.equal("many places:" .. line, tasks[line].spawned_at) end
  end)

  co_it("has a trace id and a span id, also after its end", seeded, function()
    local task = co.spawn(function() return co.trace.current() end)
    local trace_id, span_id = task.trace_id, task.span_id
    local inside = task:await()
    assert.same({ inside.trace_id, inside.span_id }, { trace_id, span_id })
    assert.same({ inside.trace_id, inside.span_id }, { task.trace_id, task.span_id })
  end)

  co_it("is ready, running, waiting, then done", function()
    local inside
    local task = co.spawn(function()
      inside = co.current():status()
      co.sleep(1)
    end)
    local statuses = { task:status() }
    co.yield()
    statuses[2] = inside
    statuses[3] = task:status()
    task:join()
    statuses[4] = task:status()
    assert.same({ "ready", "running", "waiting", "done" }, statuses)
  end)

  co_it("ends as panicked, cancelled or exited else", seeded, function()
    local panicked, exited = co.spawn(co.panic, "x"), co.spawn(co.goexit)
    local cancelled = co.spawn(co.sleep, 100)
    co.yield()
    cancelled:cancel()
    for _, task in ipairs { panicked, exited, cancelled } do
      task:join()
    end
    assert.same({ "panicked", "exited", "cancelled" },
      { panicked:status(), exited:status(), cancelled:status() })
  end)

  co_it("has where, the place at which it stands until it ends", function()
    local parked_at
    local task = co.spawn(function()
      parked_at = helpers.here(1)
      co.sleep(1)
    end)
    assert.equal("?", task.where)
    assert.equal(helpers.here(), co.current().where)
    co.yield()
    assert.equal(parked_at, task.where)
    task:join()
    assert.is_nil(task.where)
  end)

  co_it("has daemon, as it was spawned", seeded, function()
    assert.is_true(co.spawn_with({ daemon = true }, co.sleep, 1).daemon)
    assert.is_false(co.spawn(co.yield).daemon)
  end)

  co_it("waits on nothing, on sleep, on await or on the task that it joins", function()
    local main = co.current()
    local sleeper = co.spawn(co.sleep, 1)
    local awaiter = co.spawn(co.await, function(resume) co.spawn(resume) end)
    local joiner = co.spawn(function() sleeper:join() end)
    assert.is_nil(main.waiting_on)
    assert.is_nil(sleeper.waiting_on)
    co.yield()
    assert.equal("sleep", sleeper.waiting_on)
    assert.equal("await", awaiter.waiting_on)
    assert.equal(sleeper, joiner.waiting_on)
    sleeper:join()
    assert.is_nil(sleeper.waiting_on)
  end)

  co_it("tells what it is by tostring", seeded, function()
    local task = co.spawn_with({ name = "worker" }, function() end)
    helpers.assert_contains("worker", tostring(task))
    helpers.assert_contains(tostring(task.id), tostring(task))
  end)
end)

describe("co.yield", function()
  co_it("lets each ready task run once, in turn", function()
    local lines, say = helpers.log()
    co.scope(function()
      for _, name in ipairs { "a", "b" } do
        co.spawn(function()
          for i = 1, 3 do
            say(name, i)
            co.yield()
          end
        end)
      end
    end)
    assert.same({ "a 1", "b 1", "a 2", "b 2", "a 3", "b 3" }, lines)
  end)

  it("returns nothing", function()
    helpers.run(function() assert.equal(0, select("#", co.yield())) end)
  end)

  it("returns to a task that is alone", function()
    helpers.run(function()
      for _ = 1, 1000 do
        co.yield()
      end
    end)
    assert.same({}, co.tasks())
  end)
end)

describe("co.current", function()
  co_it("is the running task", seeded, function()
    local task = co.spawn(co.current)
    assert.equal(task, task:await())
  end)

  it("is nil outside tasks", function() assert.is_nil(co.current()) end)

  co_it("is the same before and after a suspension", seeded, function()
    local before = co.current()
    co.spawn(function() end)
    co.yield()
    assert.equal(before, co.current())
  end)

  co_it("keeps the parents that are live, however many generations there are", seeded, function()
    local tasks = {}
    local function nest(n)
      tasks[n] = co.current()
      if n < 70 then return co.spawn(nest, n + 1):await() end
      for i = 2, 70 do assert.equal(tasks[i - 1].id, tasks[i].parent.id) end
    end
    nest(1)
  end)
end)
