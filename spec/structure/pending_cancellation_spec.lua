local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

-- Operations that would not block: what makes each ready, and does it. All are suspension points.
local operations = {
  ["co.yield"] = function() return co.yield end,
  ["co.sleep of nothing"] = function()
    return function() co.sleep(0) end
  end,
  ["join of a task that has ended"] = function()
    local task = co.spawn(function() end)
    task:join()
    return function() task:join() end
  end,
  ["await of a task that has ended"] = function()
    local task = co.spawn(function() end)
    task:join()
    return function() task:await() end
  end,
  ["co.await of a callback that comes at once"] = function()
    return function()
      co.await(function(resume) resume() end)
    end
  end,
  ["a send that finds room"] = function()
    local ch = co.chan(1)
    return function() ch:send(1) end
  end,
  ["a receive that finds a value"] = function()
    local ch = co.chan(1)
    ch:send(1)
    return function() ch:recv() end
  end,
  ["a receive from a closed channel"] = function()
    local ch = co.chan()
    ch:close()
    return function() ch:recv() end
  end,
  ["a select with a ready case"] = function()
    local ch = co.chan(1)
    return function() co.select(nil, { ch, 1 }) end
  end,
  ["a select that does not block"] = function()
    return function() co.select(0, co.chan()) end
  end,
  ["the lock of a free mutex"] = function()
    local mutex = co.mutex()
    return function() mutex:lock() end
  end,
  ["the lock of a free rwmutex"] = function()
    local rwmutex = co.rwmutex()
    return function() rwmutex:rlock() end
  end,
  ["the acquisition of a free semaphore"] = function()
    local semaphore = co.semaphore(1)
    return function() semaphore:acquire() end
  end,
  ["the wait for an empty waitgroup"] = function()
    local waitgroup = co.waitgroup()
    return function() waitgroup:wait() end
  end,
  ["the wait for a condition"] = function()
    local mutex = co.mutex()
    local condition = co.condition(mutex)
    mutex:lock()
    return function() condition:wait(0) end
  end,
  ["the wait for an event that has happened"] = function()
    local event = co.event()
    event:set()
    return function() event:wait() end
  end,
}

describe("a cancellation that is pending", function()
  for name, make in pairs(operations) do
    co_it("is raised by " .. name, seeded, function()
      local lines, say = helpers.log()
      local operation = make()
      local task = co.spawn(function()
        co.current():cancel()
        say "before"
        operation()
        say "never"
      end)
      task:join()
      assert.equal("cancelled", task:status())
      assert.same({ "before" }, lines)
    end)
  end

  co_it("is not raised where nothing suspends", function()
    local lines, say = helpers.log()
    local ch = co.chan(1)
    local task = co.spawn(function()
      co.current():cancel()
      ch:try_send "sent"
      say((ch:try_recv()))
      co.spawn(say, "spawned")
      ch:close()
      say(co.now())
    end)
    task:join()
    assert.same({ "sent", "0", "spawned" }, lines)
  end)

  co_it("takes nothing: a value stays in its channel", seeded, function()
    local ch = co.chan(1)
    ch:send "kept"
    co.spawn(function()
      co.current():cancel()
      ch:recv()
    end):join()
    assert.equal("kept", (ch:try_recv()))
  end)

  co_it("sends nothing", seeded, function()
    local ch = co.chan(1)
    co.spawn(function()
      co.current():cancel()
      ch:send "never"
    end):join()
    assert.equal(0, #ch)
  end)

  co_it("locks nothing", seeded, function()
    local mutex = co.mutex()
    co.spawn(function()
      co.current():cancel()
      mutex:lock()
    end):join()
    assert.is_false(mutex:locked())
  end)
end)
