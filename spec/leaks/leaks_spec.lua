-- co.leaks(): which tasks are leaked, and what becomes of them.
local co = require "coropanic"

local function go(name, fn, ...)
  return co.spawn_with({ name = name }, fn, ...)
end

local function names_of(tasks)
  local names = {}
  for i, t in ipairs(tasks) do
    names[i] = t.name:gsub("^task %d+$", "unnamed")
  end
  table.sort(names)
  return names
end

local function settle()
  for _ = 1, 10 do
    co.yield()
  end
end

--- Runs `prepare` in a task and a call of its own, so that no stale value stays on the stack, and returns the
--- names of the leaked tasks. What `prepare` returns is kept until then; `finish` gets it afterwards.
local function leaks_of(prepare, finish)
  local names
  co.run(function()
    local kept = table.pack(prepare())
    settle()
    names = names_of(co.leaks())
    if finish ~= nil then finish(table.unpack(kept, 1, kept.n)) end
    co.leaks { leaked = "cancel" }
    for _, t in ipairs(co.tasks()) do
      if t.id ~= co.current().id then t:cancel() end
    end
  end)
  return names
end

local function receive(ch) ch:recv() end

describe("co.leaks", function()
  it("returns an empty array if nothing is leaked", function()
    assert.same({}, co.leaks())
    assert.same({}, leaks_of(function() go("done", function() end) end))
  end)

  it("finds a task on a channel that only it knows, with what it waits on", function()
    co.run(function()
      (function() go("lost", function() co.chan(3):recv() end) end)()
      settle()
      local found = co.leaks()
      assert.equal(1, #found)
      assert.equal("lost", found[1].name)
      assert.equal("waiting", found[1]:status())
      assert.equal("channel (0 of 3 buffered)", tostring(found[1].waiting_on))
      assert.equal("receive", found[1].operation)
      found[1]:cancel()
    end)
  end)

  it("returns tasks in the order of their ids", function()
    co.run(function()
      (function()
        for i = 1, 40 do
          go("t" .. i, function() co.chan():recv() end)
        end
      end)()
      settle()
      local last = 0
      for _, t in ipairs(co.leaks { leaked = "cancel" }) do
        assert.is_true(t.id > last)
        last = t.id
      end
      assert.is_true(last > 0)
    end)
  end)

  it("finds the same tasks again, because its own arrays are no references", function()
    co.run(function()
      (function() go("lost", function() co.chan():recv() end) end)()
      settle()
      local first = co.leaks()
      assert.same({ "lost" }, names_of(co.leaks()))
      local t = first[1]
      assert.same({}, names_of(co.leaks())) -- a variable is one
      t:cancel()
    end)
  end)

  it("works outside tasks", function()
    (function() go("lost", function() co.chan():recv() end) end)()
    while co.step(0) do end
    assert.same({ "lost" }, names_of(co.leaks { leaked = "cancel" }))
    while co.step(0) do end
    assert.same({}, co.leaks())
  end)

  describe("finds whole groups", function()
    it("of tasks that only know each other", function()
      assert.same({ "a", "b", "c" }, leaks_of(function()
        local x, y = co.chan(), co.chan()
        go("a", function() x:recv() y:send(1) end)
        go("b", function() y:recv() x:send(1) end)
        go("c", function() co.select(nil, x, y) end)
      end))
    end)

    it("of a scope and its members", function()
      assert.same({ "member", "owner" }, leaks_of(function()
        go("owner", function()
          co.scope(function(s)
            s:spawn_with({ name = "member" }, function() co.chan():recv() end)
          end)
        end)
      end))
    end)

    it("of a task and those that join it", function()
      assert.same({ "awaits", "joins", "lost" }, leaks_of(function()
        local t = go("lost", function() co.chan():recv() end)
        go("joins", function() t:join() end)
        go("awaits", function() t:await() end)
      end))
    end)

    it("of the holder of a lock and those that want it", function()
      assert.same({ "holds", "reads", "wants" }, leaks_of(function()
        local m, rw = co.mutex(), co.rwmutex()
        go("holds", function()
          m:lock()
          rw:lock()
          co.chan():recv()
        end)
        go("wants", function() m:lock() end)
        go("reads", function() rw:rlock() end)
      end))
    end)

    it("of a waitgroup and its members", function()
      assert.same({ "member", "unnamed", "waits" }, leaks_of(function()
        local wg = co.waitgroup()
        go("waits", function() wg:wait() end)
        wg:spawn(function()
          co.scope(function(s) s:spawn_with({ name = "member" }, function() co.chan():recv() end) end)
        end)
      end))
    end)

    it("whose deferred calls know each other's channels", function()
      assert.same({ "a", "b" }, leaks_of(function()
        local x, y = co.chan(), co.chan()
        go("a", function()
          co.defer(y.close, y)
          x:recv()
        end)
        go("b", function()
          co.defer(function() x:close() end)
          y:recv()
        end)
      end))
    end)

    it("of tasks in coroutines of their own", function()
      assert.same({ "inside" }, leaks_of(function()
        go("inside", function()
          co.coroutine.wrap(function() co.chan():recv() end)()
        end)
      end))
    end)
  end)

  describe("lets alone a task", function()
    local function none(title, prepare, finish)
      it(title, function() assert.same({}, leaks_of(prepare, finish)) end)
    end

    none("on a channel that a running task has in a local variable", function()
      local ch = co.chan()
      go("fine", receive, ch)
      return ch
    end)
    none("on a channel in a global variable", function()
      rawset(_G, "leaks_channel", co.chan())
      go("fine", receive, rawget(_G, "leaks_channel"))
    end, function() rawset(_G, "leaks_channel", nil) end)
    none("on a channel behind tables, closures, user values and metatables", function()
      local ch = co.chan()
      go("fine", receive, ch)
      local once = co.once(function() return ch end)
      return setmetatable({}, { __index = { deep = { [{ function() return once end }] = true } } })
    end)
    none("on a channel of the registry", function()
      local ch = co.chan()
      debug.getregistry().leaks_channel = ch
      go("fine", receive, ch)
    end, function() debug.getregistry().leaks_channel = nil end)
    none("on a channel in the metatable of a type", function()
      local ch = co.chan()
      debug.setmetatable(true, { ch })
      go("fine", receive, ch)
    end, function() debug.setmetatable(true, nil) end)
    none("on a channel that a sleeping task knows", function()
      local ch = co.chan()
      go("fine", receive, ch)
      go("sleeps", function()
        co.sleep(0.01)
        ch:send(1)
      end)
    end)
    none("on a channel in a deferred call, or its arguments, of a task that goes on", function()
      go("sleeps", function()
        local function defer() -- here alone are the channels in variables
          local x, y = co.chan(), co.chan()
          go("fine", receive, x)
          go("also", receive, y)
          co.defer(x.close, x)
          co.defer(function() y:close() end)
        end
        defer()
        co.sleep(0.01)
      end)
    end)
    none("on a channel in a deferred call of a suspended coroutine", function()
      local wrapped = (function()
        local ch = co.chan()
        go("fine", receive, ch)
        return co.coroutine.wrap(function()
          co.call(function()
            co.defer(ch.close, ch)
            co.coroutine.yield()
          end)
        end)
      end)()
      wrapped()
      return wrapped
    end)
    none("on a channel that a task that has not begun gets as an argument", function()
      local ch = co.chan()
      local inner = co.chan()
      go("fine", receive, ch)
      go("sleeps", function()
        co.sleep(0.01)
        inner:send(1)
      end)
      go("waits", function()
        inner:recv()
        ch:send(1)
      end)
    end)
    none("on a channel in a varargs' list, a temporary, a coroutine", function()
      local ch, other = co.chan(), co.chan()
      go("fine", receive, ch)
      go("also", receive, other)
      go("varargs", function(...)
        co.sleep(0.01)
        return ...
      end, ch)
      return coroutine.create(function() return other end)
    end)
    none("in a chain that begins with a task that goes on", function()
      local before
      for i = 1, 50 do
        local ch, next_one = co.chan(), before
        go("t" .. i, function()
          ch:recv()
          if next_one ~= nil then next_one:send(i) end
        end)
        before = ch
      end
      go("sleeps", function()
        co.sleep(0.01)
        before:send(0)
      end)
    end)
    none("whose handle somebody has", function() return go("fine", function() co.chan():recv() end) end)
    none("that has a time-out, or waits within one", function()
      go("with timeout", function() co.with_timeout(1, function() co.chan():recv() end) end)
      go("select", function() co.select(1, co.chan()) end)
      local ctx = co.context.with_timeout(co.context.background(), 1)
      co.spawn_with({ name = "context", context = ctx }, function() co.chan():recv() end)
    end)
    none("that waits for the end of a context with a deadline", function()
      go("deadline", function()
        local ctx = co.context.with_timeout(co.context.background(), 1)
        co.context.with_value(ctx, "k", "v"):done():recv()
      end)
    end)
    none("on a channel of a callback of a context with a deadline", function()
      local ch = co.chan()
      go("fine", receive, ch)
      co.context.with_timeout(co.context.background(), 1):after(function() ch:close() end)
    end)
    none("on the end of a context whose function to cancel somebody has", function()
      local outer, cancel = co.context.with_cancel(co.context.background())
      local ctx = co.context.with_value(outer, "k", "v")
      go("done", function() ctx:done():recv() end)
      co.spawn_with({ name = "under", context = ctx }, function() co.chan():recv() end)
      go("within", function() co.with(ctx, function() co.chan():recv() end) end)
      return cancel
    end)
    none("in a scope that another task has, or that goes on", function()
      local scope
      go("owner", function()
        co.scope(function(s)
          scope = s
          s:spawn(function() co.chan():recv() end)
        end)
      end)
      go("goes on", function()
        co.scope(function(s)
          s:spawn(function() co.chan():recv() end)
          co.sleep(0.01)
          error("done")
        end)
      end)
      co.yield()
      co.yield()
      return scope
    end)
    none("beside a member of its scope that goes on, as that may panic", function()
      go("owner", function()
        co.scope(function(s)
          s:spawn(function() co.chan():recv() end)
          s:spawn(function() co.sleep(0.01) error("x") end)
        end)
      end)
    end)
    none("that joins a task that goes on, or waits for its lock or waitgroup", function()
      local m, wg = co.mutex(), co.waitgroup()
      local t = go("sleeps", function()
        m:lock()
        co.defer(m.unlock, m)
        co.sleep(0.01)
      end)
      wg:spawn(function() co.sleep(0.01) end)
      go("joins", function() t:join() end)
      go("locks", function() m:lock() m:unlock() end)
      go("waits", function() wg:wait() end)
    end)
    none("in co.await, whose callback somebody has", function()
      local resume
      go("awaits", function() co.await(function(r) resume = r end) end)
      co.yield()
      co.yield()
      return resume
    end)
    none("on a descriptor", function()
      go("reads", function() co.wait_fd(0, "r", nil) end)
    end)
    none("on a channel that only a weak table and a parked task have", function()
      local ch = co.chan()
      go("fine", receive, ch)
      return setmetatable({ ch }, { __mode = "v" })
    end)
    none("in a coroutine that somebody has", function()
      local thread
      go("inside", function()
        thread = co.coroutine.create(function() co.chan():recv() end)
        co.coroutine.resume(thread)
      end)
      co.yield()
      co.yield()
      return thread
    end)
    none("on a channel that an observer knows", function()
      local ch = co.chan()
      go("fine", receive, ch)
      return co.observe({ "panic" }, function() ch:close() end)
    end, function(stop) stop() end)
    none("on a channel of a task_local of a task that goes on", function()
      local l = co.task_local()
      go("sleeps", function()
        local ch = co.chan()
        l:set(ch)
        go("fine", receive, ch)
        ch = nil
        co.sleep(0.01)
        return ch
      end)
      return l
    end)
  end)

  it("finds a task in the weak table that lists tasks, and what only that task's local holds", function()
    local l, weak_keys, weak_values = co.task_local(), setmetatable({}, { __mode = "k" }),
      setmetatable({}, { __mode = "v" })
    assert.same({ "a", "b" }, leaks_of(function()
      local y = co.chan()
      local t = go("a", function()
        l:set(y)
        co.chan():recv()
      end)
      weak_keys[t], weak_values[1] = { y }, t
      go("b", receive, y)
    end))
  end)

  it("finds a task on what the finalizer of garbage has not released", function()
    local released = 0
    assert.same({}, leaks_of(function()
      local ch = co.chan()
      go("fine", receive, ch)
      setmetatable({}, { __gc = function()
        released = released + 1
        ch:close()
      end })
    end))
    assert.equal(1, released)
  end)

  it("runs no finalizer of what a leaked task has, and takes nothing from weak tables", function()
    local finalized, weak = 0, setmetatable({}, { __mode = "v" })
    co.run(function()
      (function()
        go("lost", function()
          local mine = setmetatable({}, { __gc = function() finalized = finalized + 1 end })
          weak[1] = mine
          co.chan():recv()
          return mine
        end)
      end)()
      settle()
      for _ = 1, 3 do
        assert.equal(1, #co.leaks())
      end
      assert.equal(0, finalized)
      assert.is_table(weak[1])
      co.leaks { leaked = "cancel" }
      settle()
    end)
    collectgarbage()
    collectgarbage()
    assert.equal(1, finalized)
  end)

  for _, mode in ipairs { "generational", "incremental" } do
    it("works while the collector is " .. mode .. ", or stopped", function()
      collectgarbage(mode)
      local function lose() go("lost", function() co.chan():recv() end) end
      assert.same({ "lost" }, leaks_of(lose))
      collectgarbage "stop"
      assert.same({ "lost" }, leaks_of(lose))
      collectgarbage "restart"
      collectgarbage "incremental"
    end)
  end

  it("can not be called by a finalizer", function()
    local message
    setmetatable({}, { __gc = function() message = select(2, pcall(co.leaks)) end })
    collectgarbage()
    collectgarbage()
    assert.matches("co.leaks can not look for leaked tasks while Lua collects garbage", message, 1, true)
  end)

  it("never finds main, which co.run has", function()
    local found
    local ch = co.chan()
    co.spawn(function() -- no child of main, which would have it as parent
      co.sleep(0.001)
      found = names_of(co.leaks())
      ch:close()
    end)
    co.run(function()
      co.select(nil, co.chan(), co.chan(), ch)
    end)
    ch = nil -- luacheck: ignore
    assert.same({}, found)
  end)

  it("checks its options", function()
    assert.has_error(function() co.leaks(1) end, "bad argument #1 to 'leaks' (table expected, got number)")
    assert.has_error(function() co.leaks { leak = "cancel" } end,
      "bad argument #1 to 'leaks' (unknown option 'leak')")
    assert.has_error(function() co.leaks { leaked = "end" } end,
      [[bad argument #1 to 'leaks' (option 'leaked': "report" or "cancel" expected, got end)]])
  end)
end)

describe("the leak of a task", function()
  it("is told to observers and counted, once", function()
    local heard = {}
    local stop = co.observe({ "leaked" }, function(kind, t) heard[#heard + 1] = kind .. " " .. t.name end)
    local before = co.stats().leaked
    leaks_of(function()
      go("a", function() co.chan():recv() end)
      go("b", function() co.chan():recv() end)
    end, function() co.leaks() end)
    stop()
    assert.same({ "leaked a", "leaked b" }, heard)
    assert.equal(before + 2, co.stats().leaked)
  end)

  it("may be prevented by an observer, which gets the task", function()
    local status
    local stop = co.observe({ "leaked" }, function(_, t) t:cancel("by the observer") end)
    co.run(function()
      (function()
        go("a", function() co.chan():recv() end)
      end)()
      settle()
      local t = co.leaks { leaked = "cancel" }[1]
      status = select(2, t:join())
    end)
    stop()
    assert.equal("cancelled", status.kind)
    assert.equal("by the observer", status.value)
  end)
end)

describe("co.leaks { leaked = \"cancel\" }", function()
  it("ends the tasks: their deferred calls run, and the record has the kind", function()
    local log = {}
    co.run(function()
      (function()
        go("lost", function()
          co.defer(function()
            co.sleep(0.001)
            log[#log + 1] = "first"
          end)
          co.defer(function() log[#log + 1] = tostring(co.recover()) end)
          pcall(function() co.chan():recv() end)
          co.yield()
        end)
      end)()
      settle()
      local t = co.leaks({ leaked = "cancel" })[1]
      local ok, record = t:join()
      assert.is_false(ok)
      assert.equal("leaked", record.kind)
      assert.equal("leaked", record.source)
      assert.equal("cancelled", t:status())
      assert.equal("nothing that is still in use can wake the task", record.value)
      assert.matches('task %d+ "lost" has leaked', tostring(record))
      assert.equal("leaked", record:to_table().kind)
    end)
    assert.same({ "nil", "first" }, log)
  end)

  it("ends a task in a deferred call by a panic there, and its other deferred calls run", function()
    local log = {}
    co.run(function()
      (function()
        go("lost", function()
          co.defer(function() log[#log + 1] = "outer" end)
          co.defer(function() co.chan():recv() end)
        end)
      end)()
      settle()
      local t = co.leaks({ leaked = "cancel" })[1]
      local ok, record = t:join()
      assert.is_false(ok)
      assert.equal("leaked", record.kind)
    end)
    assert.same({ "outer" }, log)
  end)

  it("ends each task of a group, also those in scopes, locks and coroutines", function()
    local ended = {}
    co.run(function()
      (function()
        local m = co.mutex()
        local function note(name) co.defer(function() ended[#ended + 1] = name end) end
        go("holds", function()
          note "holds"
          m:lock()
          co.defer(m.unlock, m)
          co.coroutine.wrap(function() co.chan():recv() end)()
        end)
        go("wants", function()
          note "wants"
          m:lock()
        end)
        go("owner", function()
          note "owner"
          co.scope(function(s)
            s:spawn(function()
              note "member"
              co.chan():send(1)
            end)
          end)
        end)
      end)()
      settle()
      assert.equal(4, #co.leaks { leaked = "cancel" })
      settle()
      assert.same({}, co.leaks())
    end)
    table.sort(ended)
    assert.same({ "holds", "member", "owner", "wants" }, ended)
  end)
end)
