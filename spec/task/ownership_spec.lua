--- A task's coroutine is its own: whoever else resumes or closes it is refused, and the task waits on.

local co = require "coropanic"
local helpers = require "spec.helpers"
local socket = require "socket"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

local REFUSAL = "this coroutine belongs to a task of coropanic: only its scheduler may resume or close it"

--- Each makes a wait, and what ends it after the attack; the wait returns "waited" and what it has got.
local waits = {
  yield = function() return function() co.yield() return "waited" end end,
  sleep = function() return function() co.sleep(2) return "waited", co.now() end, nil, 2.0 end,
  recv = function()
    local ch = co.chan()
    return function() return "waited", ch:recv() end, function() ch:send "value" end, "value", true
  end,
  ["recv of a channel that is closed"] = function()
    local ch = co.chan()
    return function() return "waited", ch:recv() end, function() ch:close() end, nil, false
  end,
  iter = function()
    local ch = co.chan()
    return function() return "waited", ch:iter()() end, function() ch:send "value" end, "value"
  end,
  send = function()
    local ch = co.chan()
    return function() ch:send "value" return "waited" end, function() assert.equal("value", ch:recv()) end
  end,
  select = function()
    local ch = co.chan()
    return function() return "waited", co.select(nil, co.chan(), ch) end,
      function() ch:send "value" end, 2, "value", true
  end,
  ["select that sends"] = function()
    local ch = co.chan()
    return function() return "waited", co.select(nil, { ch, "value" }) end,
      function() assert.equal("value", ch:recv()) end, 1
  end,
  ["select with a time-out"] = function()
    return function() return "waited", co.select(2, co.chan()) end, nil, 0
  end,
  lock = function()
    local mutex = co.mutex()
    mutex:lock()
    return function() return "waited", mutex:lock() end, function() mutex:unlock() end, true
  end,
  rlock = function()
    local rw = co.rwmutex()
    rw:lock()
    return function() return "waited", rw:rlock() end, function() rw:unlock() end, true
  end,
  ["lock with a time-out"] = function()
    local mutex = co.mutex()
    mutex:lock()
    return function() return "waited", mutex:lock(2) end, nil, false
  end,
  semaphore = function()
    local semaphore = co.semaphore(1)
    semaphore:acquire()
    return function() return "waited", semaphore:acquire() end, function() semaphore:release() end, true
  end,
  waitgroup = function()
    local wg = co.waitgroup()
    wg:add(1)
    return function() return "waited", wg:wait() end, function() wg:done() end, true
  end,
  once = function()
    local once = co.once(function() co.sleep(2) return "value" end)
    co.spawn(once)
    co.yield()
    return function() return "waited", once() end, nil, "value"
  end,
  ["once, in its own call"] = function()
    local once = co.once(function() co.sleep(2) return "value" end)
    return function() return "waited", once() end, nil, "value"
  end,
  event = function()
    local event = co.event()
    return function() return "waited", event:wait() end, function() event:set() end, true
  end,
  condition = function()
    local mutex = co.mutex()
    local condition = co.condition(mutex)
    return function()
      mutex:lock()
      return "waited", condition:wait(), mutex:owner() == co.current()
    end, function() condition:signal() end, true, true
  end,
  join = function()
    local task = co.spawn(function() co.sleep(2) return "value" end)
    return function() return "waited", task:join() end, nil, true, "value"
  end,
  ["join with a time-out"] = function()
    local task = co.spawn_with({ daemon = true }, co.sleep, 1000)
    return function() return "waited", task:join(2) end, nil, false, nil
  end,
  await = function()
    local task = co.spawn(function() co.sleep(2) return "value" end)
    return function() return "waited", task:await() end, nil, "value"
  end,
  ["await of a callback"] = function()
    local resume
    return function() return "waited", co.await(function(r) resume = r end) end,
      function() assert.is_true(resume("value", nil)) end, "value", nil
  end,
  wait_fd = function()
    local server = assert(socket.bind("127.0.0.1", 0))
    return function() return "waited", co.wait_fd(server:getfd(), "r") end, function()
      local client = socket.tcp()
      client:settimeout(0)
      client:connect("127.0.0.1", (select(2, server:getsockname())))
    end, "r"
  end,
  ["the end of a scope"] = function()
    return function()
      co.scope(function(s) s:spawn(co.sleep, 2) end)
      return "waited", co.now()
    end, nil, 2.0
  end,
  ["the body of a scope"] = function()
    return function() co.scope(function() co.sleep(2) end) return "waited", co.now() end, nil, 2.0
  end,
  ["the end of a supervising scope"] = function()
    return function()
      co.supervise(function(s) s:spawn(co.sleep, 2) end)
      return "waited", co.now()
    end, nil, 2.0
  end,
  ["the body of a time-out"] = function()
    return function() return "waited", co.with_timeout(5, function() co.sleep(2) return "value" end) end,
      nil, true, "value"
  end,
  ["the body of a time-out that runs out"] = function()
    return function() return "waited", co.with_timeout(2, co.sleep, 1000) end, nil, false
  end,
  ["co.with"] = function()
    return function() return "waited", co.with(co.ctx(), function() co.sleep(2) return "value" end) end,
      nil, "value"
  end,
  ["a frame"] = function()
    return function() return "waited", co.call(function() co.sleep(2) return "value" end) end, nil, "value"
  end,
  ["pcall"] = function()
    local function body() co.sleep(2) return "value" end
    return function() return "waited", pcall(body) end, nil, true, "value"
  end,
  ["a deferred call"] = function()
    local waited
    return function()
      co.call(function() co.defer(function() co.sleep(2) waited = true end) end)
      return "waited", waited
    end, nil, true
  end,
  ["a deferred call of a panic"] = function()
    return function()
      return "waited", co.call(function()
        co.defer(function() co.sleep(2) co.set_results(co.recover()) end)
        error("value", 0)
      end)
    end, nil, "value"
  end,
}

--- What others may try. Those that have Lua's functions from before can't be told false, but nil and why.
local attacks = {
  ["coroutine.resume"] = function(thread)
    assert.same({ false, REFUSAL }, { coroutine.resume(thread, 1, 2) })
  end,
  ["coroutine.close"] = function(thread) assert.same({ false, REFUSAL }, { coroutine.close(thread) }) end,
  ["co.coroutine.resume"] = function(thread)
    assert.same({ false, REFUSAL }, { co.coroutine.resume(thread, 1, 2) })
  end,
  ["co.coroutine.close"] = function(thread)
    assert.same({ false, REFUSAL }, { co.coroutine.close(thread) })
  end,
  ["a resume that was kept from before"] = function(thread)
    for arguments = 0, 3 do
      local given = { "x", "y", "z" }
      local values = table.pack(helpers.unguarded.resume(thread, table.unpack(given, 1, arguments)))
      assert.same({ true, nil, REFUSAL, n = 3 }, values)
    end
  end,
  ["a wrap of it"] = function(thread)
    helpers.assert_error(REFUSAL, coroutine.wrap(function() assert(coroutine.resume(thread)) end))
  end,
  ["a coroutine"] = function(thread)
    co.coroutine.wrap(function() assert.is_false((co.coroutine.resume(thread))) end)()
  end,
  ["a finalizer"] = function(thread)
    local resumed
    setmetatable({}, { __gc = function() resumed = table.pack(coroutine.resume(thread)) end })
    collectgarbage()
    collectgarbage()
    assert.same({ false, REFUSAL, n = 2 }, resumed)
  end,
  ["a debug hook"] = function(thread)
    local resumed
    debug.sethook(function() debug.sethook() resumed = coroutine.resume(thread) end, "", 1)
    for _ = 1, 10 do end
    assert.is_false(resumed)
  end,
}

for name, make in pairs(waits) do
  describe(("a task that waits in %s"):format(name), function()
    for attacker, attack in pairs(attacks) do
      co_it(("is not harmed by %s"):format(attacker), function()
        local made = table.pack(make())
        local wait, finish = made[1], made[2]
        local expected = table.pack(true, "waited", table.unpack(made, 3, made.n))
        local thread
        local task = co.spawn(function()
          thread = coroutine.running()
          return wait()
        end)
        co.yield()
        attack(thread)
        if name ~= "yield" then
          co.yield()
          attack(thread)
          assert.equal("waiting", task:status())
          co.sleep(1)
          attack(thread)
        end
        if finish then finish() end
        local results = table.pack(task:join())
        -- A time-out has its record besides.
        assert.same(expected, table.pack(table.unpack(results, 1, expected.n)))
        assert.equal("done", task:status())
        assert.equal("dead", coroutine.status(thread))
      end)
    end
  end)
end

describe("a task that was handed a value", function()
  it("gets it although somebody resumes its coroutine in the same tick", function()
    for _, resume in ipairs { coroutine.resume, co.coroutine.resume, helpers.unguarded.resume } do
      helpers.run(function()
        local ch, thread = co.chan(), nil
        local function wait(receive)
          return co.spawn(function()
            thread = coroutine.running()
            return receive()
          end)
        end
        for _, receive in ipairs {
          function() return ch:recv() end,
          function() return select(2, co.select(nil, ch)) end,
        } do
          local task = wait(receive)
          co.yield()
          ch:send "value"
          resume(thread, "forged", false)
          assert.same({ "value", true }, { task:await() })
        end
      end)
    end
  end)
end)

describe("a task that is cancelled", function()
  it("is unwound although somebody resumes its coroutine in the same tick", function()
    for _, resume in ipairs { coroutine.resume, co.coroutine.resume, helpers.unguarded.resume } do
      helpers.run(function()
        local thread, cleaned
        local task = co.spawn(function()
          co.defer(function() cleaned = true end)
          thread = coroutine.running()
          co.with_timeout(5, co.sleep, 1000)
        end)
        co.yield()
        task:cancel "enough"
        resume(thread)
        assert.equal("enough", select(2, task:join()).reason)
        assert.is_true(cleaned)
      end)
    end
  end)
end)

describe("a task in a coroutine of co.coroutine", function()
  it("is not harmed by whoever resumes any of its coroutines", function()
    for _, resume in ipairs { coroutine.resume, co.coroutine.resume, helpers.unguarded.resume } do
      helpers.run(function()
        local threads = {}
        local function note() table.insert(threads, (coroutine.running())) end
        local task = co.spawn(function()
          note()
          return co.coroutine.wrap(function()
            note()
            return co.coroutine.wrap(function()
              note()
              co.sleep(2)
              return "slept", co.now()
            end)()
          end)()
        end)
        co.yield()
        assert.equal(3, #threads)
        for _, thread in ipairs(threads) do
          local values = table.pack(resume(thread, 1, 2, 3))
          assert.equal(REFUSAL, values[values.n])
        end
        assert.same({ "slept", 2.0 }, { task:await() })
      end)
    end
  end)
end)

describe("the main program", function()
  it("is refused the coroutine of a task between two steps", function()
    local thread
    local task = co.spawn(function()
      thread = coroutine.running()
      co.yield()
      return "done"
    end)
    co.step()
    assert.same({ false, REFUSAL }, { coroutine.resume(thread) })
    assert.same({ false, REFUSAL }, { coroutine.close(thread) })
    assert.same({ true, nil, REFUSAL }, { helpers.unguarded.resume(thread) })
    co.step()
    assert.equal("done", task:status())
  end)
end)

describe("whoever closes the coroutine of a task with a function from before", function()
  local function lose(wait, ...)
    local thread
    local task = co.spawn(function(...)
      thread = coroutine.running()
      return wait(...)
    end, ...)
    co.yield()
    helpers.unguarded.close(thread)
    return task
  end

  co_it("ends the task: who joins it is told", function()
    local resume
    for _, wait in ipairs {
      function() co.sleep(1000) end,
      function() co.chan():recv() end,
      function() co.await(function(r) resume = r end) end,
      function() co.scope(function(s) s:spawn(co.sleep, 1000) end) end,
      function() co.with_timeout(1000, co.sleep, 1000) end,
    } do
      local task = lose(wait)
      local ok, record = task:join(1)
      assert.is_false(ok)
      helpers.assert_contains("closed or resumed by somebody else", record.message)
      assert.equal("panicked", task:status())
    end
    assert.is_false(resume "nobody is there")
  end)

  co_it("ends the task before a callback finds it", function()
    local resume
    local task = lose(co.await, function(r) resume = r end)
    assert.is_false(resume "nobody is there")
    assert.is_false((task:join()))
    assert.equal("panicked", task:status())
  end)
end)

describe("a task that has not run yet", function()
  -- Its coroutine can be known only if it served another task to a `running` from before.
  local function spawn_on_known(fn, ...)
    local known
    co.spawn(function() known = helpers.unguarded.running() end):join()
    return co.spawn(fn, ...), known
  end

  co_it("is not begun or closed by others", seeded, function()
    local task, thread = spawn_on_known(function(...) return ... end, 1, 2)
    assert.same({ false, REFUSAL }, { coroutine.resume(thread) })
    assert.same({ false, REFUSAL }, { co.coroutine.close(thread) })
    assert.same({ 1, 2 }, { task:await() })
  end)

  for name, attack in pairs {
    ["begun with a function from before"] = function(thread) helpers.unguarded.resume(thread) end,
    ["closed with a function from before"] = function(thread) helpers.unguarded.close(thread) end,
  } do
    it(("ends when it is %s, and the next task has another coroutine"):format(name), function()
      local function fail() error "x" end
      local function succeed() return 1 end
      for _, fn in ipairs { function() end, fail, coroutine.yield, succeed } do
        for _, cancelled in ipairs { false, true } do
          helpers.run(function()
            local task, thread = spawn_on_known(fn)
            attack(thread)
            if cancelled then task:cancel() end
            assert.is_false((task:join(1)))
            assert.equal(1, co.spawn(function() return 1 end):await())
          end)
        end
      end
    end)
  end

  it("ends when code that has begun it runs the loop", function()
    local known
    co.run(function() known = helpers.unguarded.running() end)
    local went_on
    local task = co.spawn(function()
      co.step()
      went_on = true
    end)
    helpers.unguarded.resume(known)
    assert.is_true(went_on)
    assert.equal("panicked", task:status())
    assert.is_false((co.run(task.join, task)))
  end)
end)

describe("coroutine.resume, close and running", function()
  it("do to other coroutines what Lua's do", function()
    local function programs(c)
      local thread = coroutine.create(function(...)
        local again = table.pack(...)
        coroutine.yield(again.n, table.unpack(again, 1, again.n))
        error { "an error" }
      end)
      local out = { table.pack(c.resume(thread, nil, 2, nil)), table.pack(c.resume(thread)) }
      table.insert(out, table.pack(c.resume(thread)))
      table.insert(out, table.pack(c.close(coroutine.create(print))))
      table.insert(out, table.pack(c.close(thread)))
      table.insert(out, table.pack(c.resume((c.running()))))
      table.insert(out, table.pack(c.resume(coroutine.create(function()
        return select("#", c.running()), select(2, c.running())
      end))))
      return out
    end
    assert.same(programs(helpers.unguarded), programs(coroutine))
  end)

  it("nest coroutines as deep as Lua's do", function()
    local function depth(resume)
      local deepest = 0
      local function descend(n)
        deepest = n
        return resume(coroutine.create(descend), n + 1)
      end
      descend(1)
      return deepest
    end
    assert.equal(depth(helpers.unguarded.resume), depth(coroutine.resume))
  end)

  it("are found in tracebacks under their names", function()
    local result = helpers.run_script [[
      require "coropanic"
      coroutine.resume(nil)]]
    helpers.assert_contains("bad argument #1 to 'resume' (thread expected, got nil)", result.stderr)
    helpers.assert_contains("in function 'coroutine.resume'", result.stderr)
  end)

  it("are put there once, and call what a program had put there", function()
    local result = helpers.run_script [[
      local lua = coroutine.resume
      coroutine.resume = function(...) io.write "resume " return lua(...) end
      local co = require "coropanic"
      local guarded = coroutine.resume
      package.loaded["coropanic"], package.loaded["coropanic.core"] = nil, nil
      require "coropanic"
      io.write(tostring(guarded == coroutine.resume), " ")
      print(coroutine.resume(coroutine.create(function(...) return ... end), 1, 2))
      co.instrument()
      package.loaded["coropanic"], package.loaded["coropanic.core"] = nil, nil
      local instrumented = coroutine.resume
      require "coropanic"
      print(instrumented == coroutine.resume)
    ]]
    assert.same({ "true resume true\t1\t2\ntrue\n", "" }, { result.stdout, result.stderr })
  end)
end)
