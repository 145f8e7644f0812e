-- Tasks whose coroutines somebody closes while they wait, against the rules: they are passed over, and end.

local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

local run, settle = helpers.run, helpers.settle

--- A task that receives once, and waits.
local function receiver(ch)
  local task = co.spawn(function() return ch:recv() end)
  settle()
  return task
end

--- A task that sends once, and waits.
local function sender(ch, value)
  local task = co.spawn(function() ch:send(value) end)
  settle()
  return task
end

--- A task that locks the mutex as soon as it can, and says so.
local function queue(m, say)
  co.spawn(function()
    m:lock()
    say "has it"
    m:unlock()
  end)
  co.yield()
end

describe("a task in a channel", function()
  --- A parked task and its coroutine.
  local function parked(operation)
    local thread
    local task = co.spawn(function()
      thread = coroutine.running()
      operation()
    end)
    settle()
    return task, thread
  end

  it("is passed over by a sender", function()
    run(function()
      local ch = co.chan()
      local lost, thread = parked(function() ch:recv() end)
      local next_task = receiver(ch)
      helpers.unguarded.close(thread)
      ch:send "v"
      assert.same({ true, "v", true }, { next_task:join() })
      local ok, record = lost:join()
      assert.is_false(ok)
      helpers.assert_contains("closed or resumed by somebody else", record.message)
    end)
  end)

  it("is passed over by a receiver", function()
    run(function()
      local ch = co.chan()
      local lost, thread = parked(function() ch:send "lost" end)
      sender(ch, "v")
      helpers.unguarded.close(thread)
      assert.same({ "v", true }, { ch:recv() })
      assert.is_false(lost:join())
    end)
  end)

  it("may leave a channel that is collected", function()
    run(function()
      local lost, thread = parked(function() co.chan():recv() end)
      helpers.unguarded.close(thread)
      collectgarbage()
      collectgarbage()
      lost:cancel()
      assert.is_false(lost:join())
    end)
  end)
end)

describe("a task in a select", function()
  it("is passed over, and leaves all queues", function()
    run(function()
      local a, b = co.chan(), co.chan()
      local thread
      local lost = co.spawn(function()
        thread = coroutine.running()
        co.select(nil, a, { b, 1 })
      end)
      settle()
      helpers.unguarded.close(thread)
      assert.is_table(lost.waiting_on)
      assert.is_false(a:try_send "v")
      assert.same({ nil, false, "empty" }, { b:try_recv() })
      assert.is_false(lost:join())
    end)
  end)
end)

describe("a task that wants a mutex", function()
  it("while it waits is passed over", function()
    local lines, say = helpers.log()
    helpers.run_reporting(function()
      local m = co.mutex()
      local thread
      m:lock()
      local closed = co.spawn(function()
        thread = coroutine.running()
        m:lock()
      end)
      co.yield()
      queue(m, say)
      helpers.unguarded.close(thread)
      helpers.assert_contains("waiting on lock", co.dump())
      m:unlock()
      closed:join()
      assert.equal("panicked", closed:status())
    end)
    assert.same({ "has it" }, lines)
  end)

  it("after it was handed the mutex gives it to the next", function()
    local lines, say = helpers.log()
    helpers.run_reporting(function()
      local m = co.mutex()
      local thread
      m:lock()
      local closed = co.spawn(function()
        thread = coroutine.running()
        m:lock()
      end)
      co.yield()
      queue(m, say)
      m:unlock()
      helpers.unguarded.close(thread)
      closed:join()
    end)
    assert.same({ "has it" }, lines)
  end)

  it("ends when the mutex that it waited for is garbage", function()
    helpers.run_reporting(function()
      local m = co.mutex()
      local thread
      m:lock()
      local closed = co.spawn(function(mutex)
        thread = coroutine.running()
        mutex:lock()
      end, m)
      co.yield()
      helpers.unguarded.close(thread)
      m = nil -- luacheck: ignore
      collectgarbage()
      collectgarbage()
      closed:join()
      assert.equal("panicked", closed:status())
    end)
  end)
end)

describe("a task that wants an rwmutex", function()
  it("lets the readers in when somebody closes the coroutine of the writer before them", function()
    local lines, say = helpers.log()
    helpers.run_reporting(function()
      local rw = co.rwmutex()
      local thread
      rw:rlock()
      co.spawn(function()
        thread = coroutine.running()
        rw:lock()
      end)
      co.yield()
      co.spawn(function()
        rw:rlock()
        say "reads"
      end)
      co.yield()
      helpers.unguarded.close(thread)
      rw:runlock()
    end)
    assert.same({ "reads" }, lines)
  end)
end)

describe("a task that waits for a condition", function()
  it("does not keep the mutex", function()
    helpers.run_reporting(function()
      local mutex = co.mutex()
      local condition = co.condition(mutex)
      local threads = {}
      for i = 1, 2 do
        co.spawn(function()
          threads[i] = coroutine.running()
          mutex:lock()
          condition:wait()
        end)
      end
      co.yield()
      helpers.unguarded.close(threads[1])
      mutex:lock()
      condition:broadcast()
      co.yield()
      helpers.unguarded.close(threads[2])
      mutex:unlock()
      co.yield()
      assert.is_true(mutex:try_lock())
    end)
  end)
end)

describe("a once", function()
  it("is run by the next caller where the first one's coroutine was closed", function()
    local o = co.once(coroutine.yield)
    local thread = coroutine.create(function() o() end)
    coroutine.resume(thread)
    assert.equal("once (running in the main program)", tostring(o))
    coroutine.close(thread)
    assert.is_false(o:done())
    assert.equal("once (not called)", tostring(o))
  end)

  it("is run by the next caller when the first one's coroutine was closed, after deferred calls", function()
    local states = {}
    local inner, outer
    local function tell() states[#states + 1] = tostring(inner) .. ", " .. tostring(outer) end
    inner = co.once(function()
      co.call(function()
        co.defer(tell)
        coroutine.yield()
      end)
    end)
    outer = co.once(function()
      co.call(function()
        co.defer(tell)
        inner()
      end)
    end)
    local function in_frame()
      co.defer(tell)
      outer()
    end
    local function without_frame() outer() end
    for _, body in ipairs { without_frame, co.func(in_frame) } do
      states = {}
      local thread = coroutine.create(body)
      coroutine.resume(thread)
      assert.is_true(coroutine.close(thread))
      tell()
      local new, running = "once (not called)", "once (running in the main program)"
      assert.equal(running .. ", " .. running, states[1])
      assert.equal(new .. ", " .. running, states[2])
      assert.equal(new .. ", " .. new, states[#states])
      assert.equal(body == without_frame and 3 or 4, #states)
    end
  end)

  co_it("wakes those who wait where the first caller's coroutine was closed", seeded, function()
    local calls = 0
    local o = co.once(function()
      calls = calls + 1
      if calls == 1 then coroutine.yield() end
      return calls
    end)
    local thread = coroutine.create(function() o() end)
    coroutine.resume(thread)
    local waiting = co.spawn(o)
    co.sleep(1)
    coroutine.close(thread)
    assert.equal(2, waiting:await())
  end)
end)

describe("a task that waits for a semaphore", function()
  it("is passed over", function()
    helpers.run_reporting(function()
      local s = co.semaphore(1)
      local thread
      s:acquire()
      local closed = co.spawn(function()
        thread = coroutine.running()
        s:acquire()
      end)
      co.yield()
      helpers.unguarded.close(thread)
      s:release()
      closed:join()
      assert.equal(1, s:available())
    end)
  end)
end)

describe("a task that a waitgroup has spawned", function()
  it("counts as done", function()
    helpers.run_reporting(function()
      local wg = co.waitgroup()
      local thread
      local task = wg:spawn(function()
        thread = coroutine.running()
        co.sleep(1)
      end)
      co.yield()
      helpers.unguarded.close(thread)
      wg:wait()
      assert.equal("panicked", task:status())
    end)
  end)
end)
