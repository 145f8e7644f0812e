local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

describe("co.sleep", function()
  co_it("suspends the task for as long as it says", seeded, function()
    local start = co.now()
    co.sleep(2.5)
    assert.equal(2.5, co.now() - start)
  end)

  co_it("lets other tasks run", seeded, function()
    local lines, say = helpers.log()
    co.spawn(say, "another")
    co.sleep(1)
    say "awake"
    assert.same({ "another", "awake" }, lines)
  end)

  co_it("wakes tasks in the order of their deadlines", seeded, function()
    local lines, say = helpers.log()
    co.scope(function()
      for _, seconds in ipairs { 3, 1, 2 } do
        co.spawn(function()
          co.sleep(seconds)
          say(seconds)
        end)
      end
    end)
    assert.same({ "1", "2", "3" }, lines)
  end)

  co_it("wakes thousands of tasks in the order of their deadlines", seeded, function()
    local woken = {}
    co.scope(function()
      for i = 1, 3000 do
        local seconds = (i * 7919) % 3000 + 1
        co.spawn(function()
          co.sleep(seconds)
          woken[#woken + 1] = seconds
        end)
      end
    end)
    local expected = {}
    for i = 1, 3000 do
      expected[i] = i
    end
    assert.same(expected, woken)
  end)

  co_it("wakes tasks of the same deadline in the order in which they went to sleep", function()
    local lines, say = helpers.log()
    co.scope(function()
      for i = 1, 20 do
        co.spawn(function()
          co.sleep(1)
          say(i)
        end)
      end
    end)
    local expected = {}
    for i = 1, 20 do
      expected[i] = tostring(i)
    end
    assert.same(expected, lines)
  end)

  it("wakes tasks when their time has come, however many others are cancelled", function()
    math.randomseed(7)
    for _ = 1, 50 do
      local late = {}
      helpers.run(function()
        local tasks = {}
        for i = 1, 40 do
          local seconds = math.random(1000)
          tasks[i] = co.spawn(function()
            co.sleep(seconds)
            if co.now() ~= seconds then late[#late + 1] = seconds end
          end)
        end
        co.yield()
        for _ = 1, 10 do tasks[math.random(#tasks)]:cancel() end
      end)
      assert.same({}, late)
    end
  end)

  co_it("of 0 is a turn of the others", seeded, function()
    local lines, say = helpers.log()
    co.spawn(say, "another")
    co.sleep(0)
    say "awake"
    assert.same({ "another", "awake" }, lines)
  end)

  it("returns nothing", function()
    helpers.run(function() assert.equal(0, select("#", co.sleep(1))) end)
  end)

  co_it("accepts years", seeded, function()
    local start = co.now()
    co.sleep(10 ^ 9)
    assert.equal(10 ^ 9, co.now() - start)
  end)

  it("accepts an hour that nobody waits for", function()
    helpers.run(function()
      co.spawn_with({ daemon = true }, co.sleep, 3600)
      co.yield()
    end)
    assert.same({}, co.tasks())
  end)
end)

describe("the virtual clock", function()
  it("stands still while tasks are ready", function()
    helpers.run(function()
      co.spawn(co.sleep, 1)
      local start = co.now()
      for _ = 1, 1000 do
        co.yield()
      end
      assert.equal(start, co.now())
    end)
  end)

  co_it("jumps to the next timer when all tasks are parked", seeded, function()
    local times = {}
    co.scope(function()
      local start = co.now()
      for _, seconds in ipairs { 10, 20, 40 } do
        co.spawn(function()
          co.sleep(seconds)
          times[#times + 1] = co.now() - start
        end)
      end
    end)
    assert.same({ 10, 20, 40 }, times)
  end)

  co_it("is the clock of time-outs too", seeded, function()
    local start = co.now()
    local task = co.spawn(co.await, function() end)
    task:join(86400)
    assert.equal(86400, co.now() - start)
    task:cancel()
  end)

  co_it("sums what a task sleeps, to the nanosecond", seeded, function()
    local start = co.now()
    for _ = 1, 1000 do
      co.sleep(0.001)
    end
    assert.is_true(math.abs(co.now() - start - 1) < 1e-9)
  end)
end)

describe("the real clock", function()
  co_it("never goes back, and passes what was slept", function()
    local start = co.now()
    co.sleep(0.002)
    assert.is_true(co.now() - start >= 0.002)
  end)

  it("can be read outside tasks", function()
    local first = co.now()
    assert.equal("float", math.type(first))
    assert.is_true(co.now() >= first)
  end)
end)
