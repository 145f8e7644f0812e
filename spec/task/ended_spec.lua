-- co.ended: the last tasks that have ended, and whether anybody has looked at their outcomes.

local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = helpers.co_it(it)

co.ended()

--- The kept task with this name; the newest, if there are several.
local function ended(name)
  local all = co.ended()
  for i = #all, 1, -1 do
    if all[i].name == name then return all[i] end
  end
end

--- Spawns a task with a name; without a function it sleeps.
local function spawn(name, fn, ...)
  if not fn then return co.spawn_with({ name = name }, co.sleep, 60) end
  return co.spawn_with({ name = name }, fn, ...)
end

describe("co.ended", function()
  co_it("says how a task has ended, when, and where it came from", function()
    local task = spawn("worker", function() co.sleep(0.001) end)
    task:join()
    local one = ended "worker"
    assert.same({ task.id, "done", co.current().id, task.trace_id },
      { one.id, one.status, one.parent, one.trace_id })
    assert.equal(task.spawned_at, one.spawned_at)
    assert.is_true(one.ended_at <= co.now())
    assert.is_nil(one.source)
  end)

  co_it("lists the oldest end first", function()
    local tasks = {}
    for i, name in ipairs { "first", "second", "third" } do
      tasks[i] = spawn(name, function() if name == "second" then co.goexit() end end)
      tasks[i]:join()
    end
    local all = co.ended()
    local ids = {}
    for i = #all - 2, #all do ids[#ids + 1] = all[i].id end
    assert.same({ tasks[1].id, tasks[2].id, tasks[3].id }, ids)
  end)

  co_it("claims a task that was joined, and names who joined", function()
    local task = spawn "joined"
    co.yield()
    task:cancel()
    assert.is_nil(ended "joined")
    task:join()
    local one = ended "joined"
    assert.same({ "cancelled", "explicit", co.current().id, true, co.current().id },
      { one.status, one.source, one.cancelled_by, one.claimed, one.claimed_by })
  end)

  co_it("does not claim a task that was cancelled and is not looked at", function()
    local task = spawn "lost"
    co.yield()
    task:cancel()
    helpers.settle()
    local one = ended "lost"
    assert.same({ "cancelled", false, nil }, { one.status, one.claimed, one.claimed_by })
    assert.is_false((task:join()))
    assert.is_true(ended "lost".claimed)
  end)

  co_it("claims what a join whose time runs out has not seen only when it is seen", function()
    local task = spawn "late"
    task:join(0.001)
    task:cancel()
    helpers.settle()
    assert.is_false(ended "late".claimed)
  end)

  co_it("claims members of a scope that the program has cancelled", function()
    co.scope(function(s)
      s:spawn_with({ name = "member" }, co.sleep, 60)
      co.yield()
      s:cancel()
    end)
    assert.is_true(ended "member".claimed)
  end)

  co_it("does not claim members that a sibling's panic has cancelled, but claims the panic", function()
    co.pcall(co.scope, function(s)
      s:spawn_with({ name = "sibling" }, co.sleep, 60)
      s:spawn_with({ name = "faulty" }, co.panic, "broken")
    end)
    assert.same({ "cancelled", "scope", false },
      { ended "sibling".status, ended "sibling".source, ended "sibling".claimed })
    assert.same({ "panicked", true }, { ended "faulty".status, ended "faulty".claimed })
  end)

  co_it("claims what with_timeout ends, but not when a sibling's panic is first", function()
    co.with_timeout(0.002, function()
      spawn "in time-out"
      co.sleep(60)
    end)
    assert.same({ "deadline", true }, { ended "in time-out".source, ended "in time-out".claimed })
    co.pcall(co.with_timeout, 60, function()
      spawn "before time-out"
      spawn("faulty in time-out", co.panic, "broken")
      co.sleep(60)
    end)
    assert.same({ "scope", false }, { ended "before time-out".source, ended "before time-out".claimed })
  end)

  co_it("does not claim a member that task:cancel has ended", function()
    co.scope(function(s)
      local task = s:spawn_with({ name = "one of them" }, co.sleep, 60)
      co.yield()
      task:cancel()
    end)
    assert.is_false(ended "one of them".claimed)
  end)

  it("claims the main task, and what the end of the run cancels", function()
    co.run_with({ name = "the main one" }, function()
      co.spawn_with({ name = "daemon", daemon = true }, co.sleep, 60)
      co.yield()
    end)
    assert.is_true(ended "the main one".claimed)
    assert.same({ "shutdown", true }, { ended "daemon".source, ended "daemon".claimed })
  end)

  co_it("keeps 256 tasks, and counts the others", function()
    local _, before = co.ended()
    for _ = 1, 300 do co.spawn(function() end) end
    helpers.settle()
    local all, forgotten = co.ended()
    assert.equal(256, #all)
    assert.is_true(forgotten - before >= 44)
  end)

  co_it("does not let those that return drive out those that do not", function()
    local task = spawn "rare"
    co.yield()
    task:cancel()
    helpers.settle()
    for _ = 1, 1000 do co.spawn(function() end) end
    helpers.settle()
    assert.truthy(ended "rare")
  end)

  co_it("keeps 192 that have not returned, and the newest that have", function()
    for _ = 1, 300 do co.spawn(co.goexit) end
    for _ = 1, 100 do co.spawn(function() end) end
    helpers.settle()
    local counts = {}
    for _, one in ipairs((co.ended())) do counts[one.status] = (counts[one.status] or 0) + 1 end
    assert.is_true(counts.done >= 63)
    assert.is_true(counts.exited >= 192)
  end)

  co_it("cuts names to 63 bytes", function()
    local name = ("n"):rep(100)
    co.spawn_with({ name = name }, function() end):join()
    assert.truthy(ended(name:sub(1, 63)))
  end)

  it("leaves out services and what they spawn", function()
    co.run(function()
      co.spawn_with({ name = "quiet service", service = true }, function()
        spawn("child of the service", function() end)
      end)
      helpers.settle()
    end)
    assert.is_nil(ended "quiet service")
    assert.is_nil(ended "child of the service")
  end)
end)
