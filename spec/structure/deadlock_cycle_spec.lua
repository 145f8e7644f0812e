local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

--- Two tasks that join each other: "b" closes the cycle. What `around` makes of b's join is b's result.
---@param around fun(join: fun()): any
---@return any result, table b, table a
local function join_each_other(around)
  local a, b
  a = co.spawn_with({ name = "a" }, function() return b:join() end)
  b = co.spawn_with({ name = "b" }, function()
    return around(function() a:join() end)
  end)
  return b:await(), b, a
end

--- The record of the cycle.
local function record_of_cycle()
  return join_each_other(function(join) return helpers.record_of(join) end)
end

describe("a cycle of tasks that wait for each other", function()
  co_it("is a panic of kind deadlock in the task that closes it", function()
    local record, b = record_of_cycle()
    assert.equal("deadlock", record.kind)
    assert.equal(b.id, record.task.id)
    assert.equal("coropanic.deadlock", record.error_code)
  end)

  co_it("lists the tasks, beginning with the one that closed it", function()
    local record, b, a = record_of_cycle()
    assert.equal(2, #record.cycle)
    assert.same({ "b", b.id, b.spawned_at },
      { record.cycle[1].name, record.cycle[1].id, record.cycle[1].spawned_at })
    assert.same({ "a", a.id, a.spawned_at },
      { record.cycle[2].name, record.cycle[2].id, record.cycle[2].spawned_at })
  end)

  co_it("says what each waits on, and where", function()
    local a, b, a_at, b_at
    a = co.spawn_with({ name = "a" }, function()
      a_at = helpers.here(1)
      b:join()
    end)
    b = co.spawn_with({ name = "b" }, function()
      b_at = helpers.here(1)
      a:join()
    end)
    local _, record = b:join()
    local join_of = 'join of task %d "%s"'
    assert.same({ join_of:format(a.id, "a"), b_at }, { record.cycle[1].waiting_on, record.cycle[1].where })
    assert.same({ join_of:format(b.id, "b"), a_at }, { record.cycle[2].waiting_on, record.cycle[2].where })
  end)

  co_it("names them in order in its message", function()
    local record, b, a = record_of_cycle()
    local names = 'task %d "b" waits for task %d "a", which waits for task %d "b"'
    helpers.assert_contains(names:format(b.id, a.id, b.id), record.message)
  end)

  co_it("has them in its report and its JSON form", function()
    local record = record_of_cycle()
    helpers.assert_contains(record.cycle[2].where, tostring(record))
    assert.equal("a", record:to_table().cycle[2].name)
  end)

  co_it("does not end the task: the panic can be recovered, and both go on", function()
    local result, b, a = join_each_other(function(join)
      local recovered
      co.call(function()
        co.defer(function() recovered = select(2, co.recover()).kind end)
        join()
      end)
      co.sleep(1)
      return recovered
    end)
    assert.equal("deadlock", result)
    a:join()
    assert.same({ "done", "done" }, { a:status(), b:status() })
  end)

  co_it("can be caught by pcall", function()
    assert.is_false((join_each_other(function(join) return (pcall(join)) end)))
  end)

  co_it("that is not caught ends the task, and who waits for it hears of it", function()
    local a, b
    a = co.spawn(function() return select(2, b:join()).kind end)
    b = co.spawn(function() a:join() end)
    assert.equal("deadlock", a:await())
    assert.equal("panicked", b:status())
  end)

  co_it("closed by await is one too", function()
    local a, b
    a = co.spawn(function() co.pcall(b.await, b) end)
    b = co.spawn(function() return helpers.record_of(a.await, a).kind end)
    assert.equal("deadlock", b:await())
  end)

  co_it("of three in a ring is found", function()
    local tasks = {}
    for i, name in ipairs { "a", "b", "c" } do
      tasks[i] = co.spawn_with({ name = name }, function()
        local next_one = tasks[i % 3 + 1]
        return select(2, co.pcall(next_one.join, next_one))
      end)
    end
    local record = tasks[3]:await()
    assert.equal("deadlock", record.kind)
    local names = {}
    for i, entry in ipairs(record.cycle) do
      names[i] = entry.name
    end
    assert.same({ "c", "a", "b" }, names)
  end)

  co_it("of fifty is found", function()
    local tasks, count = {}, 50
    for i = 1, count do
      tasks[i] = co.spawn(function()
        local next_one = tasks[i % count + 1]
        return select(2, co.pcall(next_one.join, next_one))
      end)
    end
    assert.equal(count, #tasks[count]:await().cycle)
  end)

  co_it("through a deferred call is found, also when its task is asked to end meanwhile", function()
    local a, b
    a = co.spawn(function()
      co.defer(function() b:join() end)
      co.panic "x"
    end)
    b = co.spawn(function()
      co.sleep(1)
      return helpers.record_of(a.join, a).kind
    end)
    co.yield()
    a:cancel()
    assert.equal("deadlock", b:await())
    a:join()
  end)

  co_it("does not list those that wait for it from outside", function()
    local a, b
    local outsider = co.spawn_with({ name = "outsider" }, function() a:join() end)
    a = co.spawn_with({ name = "a" }, function() b:join() end)
    b = co.spawn_with({ name = "b" }, function() return helpers.record_of(a.join, a) end)
    assert.equal(2, #b:await().cycle)
    assert.is_true((outsider:join()))
  end)

  co_it("is found while other tasks run and sleep", function()
    co.spawn_with({ daemon = true }, co.sleep, 10 ^ 6)
    assert.equal("deadlock", record_of_cycle().kind)
    assert.equal(0, co.now())
  end)
end)

describe("a cycle with a time-out in it", function()
  co_it("is none for the task that closes it with one", seeded, function()
    local a, b
    a = co.spawn(function() return (b:join()) end)
    b = co.spawn(function() return a:join(1) end)
    assert.is_false((b:await()))
    assert.equal(1, co.now())
    assert.is_true(a:await())
  end)

  co_it("is none for the task that closes it without", seeded, function()
    local a, b
    a = co.spawn(function() return (b:join(1)) end)
    b = co.spawn(function() return (a:join()) end)
    assert.same({ true, false }, { b:await(), a:await() })
    assert.equal(1, co.now())
  end)

  co_it("is none when it is the time-out of a scope around the wait", seeded, function()
    local a, b
    a = co.spawn(function()
      return (co.with_timeout(1, function() b:join() end))
    end)
    b = co.spawn(function() return (a:join()) end)
    assert.same({ true, false }, { b:await(), a:await() })
  end)
end)

describe("a task that waits for the scope that waits for it", function()
  co_it("has a deadlock panic when it joins the owner", seeded, function()
    local record
    local owner
    owner = co.spawn_with({ name = "owner" }, co.scope, function(s)
      s:spawn_with({ name = "child" }, function() record = helpers.record_of(owner.join, owner) end)
    end)
    owner:join()
    assert.equal("deadlock", record.kind)
    assert.same({ "child", "owner" }, { record.cycle[1].name, record.cycle[2].name })
    helpers.assert_contains("scope", record.cycle[2].waiting_on)
  end)

  co_it("cancels its siblings by that panic, and the owner hears of it", seeded, function()
    local owner
    owner = co.spawn(function()
      local sibling
      local record = helpers.record_of(co.scope, function(s)
        sibling = s:spawn(co.sleep, 100)
        s:spawn(function() owner:join() end)
      end)
      return record.kind, sibling:status()
    end)
    assert.same({ "deadlock", "cancelled" }, { owner:await() })
  end)

  co_it("gives the owner the panic when that closes the cycle", function()
    local owner, child
    owner = co.spawn_with({ name = "owner" }, function()
      return helpers.record_of(co.scope, function(s)
        child = s:spawn_with({ name = "child" }, function() owner:join() end)
        co.yield()
      end)
    end)
    local record = owner:await()
    assert.equal("deadlock", record.kind)
    assert.equal("owner", record.cycle[1].name)
    assert.equal("cancelled", child:status())
  end)

  co_it("is found through scopes within scopes", seeded, function()
    local record
    local owner
    owner = co.spawn_with({ name = "owner" }, co.scope, function(outer)
      outer:spawn_with({ name = "child" }, co.scope, function(inner)
        inner:spawn_with({ name = "grandchild" }, function()
          co.sleep(1)
          record = helpers.record_of(owner.join, owner)
        end)
      end)
    end)
    owner:join()
    local names = {}
    for i, entry in ipairs(record.cycle) do
      names[i] = entry.name
    end
    assert.same({ "grandchild", "owner", "child" }, names)
  end)
end)

describe("what is no cycle", function()
  co_it("is a chain of tasks, however long", seeded, function()
    local last = co.spawn(co.sleep, 1)
    for _ = 1, 200 do
      local before = last
      last = co.spawn(function() return (before:join()) end)
    end
    assert.is_true(last:await())
  end)

  co_it("is a task that waits for one which waits for nothing on a task", seeded, function()
    local a, b
    a = co.spawn(function()
      co.sleep(1)
      return "a"
    end)
    b = co.spawn(function() return a:await() end)
    assert.equal("a", b:await())
  end)

  co_it("is two that join each other one after the other", seeded, function()
    local a, b
    a = co.spawn(function() return "a" end)
    b = co.spawn(function()
      a:join()
      return "b"
    end)
    assert.same({ "b", "a" }, { b:await(), a:await() })
  end)

  co_it("is a cycle in which a task was cancelled and is on its way out", seeded, function()
    local a, b
    a = co.spawn(function() b:join() end)
    b = co.spawn(function()
      a:cancel()
      return (a:join())
    end)
    assert.is_false(b:await())
    assert.equal("cancelled", a:status())
  end)
end)

describe("a cycle that a deadline will break is no deadlock:", function()
  --- a, in `around`, joins b, which joins a. What b's function returns.
  local function cycle(around, options)
    local a, b
    local function join_b() return b:join() end
    a = co.spawn_with(options or {}, function() return around(join_b) end)
    b = co.spawn(function()
      a:join()
      return "b is through"
    end)
    return b:await()
  end
  local function call(join) return join() end

  co_it("a time-out around a scope around the wait", seeded, function()
    assert.equal("b is through", cycle(function(join) return co.with_timeout(1, co.scope, join) end))
    assert.equal(1, co.now())
  end)

  co_it("a time-out around a wait under another context", function()
    local background = co.context.background()
    local function around(join) return co.with_timeout(1, co.with, background, join) end
    assert.equal("b is through", cycle(around))
  end)

  co_it("the deadline of the task's context", seeded, function()
    local context = co.context.with_timeout(co.ctx(), 1)
    assert.equal("b is through", cycle(call, { context = context }))
    assert.equal(1, co.now())
  end)

  co_it("the deadline of a context further out", seeded, function()
    local context = co.context.with_value(co.context.with_timeout(co.ctx(), 1), "key", 1)
    assert.equal("b is through", cycle(call, { context = context }))
  end)

  co_it("the deadline of a context that the wait is under", seeded, function()
    local context = co.context.with_timeout(co.ctx(), 1)
    assert.equal("b is through", cycle(function(join) return co.pcall(co.with, context, join) end))
  end)

  co_it("a time-out around the scope that both are in", seeded, function()
    local in_time = co.with_timeout(1, function() cycle(call) end)
    assert.is_false(in_time)
    assert.equal(1, co.now())
  end)

  co_it("but not one that the context has left behind", function()
    local context = co.context.without_cancel(co.context.with_timeout(co.ctx(), 1))
    local record = helpers.record_of(cycle, call, { context = context })
    assert.equal("deadlock", record.kind)
    assert.equal(0, co.now())
  end)
end)
