-- Scripts that call us while we make something: their finalizers run at any allocation, their hooks and
-- listeners in the middle of a spawn or of an end. None of them may see what is half made.

local co = require "coropanic"
local helpers = require "spec.helpers"
local with_storm = require "spec.reentry.finalizer_storm"

describe("a finalizer that runs while a task is spawned", function()
  it("may spawn tasks itself", function()
    helpers.run_apart(function()
      local from_finalizers, ran, plain = 0, 0, 0
      local function spawn()
        if from_finalizers < 300 then
          from_finalizers = from_finalizers + 1
          co.spawn(function() ran = ran + 1 end)
        end
      end
      co.run(function()
        with_storm(spawn, function()
          for _ = 1, 300 do co.spawn(function() plain = plain + 1 end) end
        end)
      end)
      assert(plain == 300)
      assert(from_finalizers > 0)
      assert(ran == from_finalizers)
    end)
  end)

  it("may step the loop, while somebody listens to spans", function()
    helpers.run_apart(function()
      local spans, ran = 0, 0
      co.trace.on_span(function() spans = spans + 1 end)
      with_storm(co.step, function()
        for _ = 1, 100 do co.spawn(function() ran = ran + 1 end) end
      end)
      co.run(function() end)
      assert(ran == 100)
      assert(spans == 101)
    end)
  end)

  it("may run a whole run, which ends", function()
    helpers.run_apart(function()
      local ran, runs = 0, 0
      local function run()
        co.run(function() runs = runs + 1 end)
      end
      with_storm(run, function()
        for _ = 1, 30 do co.spawn_with({ name = "x", attributes = {} }, function() ran = ran + 1 end) end
      end)
      co.run(function() end)
      assert(ran == 30)
      assert(runs > 0)
    end)
  end)

  it("may end the scope that it is spawned in", function()
    helpers.run_apart(function()
      local ran = 0
      for _ = 1, 50 do
        local scope
        local owner = co.spawn(co.scope, function(s)
          scope = s
          co.sleep(1e6)
        end)
        co.step()
        with_storm(function() scope:cancel() co.step() end, function()
          pcall(scope.spawn, scope, function() ran = ran + 1 co.yield() end)
        end)
        scope:cancel()
        co.run(function() end)
        assert(owner:status() == "done")
      end
      assert(co.stats().live == 0)
    end)
  end)

  it("may end the context that it is spawned under", function()
    helpers.run_apart(function()
      for _ = 1, 50 do
        local context, cancel = co.context.with_cancel(co.context.background())
        local task
        with_storm(cancel, function()
          task = co.spawn_with({ context = context }, co.sleep, 1e6)
        end)
        cancel()
        co.run(function() assert(not task:join()) end)
        assert(task:status() == "cancelled")
      end
    end)
  end)
end)

describe("who is told that a task has panicked", function()
  it("may join it: a listener of spans", function()
    local panics = co.on_panic(function() end)
    local task, joined
    local listener = co.trace.on_span(function(span)
      if task and span.task == task.id then joined = { task:join() } end
    end)
    co.run(function()
      task = co.spawn(error, "x", 0)
      co.yield()
      co.yield()
    end)
    co.trace.on_span(listener)
    co.on_panic(panics)
    assert.is_false(joined[1])
    assert.equal("x", joined[2].message)
  end)

  it("has it then: the panic is not reported besides", function()
    local task
    local listener = co.trace.on_span(function(span)
      if task and span.task == task.id then task:join() end
    end)
    local reports = helpers.run_reporting(function()
      task = co.spawn(error, "x", 0)
      co.sleep(5)
    end)
    co.trace.on_span(listener)
    assert.equal(0, #reports)
  end)

  it("may join it: a debug hook, in any call that ends it", function()
    local task
    local joins, panicked = 0, 0
    local function join()
      if task and task:status() == "panicked" then
        panicked = panicked + 1
        local ok, record = task:join()
        if not ok and record.message == "x" then joins = joins + 1 end
      end
    end
    debug.sethook(join, "c")
    local reports = helpers.run_reporting(function()
      task = co.spawn(error, "x", 0)
      co.yield()
    end)
    debug.sethook()
    assert.equal(0, #reports)
    assert.is_true(panicked > 0)
    assert.equal(panicked, joins)
  end)
end)

describe("a debug hook that runs in every call of ours", function()
  it("may spawn tasks", function()
    local ran, wanted = 0, 0
    local function hook()
      if wanted < 200 then
        wanted = wanted + 1
        co.spawn(function() ran = ran + 1 end)
      end
    end
    local plain = 0
    co.run(function()
      debug.sethook(hook, "c")
      for _ = 1, 50 do
        co.spawn_with({ context = co.ctx() }, function() plain = plain + 1 end)
      end
      debug.sethook()
    end)
    assert.equal(50, plain)
    assert.equal(wanted, ran)
  end)
end)

describe("a finalizer that runs in a task", function()
  --- Lets `finalize` run as a finalizer, here.
  local function collect(finalize)
    setmetatable({}, { __gc = finalize })
    collectgarbage()
    collectgarbage()
  end

  it("can not end the task by goexit", function()
    local err
    local result = co.run(function()
      collect(function() err = select(2, pcall(co.goexit)) end)
      co.yield()
      return "went on"
    end)
    assert.equal("went on", result)
    helpers.assert_contains("co.goexit in a finalizer", err)
  end)

  it("can not recover the panic of a deferred call in which it runs", function()
    local value
    local ok = pcall(co.call, function()
      co.defer(function() collect(function() value = co.recover() end) end)
      error "x"
    end)
    assert.is_false(ok)
    assert.is_nil(value)
  end)

  it("leaves its cancellation to the task", function()
    local raised = {}
    local task
    co.run(function()
      task = co.spawn(function()
        task:cancel()
        collect(function()
          pcall(co.sleep, 0)
          pcall(task.join, task)
        end)
        raised[1] = not pcall(co.yield)
      end)
      task:join()
    end)
    assert.is_true(raised[1])
    assert.equal("cancelled", task:status())
  end)
end)

describe("a finalizer that runs while tasks are listed", function()
  it("may spawn tasks: those that were there before are listed all the same", function()
    helpers.run_apart(function()
      local from_finalizers = 0
      local function spawn()
        if from_finalizers < 300 then
          from_finalizers = from_finalizers + 1
          co.spawn(function() end)
        end
      end
      co.run(function()
        local kept = {}
        for _ = 1, 300 do co.spawn(function() end) end
        for i = 1, 10 do kept[i] = co.spawn(co.sleep, math.huge) end
        co.yield()
        with_storm(spawn, function()
          for _ = 1, 50 do
            local listed = {}
            for _, task in ipairs(co.tasks()) do listed[task] = true end
            for _, task in ipairs(kept) do assert(listed[task], "not listed") end
          end
        end)
        for _, task in ipairs(kept) do task:cancel() end
      end)
      assert(from_finalizers > 0)
    end)
  end)
end)
