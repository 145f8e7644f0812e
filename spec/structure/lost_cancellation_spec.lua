-- A cancellation that comes in the same tick as what a task waits for.

local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

--- Waits with the mutex.
local function wait_with(mutex, condition)
  co.call(function()
    mutex:lock()
    co.defer(mutex.unlock, mutex)
    condition:wait()
  end)
end

-- What a task waits for: `wait` in its code, and what lets that go on, called by another task.
local WAITS = {
  recv = function()
    local ch = co.chan()
    return function() ch:recv() end, function() ch:send(1) end
  end,
  send = function()
    local ch = co.chan()
    return function() ch:send(1) end, function() ch:recv() end
  end,
  select = function()
    local a, b = co.chan(), co.chan()
    return function() co.select(nil, a, { b, 1 }) end, function() a:send(1) end
  end,
  lock = function()
    local mutex = co.mutex()
    mutex:lock()
    return function() mutex:lock() end, function() mutex:unlock() end
  end,
  rlock = function()
    local lock = co.rwmutex()
    lock:lock()
    return function() lock:rlock() end, function() lock:unlock() end
  end,
  acquire = function()
    local semaphore = co.semaphore(1)
    semaphore:acquire()
    return function() semaphore:acquire() end, function() semaphore:release() end
  end,
  waitgroup = function()
    local group = co.waitgroup()
    group:add(1)
    return function() group:wait() end, function() group:done() end
  end,
  once = function()
    local event = co.event()
    local once = co.once(function() event:wait() end)
    co.spawn_with({ context = co.context.background() }, once)
    co.yield()
    return function() once() end, function()
      event:set()
      co.yield()
    end
  end,
  event = function()
    local event = co.event()
    return function() event:wait() end, function() event:set() end
  end,
  ["condition"] = function()
    local mutex = co.mutex()
    local condition = co.condition(mutex)
    return function() wait_with(mutex, condition) end, function() condition:signal() end
  end,
  ["condition, for its mutex"] = function()
    local mutex = co.mutex()
    local condition = co.condition(mutex)
    return function() wait_with(mutex, condition) end, function()
      mutex:lock()
      condition:signal()
      co.yield()
      mutex:unlock()
    end
  end,
  await = function()
    local resume
    return function() co.await(function(r) resume = r end) end, function() resume() end
  end,
  join = function()
    local event = co.event()
    local task = co.spawn_with({ context = co.context.background() }, event.wait, event)
    co.yield()
    return function() task:join() end, function()
      event:set()
      co.yield()
    end
  end,
  sleep = function()
    return function() co.sleep(1) end, function() co.sleep(1) end
  end,
}

-- What the wait is inside of: it then would wait for a task that sleeps for a very long time.
local function sleeper() co.sleep(1e6) end

local STRUCTURES = {
  scope = function(wait)
    co.scope(function(s)
      s:spawn(sleeper)
      wait()
    end)
  end,
  supervise = function(wait)
    co.supervise(function(s)
      s:spawn(sleeper)
      wait()
    end)
  end,
  with_timeout = function(wait)
    co.with_timeout(1e7, function()
      co.spawn(sleeper)
      wait()
    end)
  end,
  ["scope in a scope"] = function(wait)
    co.scope(function(outer)
      outer:spawn(sleeper)
      co.scope(function(s)
        s:spawn(sleeper)
        wait()
      end)
    end)
  end,
  ["with"] = function(wait)
    co.with(co.context.with_value(co.ctx(), "k", 1), wait)
    co.sleep(1e6)
  end,
  ["scope around a coroutine"] = function(wait)
    co.scope(function(s)
      s:spawn(sleeper)
      co.coroutine.wrap(wait)()
    end)
  end,
  ["scope around a frame"] = function(wait)
    co.scope(function(s)
      s:spawn(sleeper)
      co.call(function()
        co.defer(co.yield)
        wait()
      end)
    end)
  end,
}

-- How the task is asked to end: called with the task, and the `cancel` of its context.
local REQUESTS = {
  ["task:cancel"] = function(task) task:cancel() end,
  context = function(_, cancel) cancel() end,
}

describe("a cancellation in the tick in which", function()
  for wait_name, make in pairs(WAITS) do
    for structure_name, open in pairs(STRUCTURES) do
      for request_name, request in pairs(REQUESTS) do
        local title = ("%s ends, in %s, by %s, is not lost"):format(wait_name, structure_name, request_name)
        co_it(title, function()
          local wait, go_on = make()
          local context, cancel = co.context.with_cancel(co.context.background())
          local deferred = false
          local task = co.spawn_with({ context = context }, function()
            co.defer(function() deferred = true end)
            open(wait)
          end)
          co.yield()
          go_on()
          request(task, cancel)
          local ended = task:join(100)
          assert.is_false(ended)
          assert.equal("cancelled", task:status())
          assert.is_true(deferred)
          assert.is_true(co.now() < 100)
          for _, left in ipairs(co.tasks()) do assert.equal("main", left.name) end
        end)
      end
    end
  end

  co_it("its scope is cancelled, the scope returns", seeded, function()
    local ch = co.chan()
    local scope
    local task = co.spawn(function()
      return co.scope(function(s)
        scope = s
        s:spawn(sleeper)
        return (ch:recv())
      end)
    end)
    co.yield()
    ch:send "last"
    scope:cancel()
    assert.same({ true, "last" }, { task:join(100) })
  end)

  co_it("a task that cancels itself goes on, is not lost", seeded, function()
    local task = co.spawn(function()
      co.scope(function(s)
        s:spawn(sleeper)
        co.current():cancel "enough"
      end)
    end)
    local _, record = task:join(100)
    assert.equal("enough", record.reason)
  end)
end)

describe("a panic whose joiner is cancelled in the same tick", function()
  local function scenario(others)
    local reported = helpers.run_reporting(function()
      local record = helpers.record_of(co.scope, function(s)
        local failing = s:spawn(function()
          co.sleep(1)
          error("a failed", 0)
        end)
        local joiner = s:spawn(function() others.come(failing) end)
        s:spawn(function()
          co.sleep(1)
          joiner:cancel()
        end)
        s:spawn(co.sleep, 60)
        if others.also then others.also(s, failing) end
      end)
      assert.equal("a failed", record.value)
      assert.equal(1, co.now())
    end)
    assert.same({}, reported)
  end

  it("ends its scope at once", function()
    scenario { come = function(task) task:join() end }
    scenario { come = function(task) task:await() end }
    scenario { come = function(task) co.coroutine.wrap(function() task:join() end)() end }
    scenario { come = function(task) co.with_timeout(50, task.join, task) end }
  end)

  it("ends its scope at once when all of them are", function()
    scenario {
      come = function(task) task:join() end,
      also = function(s, failing)
        local second = s:spawn(function() failing:join() end)
        s:spawn(function()
          co.sleep(1)
          second:cancel()
        end)
      end,
    }
  end)

  co_it("goes to another joiner, if there is one, and the scope goes on", seeded, function()
    local seen
    co.scope(function(s)
      local failing = s:spawn(function()
        co.sleep(1)
        error("a failed", 0)
      end)
      local joiner = s:spawn(function() failing:join() end)
      s:spawn(function() seen = { failing:join() } end)
      s:spawn(function()
        co.sleep(1)
        joiner:cancel()
      end)
      s:spawn(co.sleep, 60)
    end)
    assert.equal("a failed", seen[2].value)
    assert.equal(60, co.now())
  end)
end)
