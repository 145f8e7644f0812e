-- co.order: what it says of locks that are taken in different orders, and of which objects.
local co = require "coropanic"
local helpers = require "spec.helpers"
local locks = require "spec.order.locks"

local order

local function line() return debug.getinfo(2, "l").currentline end

local HERE = debug.getinfo(1, "S").short_src

local warnings_of, taking = locks.warnings_of, locks.taking

--- As `taking`, with permits.
local function acquiring(...)
  local objects = { ... }
  return function()
    for _, object in ipairs(objects) do object:acquire() end
    for _, object in ipairs(objects) do object:release() end
  end
end

before_each(function()
  order = co.order()
  order:reset()
end)
after_each(function() order:stop() end)

describe("co.order", function()
  it("warns once when locks are taken in both orders, with the places, names and traces", function()
    local cart, stock = co.mutex { name = "cart" }, co.mutex { name = "stock" }
    local lines, traces = {}, {}
    local function first()
      traces[1] = co.trace.current().trace_id
      cart:lock()
      stock:lock() lines[1] = line()
      stock:unlock()
      cart:unlock()
    end
    local function second()
      traces[2] = co.trace.current().trace_id
      stock:lock()
      cart:lock() lines[2] = line()
      cart:unlock()
      stock:unlock()
    end
    local records = warnings_of(first, second, first, second)
    assert.equal(1, #records)
    local step = '%s:%d locks "%s" while holding "%s" %%(trace %s, %%d%%d:%%d%%d:%%d%%d%%)'
    local escaped = HERE:gsub("%p", "%%%0")
    assert.truthy(records[1].message:find("^possible deadlock: "
      .. step:format(escaped, lines[1], "stock", "cart", traces[1]) .. "; "
      .. step:format(escaped, lines[2], "cart", "stock", traces[2]) .. "$"), records[1].message)
    assert.equal("warning", records[1]:to_table().kind)
  end)

  it("lists its warnings step by step", function()
    local a, b = co.mutex { name = "a" }, co.mutex { name = "b" }
    local ids = {}
    local before = os.time()
    local records = warnings_of(
      function() ids[1] = co.current().id taking(a, b)() end,
      function() ids[2] = co.current().id taking(b, a)() end)
    local found = order:warnings()
    assert.equal(1, #found)
    assert.equal(records[1].message, found[1].text)
    assert.equal(2, #found[1].steps)
    for i, step in ipairs(found[1].steps) do
      assert.equal(ids[i], step.task)
      assert.equal("locks", step.verb)
      assert.equal(i == 1 and "a" or "b", step.holding)
      assert.equal(i == 1 and "b" or "a", step.wants)
      assert.truthy(step.at:find(locks.HERE, 1, true))
      assert.equal(step.at, step.held_at)
      assert.truthy(step.trace_id:find "^%x+$")
      assert.is_true(step.time // 1000000000 >= before)
    end
  end)

  it("says nothing of locks that are always taken in one order", function()
    local a, b, c = co.mutex(), co.mutex(), co.mutex()
    assert.same({}, warnings_of(taking(a, b), taking(b, c), taking(a, c), taking(a, b, c)))
    assert.equal(0, order:stats().warnings)
  end)

  it("says nothing of locks that are taken under a common gate", function()
    local gate, a, b = co.mutex(), co.mutex(), co.mutex()
    assert.same({}, warnings_of(taking(gate, a, b), taking(gate, b, a)))
    assert.equal(1, #warnings_of(taking(b, a), taking(a, b)))
  end)

  it("says nothing of one task that takes them in both orders", function()
    local a, b = co.mutex(), co.mutex()
    assert.same({}, warnings_of(function()
      taking(a, b)()
      taking(b, a)()
    end))
  end)

  it("finds longer cycles", function()
    local a, b, c = co.mutex { name = "a" }, co.mutex { name = "b" }, co.mutex { name = "c" }
    local records = warnings_of(taking(a, b), taking(b, c), taking(c, a))
    assert.equal(1, #records)
    local _, steps = records[1].message:gsub(" while holding ", "")
    assert.equal(3, steps)
  end)

  it("calls objects without a name by their type and place", function()
    local a = co.mutex() local made_a = line()
    local b = co.rwmutex() local made_b = line()
    local text = warnings_of(taking(a, b), taking(b, a))[1].message
    helpers.assert_contains(("locks rwmutex made at %s:%d while holding mutex made at %s:%d "):format(
      HERE, made_b, HERE, made_a), text)
  end)

  it("reports on stderr if there is no handler, and the run goes on, even one that panics crash", function()
    for _, mode in ipairs { "report", "crash" } do
      local result = helpers.run_script(([[
        local co = require "coropanic"
        co.order()
        co.run_with({ unhandled = %q }, function()
          local stop = co.observe({ "warning", "unhandled" }, function(kind, record, task)
            print(kind, record.kind, task.name)
          end)
          local a, b = co.mutex(), co.mutex()
          local function take(x, y) x:lock() y:lock() y:unlock() x:unlock() end
          co.spawn(take, a, b):join()
          assert(co.spawn_with({ name = "second" }, take, b, a):join())
          stop()
        end)
        assert(co.stats().unhandled == 0)
      ]]):format(mode))
      assert.equal(0, result.status)
      assert.equal("warning\twarning\tsecond\n", result.stdout)
      assert.truthy(result.stderr:find "^warning: possible deadlock: ")
      assert.truthy(result.stderr:find('\ntask %d "second" was warned, trace '))
    end
  end)

  it("panics in the task that would wait, if it is strict", function()
    co.order { strict = true }
    local a, b = co.mutex { name = "a" }, co.mutex { name = "b" }
    co.run(function()
      co.spawn(taking(a, b)):join()
      local task = co.spawn(function()
        b:lock()
        co.defer(b.unlock, b)
        a:lock()
      end)
      local ok, record = task:join()
      assert.is_false(ok)
      assert.equal("panic", record.kind)
      helpers.assert_contains("possible deadlock: ", record.message)
      assert.is_false(a:locked() or b:locked())
    end)
    co.order { strict = false }
  end)

  it("lets the handler use the locks and the order itself", function()
    local a, b = co.mutex(), co.mutex()
    local kinds = {}
    co.run_with({ unhandled = function(record)
      kinds[#kinds + 1] = record.kind
      assert.equal(1, #order:warnings())
      order:stop()
      assert.is_true(a:try_lock())
      a:unlock()
    end }, function()
      co.spawn(taking(a, b)):join()
      co.spawn(taking(b, a)):join()
    end)
    assert.same({ "warning" }, kinds)
    assert.is_false(a:locked())
  end)
end)

describe("co.order, of objects of one class,", function()
  local function accounts(count)
    local list = {}
    for i = 1, count do list[i] = co.mutex { name = "account" } end
    return list
  end

  it("warns if two of them are taken in both orders", function()
    local from, to = table.unpack(accounts(2))
    local records = warnings_of(taking(from, to), taking(to, from))
    assert.equal(1, #records)
    helpers.assert_contains('locks "account" #2 while holding "account" #1 ', records[1].message)
    helpers.assert_contains('locks "account" #1 while holding "account" #2 ', records[1].message)
  end)

  it("says nothing if they are taken in an order of their own", function()
    local list = accounts(5)
    local tasks = {}
    for i = 1, 4 do
      for j = i + 1, 5 do tasks[#tasks + 1] = taking(list[i], list[j]) end
    end
    assert.same({}, warnings_of(table.unpack(tasks)))
    assert.equal(5, order:stats().instances)
  end)

  it("finds a circle of philosophers", function()
    local forks = accounts(3)
    assert.equal(1, #warnings_of(taking(forks[1], forks[2]), taking(forks[2], forks[3]),
      taking(forks[3], forks[1])))
  end)

  it("warns once of them, whichever go round", function()
    local list = accounts(4)
    assert.equal(1, #warnings_of(taking(list[1], list[2]), taking(list[2], list[1]), taking(list[3], list[4]),
      taking(list[4], list[3])))
  end)

  it("takes them for each other beside another class", function()
    local list, audit = accounts(2), co.mutex { name = "audit" }
    assert.equal(1, #warnings_of(taking(list[1], audit), taking(audit, list[2])))
  end)

  it("says nothing of a lock that its owner takes again, which panics", function()
    local a = co.mutex()
    assert.same({}, warnings_of(function()
      a:lock()
      local ok, record = co.pcall(a.lock, a)
      assert.is_false(ok)
      assert.equal("deadlock", record.kind)
      a:unlock()
    end))
  end)
end)

describe("co.order, of an rwmutex,", function()
  local function reading(a, b)
    return function()
      a:rlock()
      b:rlock()
      b:runlock()
      a:runlock()
    end
  end

  it("says nothing of readers in both orders", function()
    local a, b = co.rwmutex(), co.rwmutex()
    assert.same({}, warnings_of(reading(a, b), reading(b, a)))
  end)

  it("warns of a reader and a writer in both orders", function()
    local a, b = co.rwmutex { name = "a" }, co.rwmutex { name = "b" }
    local records = warnings_of(reading(a, b), taking(b, a))
    assert.equal(1, #records)
    helpers.assert_contains('read-locks "b" while holding "a" ', records[1].message)
  end)

  it("warns of a reader that wants to write, which waits for itself", function()
    local a, texts = co.rwmutex { name = "a" }, {}
    pcall(co.run_with, { unhandled = function(record) texts[#texts + 1] = record.message end }, function()
      a:rlock()
      a:lock()
    end)
    assert.truthy(texts[1]:find 'locks "a" while holding "a" ')
  end)
end)

describe("co.order, of a semaphore,", function()
  it("warns of tasks that hold a permit and wait for another one", function()
    local pool = co.semaphore(8, { name = "pool" })
    local records = warnings_of(acquiring(pool, pool), acquiring(pool, pool))
    assert.equal(1, #records)
    helpers.assert_contains('acquires "pool" while holding "pool" ', records[1].message)
  end)

  it("says nothing of permits that other tasks give back, and counts their class", function()
    local permits = co.semaphore(2)
    assert.same({}, warnings_of(function()
      for _ = 1, 6 do
        permits:acquire()
        co.spawn(permits.release, permits)
      end
    end, acquiring(permits, permits)))
    assert.equal(1, order:stats().ignored)
  end)

  it("warns of a semaphore and a mutex in both orders", function()
    local slots, m = co.semaphore(3, { name = "slots" }), co.mutex { name = "m" }
    assert.equal(1, #warnings_of(function()
      local _ <close> = slots:guard()
      taking(m)()
    end, function()
      local _ <close> = m:guard()
      acquiring(slots)()
    end))
  end)

  it("does not take a semaphore without places for a lock", function()
    local s, m = co.semaphore(1), co.mutex()
    assert.same({}, warnings_of(function()
      s:try_acquire()
      taking(m)()
    end, function()
      m:lock()
      s:acquire(1, 0.01)
      m:unlock()
    end))
  end)
end)

describe("co.order, of a once,", function()
  it("warns if its function takes a lock that callers hold", function()
    local m = co.mutex { name = "m" }
    local init = co.once(function() taking(m)() end, { name = "init" })
    local records = warnings_of(function() init() end, function()
      m:lock()
      init()
      m:unlock()
    end)
    assert.equal(1, #records)
    helpers.assert_contains('calls "init" while holding "m" ', records[1].message)
    helpers.assert_contains('locks "m" while running "init" ', records[1].message)
  end)
end)

describe("co.order, of a channel with a buffer,", function()
  --- Two stages that send to each other.
  local function stages(q1, q2, count)
    return function()
      co.spawn_with({ daemon = true }, function() for v in q1:iter() do q2:send(v) end end)
      co.spawn_with({ daemon = true }, function()
        for v in q2:iter() do
          co.yield()
          if v % 2 == 0 then q1:try_send(v + 1) end
          if v == -1 then q1:send(1) end
        end
      end)
      q1:send(-1)
      for i = 1, count do
        q1:send(i * 2)
        co.yield()
      end
      co.sleep(0.001)
    end
  end

  it("warns of stages that send to each other, once both channels were full", function()
    local q1, q2 = co.chan(1, { name = "q1" }), co.chan(1, { name = "q2" })
    local records = warnings_of(stages(q1, q2, 10))
    assert.equal(1, #records)
    helpers.assert_contains('sends to "q2" while receiving from "q1" ', records[1].message)
    helpers.assert_contains('sends to "q1" while receiving from "q2" ', records[1].message)
  end)

  it("says nothing while they are never full, and knows the cycle", function()
    local q1, q2 = co.chan(100), co.chan(100)
    assert.same({}, warnings_of(stages(q1, q2, 10)))
    assert.equal("cycle", order:risk(q1))
  end)

  it("says nothing of requests whose replies have room", function()
    local requests = co.chan(1)
    assert.same({}, warnings_of(function()
      co.spawn_with({ daemon = true }, function()
        for reply in requests:iter() do reply:send "done" end
      end)
      local clients = co.waitgroup()
      for _ = 1, 5 do
        clients:spawn(function()
          local reply = co.chan(1)
          for _ = 1, 3 do
            requests:send(reply)
            reply:recv()
          end
        end)
      end
      clients:wait()
    end))
  end)

  it("warns of a sender under the lock that the receiver takes", function()
    local q, m = co.chan(1, { name = "q" }), co.mutex { name = "m" }
    local records = warnings_of(function()
      co.spawn_with({ daemon = true }, function()
        while co.select(nil, q) do taking(m)() end
      end)
      for i = 1, 3 do q:send(i) end
      co.yield()
    end, function()
      m:lock()
      q:send(4)
      m:unlock()
    end)
    assert.equal(1, #records)
    helpers.assert_contains('sends to "q" while holding "m" ', records[1].message)
    helpers.assert_contains('locks "m" while receiving from "q" ', records[1].message)
  end)
end)

describe("co.order", function()
  it("makes no edge of waits with a time-out, and of tries", function()
    local a, b = co.mutex(), co.mutex()
    assert.same({}, warnings_of(taking(a, b), function()
      b:lock()
      a:lock(1)
      a:unlock()
      assert.is_true(a:try_lock())
      a:unlock()
      b:unlock()
    end))
  end)

  it("knows what tries and guards have taken", function()
    local a, b = co.mutex(), co.mutex()
    assert.equal(1, #warnings_of(function()
      a:try_lock()
      taking(b)()
      a:unlock()
    end, function()
      local _ <close> = b:guard()
      local _ <close> = a:guard()
    end))
  end)

  it("leaves a deadlock that has come to the panic that tells of it", function()
    local a, b = co.mutex(), co.mutex()
    assert.same({}, warnings_of(function()
      local task = co.spawn(taking(a, b))
      a:lock()
      co.yield()
      b:lock()
      b:unlock()
      a:unlock()
      task:join()
    end, function()
      b:lock()
      local task = co.spawn(function()
        a:lock()
        co.defer(a.unlock, a)
        b:lock()
        b:unlock()
      end)
      co.yield()
      local ok, record = co.pcall(a.lock, a)
      assert.is_false(ok)
      assert.equal("deadlock", record.kind)
      b:unlock()
      task:await()
    end))
  end)

  it("knows the lock that a task has waited for", function()
    local a, b = co.mutex { name = "a" }, co.mutex { name = "b" }
    assert.equal(1, #warnings_of(function()
      a:lock()
      co.spawn(taking(a, b))
      co.yield()
      a:unlock()
    end, taking(b, a)))
  end)

  it("forgets what a task held that has ended", function()
    local a, b = co.semaphore(5), co.mutex()
    assert.same({}, warnings_of(function() a:acquire() end, taking(b), function()
      b:lock()
      a:acquire()
      a:release()
      b:unlock()
    end))
    assert.equal(1, order:stats().edges)
  end)

  it("sees that a condition gives its lock back and takes it again", function()
    local m, other = co.mutex { name = "m" }, co.mutex { name = "other" }
    local changed = co.condition(m)
    local records = warnings_of(function()
      other:lock()
      m:lock()
      co.spawn(function()
        taking(m)()
        changed:signal()
      end)
      changed:wait()
      m:unlock()
      other:unlock()
    end, function()
      m:lock()
      changed:wait(0.001)
      taking(other)()
      m:unlock()
    end)
    assert.equal(1, #records)
  end)

  it("warns of a condition's wait under a lock that was taken after the condition's", function()
    local m, other = co.mutex { name = "m" }, co.mutex { name = "other" }
    local changed = co.condition(m)
    assert.equal(1, #warnings_of(taking(m, other), function()
      m:lock()
      other:lock()
      changed:wait(0.001)
      other:unlock()
      m:unlock()
    end))
  end)

  it("gives each object that is older than the order a class of its own", function()
    local result = helpers.run_script [[
      local co = require "coropanic"
      local a, b = co.mutex(), co.mutex()
      local order = co.order()
      co.run_with({ unhandled = function(record) print(record.message) end }, function()
        local function take(x, y) x:lock() y:lock() y:unlock() x:unlock() end
        co.spawn(take, a, b):join()
        co.spawn(take, b, a):join()
      end)
      print(order:stats().classes)
    ]]
    local used = "mutex first used at /tmp/%S+:5 "
    assert.truthy(result.stdout:find("locks " .. used .. "while holding " .. used))
    assert.equal("2", result.stdout:match "(%d+)\n$")
  end)

  it("is turned on by COROPANIC_DEBUG", function()
    local script = [[
      local co = require "coropanic"
      co.run(function()
        local a, b = co.mutex(), co.mutex()
        local function take(x, y) x:lock() y:lock() y:unlock() x:unlock() end
        co.spawn(take, a, b):join()
        co.spawn(take, b, a):join()
      end)
    ]]
    for variable, warned in pairs { ["order=1"] = true, ["gctrace=0,order=1"] = true, ["order=0"] = false } do
      local result = helpers.run_script(script, { environment = "COROPANIC_DEBUG=" .. variable })
      assert.equal(0, result.status)
      assert.equal(warned, result.stderr:find("warning: possible deadlock: ", 1, true) ~= nil)
    end
  end)

  it("notes nothing while it is off", function()
    order:stop()
    local a, b = co.mutex(), co.mutex()
    assert.same({}, warnings_of(taking(a, b), taking(b, a)))
    local stats = order:stats()
    assert.is_false(stats.on)
    assert.equal(0, stats.classes + stats.edges)
    co.order()
    assert.is_true(order:stats().on)
  end)
end)

describe("order:allow", function()
  it("allows tasks that hold one object to wait for the other", function()
    local a, b = co.mutex { name = "allowed a" }, co.mutex { name = "allowed b" }
    order.allow("allowed b", "allowed a", "a is only taken so while nothing else runs")
    assert.same({}, warnings_of(taking(a, b), taking(b, a)))
    assert.is_nil(order:risk(a))
    local rules = order:stats().rules
    assert.same({
      from = "allowed b", to = "allowed a", reason = "a is only taken so while nothing else runs",
    }, rules[#rules])
  end)

  it("takes places and objects, and comes in time for what was seen before", function()
    local a, b = co.mutex(), co.mutex() local made_a = ("%s:%d"):format(HERE, line())
    local c = co.rwmutex()
    assert.same({}, warnings_of(taking(a, c)))
    order:allow(made_a, c, "by join")
    assert.same({}, warnings_of(taking(c, b)))
  end)

  it("is an option too", function()
    co.order { allow = { { "option a", "option b", "why" } } }
    local a, b = co.mutex { name = "option a" }, co.mutex { name = "option b" }
    assert.same({}, warnings_of(taking(a, b), taking(b, a)))
  end)
end)

describe("order:risk", function()
  it("says whether an object's class stands in a cycle, or its tasks hold some and wait for more", function()
    local a, b = co.mutex(), co.mutex()
    local c = co.mutex()
    local pool = co.semaphore(9)
    local other = co.semaphore(9)
    warnings_of(taking(a, b), taking(b, a), taking(c, a), acquiring(pool, pool), acquiring(other))
    assert.equal("cycle", order:risk(a))
    assert.equal("cycle", order:risk(b))
    assert.is_nil(order:risk(c))
    assert.equal("hold-and-wait", order:risk(pool))
    assert.is_nil(order:risk(other))
    assert.is_nil(order:risk(co.chan()))
    order:stop()
    assert.is_nil(order:risk(a))
  end)
end)

describe("The arguments of co.order", function()
  local function complains(part, fn, ...) helpers.assert_contains(part, select(2, pcall(fn, ...))) end

  it("are checked", function()
    complains("bad argument #1 to 'order' (table expected, got number)", co.order, 1)
    complains("bad argument #1 to 'order' (unknown option 'x')", co.order, { x = 1 })
    complains("option 'allow': array of {a, b, reason} expected, got boolean", co.order, { allow = true })
    complains("option 'start': boolean expected, got number", co.order, { start = 1 })
    complains("bad argument #1 to 'allow' (a name, a place ", order.allow, {}, "b", "c")
    complains("bad argument #3 to 'allow' (the reason, a text expected, got nil)", order.allow, "a", "b")
    complains("bad argument #1 to 'risk' (mutex, rwmutex, semaphore, once or channel expected, got table)",
      order.risk, order, {})
  end)

  it("are checked where objects get names", function()
    complains("bad argument #1 to 'mutex' (option 'name': a text of 1 to 64 bytes expected, got xx",
      co.mutex, { name = ("x"):rep(65) })
    complains("bad argument #1 to 'rwmutex' (option 'name': string expected, got number)",
      co.rwmutex, { name = 1 })
    complains("bad argument #2 to 'semaphore' (table expected, got string)", co.semaphore, 1, "pool")
    complains("bad argument #2 to 'once' (unknown option 'nam')", co.once, print, { nam = "x" })
    complains("bad argument #2 to 'chan' (unknown option 'nam')", co.chan, 1, { nam = "x" })
  end)
end)
