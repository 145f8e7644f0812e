--- Threads are used again, but nothing of one task gets to the next with them.

local co = require "coropanic"
local helpers = require "spec.helpers"

local run = helpers.run

describe("what a library keeps by coroutine.running()", function()
  for name, running in pairs { ["Lua's"] = coroutine.running, ["co.coroutine's"] = co.coroutine.running } do
    it(("is not found by another task (%s)"):format(name), function()
      run(function()
        local store = setmetatable({}, { __mode = "k" })
        for i = 1, 100 do
          co.spawn(function()
            assert.is_nil(store[running()])
            store[running()] = "password " .. i
          end):await()
        end
      end)
    end)
  end

  it("is not found where a deferred call, a hook or a handler kept it", function()
    run(function()
      local seen = setmetatable({}, { __mode = "k" })
      local function note()
        local thread = coroutine.running()
        assert.is_nil(seen[thread])
        seen[thread] = true
      end
      for _ = 1, 20 do
        co.spawn(function() co.defer(note) end):await()
        co.spawn(function() co.defer(note) co.goexit() end):join()
        co.spawn(function() co.defer(note) error "x" end):join()
        co.spawn(function()
          debug.sethook(function() debug.sethook() note() end, "", 1)
          for _ = 1, 10 do end
        end):await()
      end
    end)
  end)
end)

describe("the coroutine of a task that has ended", function()
  for name, body in pairs {
    ["by returning"] = function() end,
    ["by a panic"] = function() error "x" end,
    ["by goexit"] = co.goexit,
  } do
    it(("%s is dead, whoever runs meanwhile"):format(name), function()
      run(function()
        local stale
        co.spawn(function()
          stale = coroutine.running()
          body()
        end):join()
        local other = co.spawn(function()
          co.sleep(1)
          return "fine"
        end)
        co.yield()
        assert.equal("dead", coroutine.status(stale))
        assert.same({ false, "cannot resume dead coroutine" }, { coroutine.resume(stale) })
        assert.is_true(coroutine.close(stale))
        assert.equal("fine", other:await())
      end)
    end)
  end
end)

describe("a debug hook", function()
  it("that a task has set ends with it", function()
    run(function()
      for _, finish in ipairs { function() end, function() error "x" end, co.goexit } do
        co.spawn(function()
          debug.sethook(function() error("limit!", 0) end, "", 10000)
          finish()
        end):join()
        assert.equal(5000050000, co.spawn(function()
          assert.is_nil((debug.gethook()))
          local n = 0
          for i = 1, 100000 do n = n + i end
          return n
        end):await())
      end
    end)
  end)

  it("that another task had set does not come back under a spawner that has one", function()
    run(function()
      local calls = 0
      co.spawn(function() debug.sethook(function() calls = calls + 1 end, "", 1) end):join()
      debug.sethook(function() end, "", 1)
      local child = co.spawn(function()
        calls = 0
        for _ = 1, 1000 do end
        return calls
      end)
      debug.sethook()
      assert.equal(0, child:await())
    end)
  end)

  it("is given to a task as it is to a coroutine", function()
    run(function()
      co.spawn(function() end):join() -- a thread is at rest
      debug.sethook(function() end, "l", 7)
      local thread = coroutine.create(debug.gethook)
      local child = co.spawn(debug.gethook)
      debug.sethook()
      assert.same({ coroutine.resume(thread) }, { child:join() })
    end)
  end)
end)

describe("a limit that a host has set with lua_sethook", function()
  --- Runs a program in which `endless` never ends, under a limit.
  local function run_limited(body)
    local result = helpers.run_script(([[
      local co = require "coropanic"
      local limit = require("spec_hook").limit
      local function endless() while true do end end
      co.on_panic(function(record) print("panic", record.message) end)
      %s
    ]]):format(body))
    assert.equal("", result.stderr)
    return result.stdout
  end

  it("holds in tasks, their tasks, deferred calls and coroutines", function()
    local out = run_limited [[
      limit(100000)
      co.run(function()
        local function deferring() co.defer(endless) end
        local function nested() co.coroutine.wrap(endless)() end
        for _, body in ipairs { endless, deferring, nested } do
          for _ = 1, 3 do
            print((co.spawn(body):join()))
            print((co.spawn(function() return co.spawn(body):await() end):join()))
          end
        end
      end)
    ]]
    assert.equal(("false\n"):rep(18), out)
  end)

  it("holds in tasks that a host spawns and steps", function()
    assert.equal("true\tfalse\npanic\tthe host's limit\n", run_limited [[
      co.run(function() end) -- a thread is at rest
      limit(100000)
      local task = co.spawn(endless)
      limit()
      print(pcall(co.step))
      co.run(function() end)
    ]])
  end)

  it("is not there any more in what is spawned after it was taken back", function()
    assert.equal("false\ntrue\n", run_limited [[
      co.run(function()
        limit(100000)
        local limited = co.spawn(endless)
        limit()
        print((limited:join()))
        print((co.spawn(function() for _ = 1, 10^6 do end end):join()))
      end)
    ]])
  end)
end)

describe("co.thread_pool", function()
  local before
  before_each(function() before = co.thread_pool() end)
  after_each(function() co.thread_pool(before) end)

  --- How many of 50 tasks, one after the other, had a coroutine of their own.
  local function identities()
    return run(function()
      local seen, count = {}, 0
      for _ = 1, 50 do
        local thread = co.spawn(function() return (helpers.unguarded.running()) end):await()
        if not seen[thread] then count = count + 1 end
        seen[thread] = true
      end
      return count
    end)
  end

  it("tells and sets how many threads are kept for other tasks", function()
    assert.equal(1024, co.thread_pool(10))
    assert.equal(10, co.thread_pool())
    assert.equal(10, co.thread_pool(0))
  end)

  it("is 1024 at first, so that tasks use threads again which nobody knows", function()
    assert.equal(1, identities())
  end)

  it("of 0 gives each task a coroutine of its own, whoever may know it", function()
    co.thread_pool(0)
    assert.equal(50, identities())
  end)

  it("of 0 lets go of the last one at rest as well", function()
    run(function()
      local function running() return (helpers.unguarded.running()) end
      local first = co.spawn(running):await()
      co.thread_pool(0)
      assert.not_equal(first, co.spawn(running):await())
    end)
  end)

  it("lets go of those at rest", function()
    run(function()
      local tasks = {}
      for i = 1, 100 do tasks[i] = co.spawn(co.yield) end
      for i = 1, 100 do tasks[i]:join() end
    end)
    local kept = setmetatable({}, { __mode = "k" })
    run(function()
      for _ = 1, 50 do co.spawn(function() kept[helpers.unguarded.running()] = true end) end
    end)
    co.thread_pool(0)
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(kept))
  end)

  it("wants a number that makes sense", function()
    for _, wrong in ipairs { -1, 1025, 0.5, "10", {} } do
      helpers.assert_error("bad argument #1 to 'thread_pool' (threads: integer from 0 to 1024 expected, got",
        co.thread_pool, wrong)
    end
    assert.equal(1024, co.thread_pool())
  end)
end)
