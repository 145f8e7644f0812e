local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

--- Two tasks that lock two mutexes in opposite order: "b" closes the cycle. Returns both, and what
--- `lock_second` made of it in b.
local function lock_crosswise(lock_second)
  local first, second = co.mutex(), co.mutex()
  local a = co.spawn_with({ name = "a" }, function()
    first:lock()
    co.defer(first.unlock, first)
    co.yield()
    second:lock()
    second:unlock()
    return "a has had both"
  end)
  local b = co.spawn_with({ name = "b" }, function()
    second:lock()
    co.defer(second.unlock, second)
    co.yield()
    co.yield()
    return lock_second(first)
  end)
  return a, b
end

local function lock_for_ever(mutex)
  return helpers.record_of(mutex.lock, mutex)
end

describe("two mutexes that are locked in opposite order", function()
  co_it("are a deadlock panic in the task that closes the cycle", function()
    local _, b = lock_crosswise(lock_for_ever)
    local record = b:await()
    assert.equal("deadlock", record.kind)
    assert.equal("b", record.task.name)
    assert.same({ "b", "a" }, { record.cycle[1].name, record.cycle[2].name })
  end)

  co_it("have the mutexes in the record: what each task waits on", function()
    local _, b = lock_crosswise(lock_for_ever)
    local record = b:await()
    helpers.assert_contains("mutex", record.cycle[1].waiting_on)
    helpers.assert_contains('"a"', record.cycle[1].waiting_on)
    helpers.assert_contains('"b"', record.cycle[2].waiting_on)
    helpers.assert_contains('"a"', record.message)
  end)

  co_it("are free for the other when the panic has unwound the one", function()
    local a, b = lock_crosswise(lock_for_ever)
    b:join()
    assert.equal("a has had both", a:await())
  end)

  co_it("are no deadlock when one tries for a time", function()
    local a, b = lock_crosswise(function(mutex) return mutex:lock(1) end)
    assert.is_false(b:await())
    assert.equal("a has had both", a:await())
  end)

  co_it("are no deadlock in the same order", seeded, function()
    local first, second = co.mutex(), co.mutex()
    local count = 0
    local function both()
      first:lock()
      co.yield()
      second:lock()
      count = count + 1
      second:unlock()
      first:unlock()
    end
    co.scope(function(s)
      s:spawn(both)
      s:spawn(both)
    end)
    assert.equal(2, count)
  end)
end)

describe("a mutex and a join", function()
  co_it("are a cycle: the holder joins the task that waits for the mutex", function()
    local mutex = co.mutex()
    mutex:lock()
    local waiter = co.spawn_with({ name = "waiter" }, function()
      mutex:lock()
      mutex:unlock()
    end)
    co.yield()
    local record = helpers.record_of(waiter.join, waiter)
    assert.equal("deadlock", record.kind)
    assert.same({ "main", "waiter" }, { record.cycle[1].name, record.cycle[2].name })
    mutex:unlock()
    assert.is_true((waiter:join()))
  end)

  co_it("are a cycle: the scope's task waits for the mutex that the scope's owner holds", seeded, function()
    local mutex = co.mutex()
    local record = helpers.record_of(co.scope, function(s)
      mutex:lock()
      s:spawn_with({ name = "child" }, function() mutex:lock() end)
    end)
    assert.equal("deadlock", record.kind)
    mutex:unlock()
  end)
end)
