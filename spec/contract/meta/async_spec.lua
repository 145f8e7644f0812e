-- The functions that lua/coropanic/meta.lua declares to be async are those that suspend, besides those that
-- only call a function which may.

local co = require "coropanic"
local luv = require "luv"
local api = require "contract.meta.api"
local calls = require "contract.meta.calls"

--- Calls a function in a second.
local function later(fn, ...)
  co.spawn(function(...)
    co.sleep(1)
    fn(...)
  end, ...)
end

--- Another task has what the object locks, for a second.
local function held(object, lock, unlock)
  co.spawn(function()
    object[lock](object)
    co.sleep(1)
    object[unlock](object)
  end)
  co.yield()
  return object
end

local function leave_a_task() co.spawn(co.sleep, 1) end

-- How each has to wait: `wait` calls it.
local WAITS = {
  ["coropanic.yield"] = function(wait) wait() end,
  ["coropanic.sleep"] = function(wait) wait(1) end,
  ["coropanic.await"] = function(wait) wait(function(resume) later(resume) end) end,
  ["coropanic.wait_fd"] = function(wait)
    local ends = luv.socketpair()
    wait(ends[1], "r", 1)
    for _, fd in ipairs(ends) do luv.fs_close(fd) end
  end,
  ["coropanic.scope"] = function(wait) wait(leave_a_task) end,
  ["coropanic.supervise"] = function(wait) wait(leave_a_task) end,
  ["coropanic.with_timeout"] = function(wait) wait(5, leave_a_task) end,
  ["coropanic.select"] = function(wait) wait(1, co.chan()) end,
  ["coropanic.task:join"] = function(wait) wait(co.spawn(co.yield)) end,
  ["coropanic.task:await"] = function(wait) wait(co.spawn(co.yield)) end,
  ["coropanic.channel:send"] = function(wait)
    local channel = co.chan()
    later(channel.recv, channel)
    wait(channel, 1)
  end,
  ["coropanic.channel:recv"] = function(wait)
    local channel = co.chan()
    later(channel.send, channel, 1)
    wait(channel)
  end,
  ["coropanic.mutex:lock"] = function(wait) wait(held(co.mutex(), "lock", "unlock")) end,
  ["coropanic.mutex:guard"] = function(wait) wait(held(co.mutex(), "lock", "unlock")) end,
  ["coropanic.rwmutex:lock"] = function(wait) wait(held(co.rwmutex(), "rlock", "runlock")) end,
  ["coropanic.rwmutex:guard"] = function(wait) wait(held(co.rwmutex(), "rlock", "runlock")) end,
  ["coropanic.rwmutex:rlock"] = function(wait) wait(held(co.rwmutex(), "lock", "unlock")) end,
  ["coropanic.rwmutex:rguard"] = function(wait) wait(held(co.rwmutex(), "lock", "unlock")) end,
  ["coropanic.condition:wait"] = function(wait)
    local mutex = co.mutex()
    local condition = co.condition(mutex)
    mutex:lock()
    later(condition.signal, condition)
    wait(condition)
  end,
  ["coropanic.semaphore:acquire"] = function(wait) wait(held(co.semaphore(1), "acquire", "release")) end,
  ["coropanic.semaphore:guard"] = function(wait) wait(held(co.semaphore(1), "acquire", "release")) end,
  ["coropanic.waitgroup:wait"] = function(wait)
    local waitgroup = co.waitgroup()
    waitgroup:spawn(co.sleep, 1)
    wait(waitgroup)
  end,
  ["coropanic.once:call"] = function(wait)
    local once = co.once(function() co.sleep(1) end)
    co.spawn(once)
    co.yield()
    wait(once)
  end,
  ["coropanic.event:wait"] = function(wait)
    local event = co.event()
    later(event.set, event)
    wait(event)
  end,
  ["coropanic.profilelib.take"] = function(wait) wait("cpu", 1) end,
}

describe("an async function", function()
  api.each_function(function(fn)
    if not fn.async then return end
    it(("suspends where it has to wait: %s"):format(fn.name), function()
      local has_to_wait = assert(WAITS[fn.name], "say here how it has to wait")
      co.run_with({ clock = "virtual" }, has_to_wait, function(...)
        local before = co.stats().switches
        calls.call(fn.name, ...)
        assert.is_true(co.stats().switches > before)
      end)
    end)
  end)

  it("is declared as such", function()
    for name in pairs(WAITS) do
      local class, function_name = name:match "^(.*)[.:](.*)$"
      assert.is_true(api.classes[class].functions[function_name].async, name)
    end
  end)
end)
