local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

--- Spawns `count` tasks that lock `m` one after the other and log their number; the mutex is held.
local function queue(m, count, say)
  local tasks = {}
  for i = 1, count do
    tasks[i] = co.spawn(function()
      m:lock()
      say(i)
      m:unlock()
    end)
  end
  co.yield()
  return tasks
end

describe("a mutex", function()
  co_it("is held by one task at a time", seeded, function()
    local m, inside, most = co.mutex(), 0, 0
    local tasks = {}
    for i = 1, 10 do
      tasks[i] = co.spawn(function()
        local locked = m:lock()
        inside = inside + 1
        most = math.max(most, inside)
        co.sleep(1)
        inside = inside - 1
        m:unlock()
        return locked
      end)
    end
    for _, task in ipairs(tasks) do
      assert.is_true(task:await())
    end
    assert.equal(1, most)
  end)

  co_it("serves those who wait first in, first out", function()
    local lines, say = helpers.log()
    co.scope(function()
      local m = co.mutex()
      m:lock()
      queue(m, 3, say)
      m:unlock()
    end)
    assert.same({ "1", "2", "3" }, lines)
  end)

  co_it("is handed to the first who waits: nobody overtakes", function()
    local m = co.mutex()
    m:lock()
    local waiter = queue(m, 1, function() end)[1]
    m:unlock()
    assert.is_false(m:try_lock())
    assert.equal(waiter, m:owner())
  end)

  co_it("knows whether it is locked, and by whom", seeded, function()
    local m = co.mutex()
    assert.same({ false, nil }, { m:locked(), m:owner() })
    m:lock()
    assert.is_true(m:locked())
    assert.equal(co.current(), m:owner())
    m:unlock()
    assert.is_nil(m:owner())
  end)

  co_it("tells its state as text", function()
    local m = co.mutex()
    assert.equal("mutex (unlocked)", tostring(m))
    local at = helpers.here(1)
    m:lock()
    assert.equal(('mutex (held by task 1 "main", taken at %s)'):format(at),
      (tostring(m):gsub("task %d+", "task 1")))
    m:unlock()
  end)

  co_it("says what a waiting task waits on", function()
    local m = co.mutex()
    m:lock()
    local waiter = queue(m, 1, function() end)[1]
    assert.equal(m, waiter.waiting_on)
    helpers.assert_contains("waiting on lock of mutex (held by task", co.dump())
    m:unlock()
  end)

  co_it("returns false when the time runs out, and is not given later", seeded, function()
    local m, start = co.mutex(), co.now()
    m:lock()
    local waiter = co.spawn(function()
      assert.is_false(m:lock(2))
      return co.now() - start
    end)
    assert.equal(2, waiter:await())
    m:unlock()
    assert.is_false(m:locked())
  end)

  co_it("does not wait with a time-out of 0", seeded, function()
    local m = co.mutex()
    assert.is_true(m:lock(0))
    assert.is_false(co.spawn(function() return m:lock(0) end):await())
  end)

  co_it("is not given to a task that is cancelled while it waits", function()
    local lines, say = helpers.log()
    co.scope(function()
      local m = co.mutex()
      m:lock()
      queue(m, 3, say)[2]:cancel()
      m:unlock()
    end)
    assert.same({ "1", "3" }, lines)
  end)

  co_it("goes on to the next when the task that it was handed to is cancelled before it runs", function()
    local lines, say = helpers.log()
    local m = co.mutex()
    m:lock()
    local waiters = queue(m, 2, say)
    m:unlock()
    waiters[1]:cancel()
    assert.equal(waiters[1], m:owner())
    waiters[2]:join()
    assert.equal("cancelled", waiters[1]:status())
    assert.is_false(m:locked())
    assert.same({ "2" }, lines)
  end)

  co_it("is kept by a deferred call that is shielded from the cancellation", function()
    local lines, say = helpers.log()
    local m = co.mutex()
    m:lock()
    local task = co.spawn(function()
      co.defer(function()
        say(m:lock())
        m:unlock()
      end)
      co.sleep(100)
    end)
    co.yield()
    task:cancel()
    co.yield()
    task:cancel()
    m:unlock()
    task:join()
    assert.same({ "true" }, lines)
  end)

  co_it("raises a pending cancellation even when it is free", seeded, function()
    local m = co.mutex()
    local task = co.spawn(function()
      co.current():cancel()
      m:lock()
    end)
    task:join()
    assert.equal("cancelled", task:status())
    assert.is_false(m:locked())
  end)

  co_it("locked again by its owner is a deadlock at once, that says where it was taken", seeded, function()
    local m = co.mutex()
    local at = helpers.here(1)
    m:lock()
    local record = helpers.record_of(m.lock, m)
    assert.equal("deadlock", record.kind)
    assert.equal(("mutex is already held by this task (taken at %s)"):format(at), record.message)
    assert.is_false(m:try_lock())
    m:unlock()
  end)

  it("is in the cycle of a deadlock", function()
    local record = helpers.record_of_run(function()
      local a, b = co.mutex(), co.mutex()
      a:lock()
      co.spawn(function()
        b:lock()
        a:lock()
      end)
      co.yield()
      b:lock()
    end)
    assert.equal("deadlock", record.kind)
    assert.equal(2, #record.cycle)
    for _, parked in ipairs(record.cycle) do
      assert.matches('^lock of mutex %(held by task %d+ ".-", taken at .-:%d+%)$', parked.waiting_on)
    end
  end)
end)

describe("unlock", function()
  it("of an unlocked mutex is an error", function()
    local ok, message = pcall(function() co.mutex():unlock() end)
    assert.is_false(ok)
    assert.matches("^spec/comm/mutex_spec%.lua:%d+: unlock of unlocked mutex$", (message:gsub("^%./", "")))
  end)

  co_it("by another task is an error that names the owner", function()
    local m = co.mutex()
    local at
    local owner = co.spawn_with({ name = "a" }, function()
      at = helpers.here(1)
      m:lock()
      co.sleep(1)
      m:unlock()
    end)
    co.yield()
    local message = helpers.record_of(function() m:unlock() end).message
    helpers.assert_contains(
      ('unlock of a mutex that task %d "a" holds (taken at %s)'):format(owner.id, at), message)
    owner:join()
  end)
end)

describe("a mutex whose owner has ended", function()
  --- Runs `body` with a mutex and the task that has ended without unlocking it.
  local function with_abandoned(ending, body)
    return helpers.run(function()
      local m = co.mutex()
      local at
      local owner = co.spawn_with({ name = "a" }, function()
        at = helpers.here(1)
        m:lock()
        co.yield()
        ending()
      end)
      co.yield()
      return body(m, owner, function()
        return ('mutex is held by task %d "a", which has ended (taken at %s)'):format(owner.id, at)
      end)
    end)
  end

  for name, ending in pairs {
    ["returned"] = function() end,
    ["panicked"] = function() error "x" end,
    ["exited"] = co.goexit,
    ["been cancelled"] = function()
      co.current():cancel()
      co.yield()
    end,
  } do
    it(("and has %s panics in the next lock and try_lock"):format(name), function()
      with_abandoned(ending, function(m, owner, message)
        owner:join()
        for _, method in ipairs { "lock", "try_lock" } do
          local record = helpers.record_of(m[method], m)
          assert.same({ "panic", message() }, { record.kind, record.message })
        end
        assert.is_true(m:locked())
        assert.equal(owner, m:owner())
      end)
    end)
  end

  it("panics in those who wait as it ends", function()
    with_abandoned(function() end, function(m, _, message)
      local waiters = { co.spawn(m.lock, m), co.spawn(m.lock, m, 100) }
      for _, waiter in ipairs(waiters) do
        local ok, record = waiter:join()
        assert.is_false(ok)
        assert.same({ "panic", message() }, { record.kind, record.message })
      end
    end)
  end)

  co_it("is still known when nothing else refers to the task", seeded, function()
    local m = co.mutex()
    co.spawn_with({ name = "gone" }, m.lock, m):join()
    for _ = 1, 3 do
      collectgarbage()
    end
    helpers.assert_contains('"gone", which has ended', helpers.record_of(m.lock, m).message)
  end)
end)

describe("outside tasks a mutex", function()
  it("that is free can be locked; the main program owns it", function()
    local m = co.mutex()
    assert.is_true(m:lock())
    assert.is_nil(m:owner())
    helpers.assert_contains("mutex (held by the main program, taken at ", tostring(m))
    assert.is_false(m:try_lock())
    m:unlock()
    assert.is_true(m:try_lock())
    m:unlock()
    assert.is_false(m:locked())
  end)

  it("that is held says that waiting needs a task", function()
    local m = co.mutex()
    m:lock()
    helpers.assert_contains("'lock' outside a task", helpers.record_of(m.lock, m).message)
    assert.is_false(m:lock(0))
    m:unlock()
  end)

  it("keeps tasks waiting until the main program unlocks it", function()
    local m = co.mutex()
    m:lock()
    local task = co.spawn(function() return m:lock(), m:unlock() end)
    co.step(0)
    assert.equal("waiting", task:status())
    m:unlock()
    co.step(0)
    assert.equal("done", task:status())
  end)
end)

describe("a mutex that is garbage", function()
  co_it("while it is held leaves its owner in peace", seeded, function()
    local first, last = co.mutex(), co.mutex()
    first:lock()
    co.mutex():lock()
    last:lock()
    collectgarbage()
    collectgarbage()
    last:unlock()
    first:unlock()
  end)
end)
