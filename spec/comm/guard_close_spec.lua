--- Guards: locks and permits that are held in to-be-closed variables.

local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

describe("a mutex's guard", function()
  co_it("unlocks at the end of the block", seeded, function()
    local m = co.mutex()
    do
      local guard <close> = m:guard()
      assert.is_true(m:locked())
      helpers.assert_contains("guard of mutex (held by", tostring(guard))
    end
    assert.is_false(m:locked())
  end)

  co_it("unlocks when the block is left by a panic, goexit or a cancellation", seeded, function()
    local m = co.mutex()
    for _, leave in ipairs { error, co.goexit, co.sleep } do
      local task = co.spawn(function()
        local _ <close> = m:guard()
        leave(100)
      end)
      co.yield()
      task:cancel()
      task:join()
      assert.is_false(m:locked())
    end
  end)

  co_it("waits, and is nil when the time runs out", function()
    local m = co.mutex()
    local holder = co.spawn(function()
      local _ <close> = m:guard()
      co.sleep(2)
    end)
    co.yield()
    local early <close> = m:guard(1)
    assert.is_nil(early)
    do
      local late <close> = m:guard(5)
      assert.is_truthy(late)
      assert.equal(co.current(), m:owner())
      assert.equal("done", holder:status())
    end
    assert.is_false(m:locked())
  end)

  co_it("panics where the owner has ended without unlocking, of a mutex and of an rwmutex", function()
    for _, make in ipairs { co.mutex, co.rwmutex } do
      local lock = make()
      co.spawn(lock.lock, lock):join()
      for _, method in ipairs { "guard", "rguard" } do
        if lock[method] then
          helpers.assert_contains("which has ended (taken at ", helpers.record_of(lock[method], lock).message)
        end
      end
    end
  end)

  co_it("unlocks once", seeded, function()
    local m = co.mutex()
    local guard = m:guard()
    for _ = 1, 2 do
      local _ <close> = guard
    end
    assert.is_false(m:locked())
  end)
end)

describe("an rwmutex", function()
  co_it("has guards for writers and readers", function()
    local rw = co.rwmutex()
    do
      local _ <close> = rw:rguard()
      assert.equal("rwmutex (1 reader)", tostring(rw))
      local late <close> = rw:guard(1)
      assert.is_nil(late)
    end
    do
      local _ <close> = rw:guard()
      assert.is_false(rw:try_rlock())
    end
    assert.equal("rwmutex (unlocked)", tostring(rw))
  end)
end)

describe("a semaphore's guard", function()
  it("holds permits to the end of a block, however that is left", function()
    local s = co.semaphore(3)
    do
      local guard <close> = s:guard(2)
      assert.equal("guard of semaphore (1 of 3 free)", tostring(guard))
      local _ <close> = s:guard()
      assert.equal(0, s:available())
    end
    assert.equal(3, s:available())
    pcall(function()
      local _ <close> = s:guard(3)
      error "x"
    end)
    assert.equal(3, s:available())
  end)

  co_it("waits in the queue, and is nil where the time runs out", seeded, function()
    local s = co.semaphore(1)
    s:acquire()
    assert.is_nil(s:guard(1, 0))
    assert.is_nil(s:guard(1, 2))
    assert.equal(2, co.now())
    local got
    co.spawn(function()
      local guard <close> = s:guard()
      got = tostring(guard)
    end)
    co.sleep(1)
    s:release()
    co.sleep(1)
    assert.equal("guard of semaphore (0 of 1 free)", got)
    assert.equal(1, s:available())
  end)

  co_it("gives back what it was given when its task is cancelled in the same tick", seeded, function()
    local s = co.semaphore(1)
    s:acquire()
    local task = co.spawn(function() local _ <close> = s:guard() end)
    co.yield()
    s:release()
    task:cancel()
    task:join()
    assert.equal(1, s:available())
  end)

  it("says what is wrong with its arguments", function()
    local s = co.semaphore(1)
    assert.has_error(function() s:guard(2) end, "bad argument #1 to 'guard' (2 of 1 permits wanted)")
  end)
end)

describe("the guard of a condition's mutex", function()
  co_it("unlocks it again after a wait, and after one that is cancelled", function()
    local mutex = co.mutex()
    local condition = co.condition(mutex)
    local lines, say = helpers.log()
    local tasks = {}
    for i = 1, 2 do
      tasks[i] = co.spawn(function()
        local _ <close> = mutex:guard()
        co.defer(say, i, "ended")
        condition:wait()
        say(i, mutex:owner() == co.current())
      end)
    end
    co.yield()
    tasks[1]:cancel()
    condition:signal()
    tasks[2]:join()
    assert.same({ "1 ended", "2 true", "2 ended" }, lines)
    assert.is_false(mutex:locked())
  end)
end)

describe("a guard, whatever the schedule,", function()
  it("unlocks", function()
    for seed = 1, 2000 do
      local random = helpers.random(seed)
      co.run_with({ seed = seed, clock = "virtual" }, function()
        local m = co.mutex()
        local tasks = {}
        for i = 1, 5 do
          tasks[i] = co.spawn(function()
            local _ <close> = m:guard(random(2) == 1 and random(8) / 8 or nil)
            co.sleep(random(8) / 8)
          end)
        end
        for _ = 1, 3 do
          co.sleep(random(8) / 8)
          tasks[random(5)]:cancel()
        end
        for _, task in ipairs(tasks) do
          assert(task:join() or task:status() == "cancelled")
        end
        assert(not m:locked())
      end)
    end
  end)
end)
