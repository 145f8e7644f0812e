local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

--- Spawns a task that locks `rw` for writing (`"w"`) or reading (`"r"`), logs `name`, and unlocks a second
--- later.
local function user(rw, how, name, say)
  return co.spawn_with({ name = name }, function()
    if how == "w" then
      rw:lock()
    else
      rw:rlock()
    end
    say(name, "at", co.now())
    co.sleep(1)
    if how == "w" then
      rw:unlock()
    else
      rw:runlock()
    end
  end)
end

describe("an rwmutex", function()
  co_it("is held by many readers at a time", function()
    local lines, say = helpers.log()
    co.scope(function()
      local rw = co.rwmutex()
      for i = 1, 3 do
        user(rw, "r", "reader " .. i, say)
      end
    end)
    assert.same({ "reader 1 at 0", "reader 2 at 0", "reader 3 at 0" }, lines)
  end)

  co_it("is held by one writer at a time, and by no reader then", function()
    local lines, say = helpers.log()
    co.scope(function()
      local rw = co.rwmutex()
      user(rw, "w", "a", say)
      user(rw, "w", "b", say)
      user(rw, "r", "c", say)
      user(rw, "r", "d", say)
    end)
    assert.same({ "a at 0", "b at 1", "c at 2", "d at 2" }, lines)
  end)

  co_it("keeps later readers waiting behind a writer", function()
    local lines, say = helpers.log()
    co.scope(function()
      local rw = co.rwmutex()
      user(rw, "r", "r1", say)
      user(rw, "w", "w", say)
      user(rw, "r", "r2", say)
      co.yield()
      assert.is_false(rw:try_rlock())
    end)
    assert.same({ "r1 at 0", "w at 1", "r2 at 2" }, lines)
  end)

  for name, leave in pairs {
    ["is cancelled"] = function(rw) return co.spawn(rw.lock, rw), true end,
    ["runs out of time"] = function(rw) return co.spawn(rw.lock, rw, 0.25), false end,
  } do
    co_it(("lets the readers in when the writer before them %s"):format(name), function()
      local lines, say = helpers.log()
      co.scope(function()
        local rw = co.rwmutex()
        user(rw, "r", "r1", say)
        co.yield()
        local writer, cancel = leave(rw)
        co.yield()
        user(rw, "r", "r2", say)
        user(rw, "r", "r3", say)
        co.sleep(0.25)
        if cancel then
          writer:cancel()
        end
      end)
      assert.same({ "r1 at 0", "r2 at 0.25", "r3 at 0.25" }, lines)
    end)
  end

  for how, who in pairs { w = "a writer", r = "a reader" } do
    co_it(("goes on to the next when %s that was let in is cancelled before it runs"):format(who), function()
      local lines, say = helpers.log()
      co.scope(function()
        local rw = co.rwmutex()
        rw:lock()
        local first = user(rw, how, "first", say)
        user(rw, "w", "next", say)
        co.yield()
        rw:unlock()
        first:cancel()
      end)
      assert.same({ "next at 0" }, lines)
    end)
  end

  co_it("returns false when the time runs out", seeded, function()
    local rw = co.rwmutex()
    rw:rlock()
    assert.is_false(rw:lock(1))
    assert.is_false(rw:lock(0))
    assert.is_false(rw:try_lock())
    assert.is_true(rw:try_rlock())
    rw:runlock()
    rw:runlock()
    assert.is_true(rw:try_lock())
    assert.is_false(rw:try_rlock())
    assert.is_false(co.spawn(function() return rw:rlock(1) end):await())
    rw:unlock()
  end)

  co_it("locked again by its writer, either way, is a deadlock at once", function()
    local rw = co.rwmutex()
    local at = helpers.here(1)
    rw:lock()
    for _, method in ipairs { "lock", "rlock" } do
      local record = helpers.record_of(rw[method], rw)
      assert.equal("deadlock", record.kind)
      assert.equal(("rwmutex is already held by this task (taken at %s)"):format(at), record.message)
    end
  end)

  co_it("whose writer has ended panics in whoever wants it", function()
    local rw = co.rwmutex()
    local writer = co.spawn_with({ name = "a" }, function()
      rw:lock()
      co.yield()
    end)
    co.yield()
    local waiter = co.spawn(rw.rlock, rw)
    local part = ('rwmutex is held by task %d "a", which has ended (taken at '):format(writer.id)
    helpers.assert_contains(part, select(2, waiter:join()).message)
    for _, method in ipairs { "lock", "rlock", "try_lock", "try_rlock" } do
      helpers.assert_contains(part, helpers.record_of(rw[method], rw).message)
    end
  end)

  co_it("tells its state as text", function()
    local rw = co.rwmutex()
    assert.equal("rwmutex (unlocked)", tostring(rw))
    rw:rlock()
    assert.equal("rwmutex (1 reader)", tostring(rw))
    rw:rlock()
    assert.equal("rwmutex (2 readers)", tostring(rw))
    local waiter = co.spawn(rw.lock, rw)
    co.yield()
    helpers.assert_contains("waiting on write lock of rwmutex (2 readers)", co.dump())
    waiter:cancel()
    rw:runlock()
    rw:runlock()
    rw:lock()
    assert.matches('^rwmutex %(held by task %d+ "main", taken at .-:%d+%)$', tostring(rw))
  end)
end)

describe("unlocking an rwmutex", function()
  it("that nobody holds is an error", function()
    local rw = co.rwmutex()
    for _, method in ipairs { "unlock", "runlock" } do
      local record = helpers.record_of(function() rw[method](rw) end)
      helpers.assert_contains(": " .. method .. " of unlocked rwmutex", record.message)
    end
  end)

  co_it("that another task writes under is an error that names it", function()
    local rw = co.rwmutex()
    local writer = user(rw, "w", "a", function() end)
    co.yield()
    helpers.assert_contains(('unlock of a rwmutex that task %d "a" holds'):format(writer.id),
      helpers.record_of(function() rw:unlock() end).message)
    writer:join()
  end)
end)

describe("outside tasks an rwmutex", function()
  it("that is free can be locked either way", function()
    local rw = co.rwmutex()
    assert.is_true(rw:rlock())
    assert.is_true(rw:rlock())
    helpers.assert_contains("'lock' outside a task", helpers.record_of(rw.lock, rw).message)
    rw:runlock()
    rw:runlock()
    assert.is_true(rw:lock())
    helpers.assert_contains("'rlock' outside a task", helpers.record_of(rw.rlock, rw).message)
    rw:unlock()
  end)
end)
