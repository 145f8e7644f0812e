--- For hosts that have a loop of their own: they step tasks instead of calling co.run.

local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

local function yield_times(n)
  for _ = 1, n do
    co.yield()
  end
end

describe("co.step", function()
  after_each(helpers.end_all_tasks)

  it("runs tasks that were spawned outside any task", function()
    local task = co.spawn(function() return "result" end)
    assert.equal("ready", task:status())
    co.step(0)
    assert.same({ true, "result" }, { task:join() })
    assert.is_nil(task.parent)
  end)

  it("with a budget of 0 runs each ready task once", function()
    local lines, say = helpers.log()
    for _, name in ipairs { "a", "b" } do
      co.spawn(function()
        say(name, 1)
        co.yield()
        say(name, 2)
      end)
    end
    co.step(0)
    assert.same({ "a 1", "b 1" }, lines)
    co.step(0)
    assert.same({ "a 1", "b 1", "a 2", "b 2" }, lines)
  end)

  it("without a budget is one round", function()
    local task = co.spawn(yield_times, 1)
    co.step()
    assert.equal("ready", task:status())
    co.step()
    assert.equal("done", task:status())
  end)

  it("with a budget goes on until it is spent or nothing is ready", function()
    local task = co.spawn(yield_times, 100)
    co.step(60)
    assert.equal("done", task:status())
  end)

  it("returns whether something is still ready", function()
    co.spawn(yield_times, 1)
    assert.is_true(co.step(0))
    assert.is_false(co.step(0))
  end)

  it("does not wait for a task that sleeps", function()
    local task = co.spawn(co.sleep, 3600)
    assert.is_false(co.step(0))
    assert.is_false(co.step(0))
    assert.equal("waiting", task:status())
  end)

  it("does not wait for a task that nothing will wake: a host may", function()
    local resume
    local task = co.spawn(co.await, function(r) resume = r end)
    assert.is_false(co.step(0))
    resume "result"
    co.step(0)
    assert.same({ true, "result" }, { task:join() })
  end)

  it("wakes tasks whose time has come", function()
    local task = co.spawn(co.sleep, 0.001)
    helpers.step_all()
    assert.equal("done", task:status())
  end)

  it("survives a panic: it goes to the handler when nobody can join any more", function()
    local got = {}
    co.on_panic(function(record) got[#got + 1] = record.value end)
    co.spawn(co.panic, "x")
    local told_in
    for round = 1, 100 do
      collectgarbage()
      co.step(0)
      told_in = told_in or #got > 0 and round
      if told_in and round > told_in + 5 then break end -- and not again
    end
    co.on_panic(nil)
    assert.same({ "x" }, got)
  end)

  it("leaves a panic to whoever joins", function()
    local got = {}
    co.on_panic(function(record) got[#got + 1] = record.value end)
    local task = co.spawn(co.panic, "x")
    co.step(0)
    local ok, record = task:join()
    task = nil
    for _ = 1, 10 do
      collectgarbage()
      co.step(0)
    end
    co.on_panic(nil)
    assert.is_false(ok)
    assert.equal("x", record.value)
    assert.is_nil(task)
    assert.same({}, got)
  end)

  it("runs in coroutines of the host", function()
    local task = co.spawn(function() return "result" end)
    coroutine.wrap(function() co.step(0) end)()
    assert.same({ true, "result" }, { task:join() })
  end)

  co_it("is an error in a task", seeded, function()
    local ok, err = pcall(co.step, 0)
    assert.is_false(ok)
    helpers.assert_contains("step", helpers.message_of(err))
  end)
end)

describe("co.timeout", function()
  after_each(helpers.end_all_tasks)

  it("is nil when there is nothing to wait for", function() assert.is_nil(co.timeout()) end)

  it("is 0 when a task is ready", function()
    co.spawn(function() end)
    assert.equal(0, co.timeout())
  end)

  it("is the time until the next timer", function()
    co.spawn(co.sleep, 3600)
    co.spawn(co.sleep, 60)
    co.step(0)
    local timeout = co.timeout()
    assert.is_true(timeout > 0 and timeout <= 60)
  end)

  it("is nil when tasks wait for what has no time", function()
    co.spawn(co.await, function() end)
    co.step(0)
    assert.is_nil(co.timeout())
  end)
end)
