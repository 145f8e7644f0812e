local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

describe("a once", function()
  it("runs its function once, and gives everybody its results", function()
    local calls = 0
    local o = co.once(function(...)
      calls = calls + 1
      return "first", nil, ...
    end)
    assert.is_false(o:done())
    local first = table.pack(o(1, nil))
    assert.is_true(o:done())
    assert.same({ "first", nil, 1, nil, n = 4 }, first)
    assert.same(first, table.pack(o(2)))
    assert.same(first, table.pack(o:call(3)))
    assert.equal(1, calls)
  end)

  co_it("lets those who call while it runs wait for the results", seeded, function()
    local o = co.once(function()
      co.sleep(2)
      return "result", 42
    end)
    local tasks = {}
    for i = 1, 3 do
      tasks[i] = co.spawn(o)
    end
    for i = 1, 3 do
      assert.same({ "result", 42 }, { tasks[i]:await() })
      assert.equal(2, co.now())
    end
  end)

  co_it("raises its panic again for each caller: the same value, the first record as the cause", function()
    local value, calls = {}, 0
    local o = co.once(function()
      calls = calls + 1
      co.sleep(1)
      error(value)
    end)
    local first, second = co.spawn(o), co.spawn(o)
    local _, original = first:join()
    local _, waited = second:join()
    local late = helpers.record_of(o)
    for _, record in ipairs { original, waited, late } do
      assert.equal(value, record.value)
      assert.equal("error", record.kind)
    end
    assert.is_nil(original.cause)
    assert.equal(first.id, waited.cause.task.id)
    assert.equal(first.id, late.cause.task.id)
    assert.is_true(o:done())
    assert.equal("once (panicked)", tostring(o))
    assert.equal(1, calls)
  end)

  it("raises it again although the first caller recovered", function()
    local o = co.once(function() co.panic "boom" end)
    local recovered
    co.call(function()
      co.defer(function() recovered = co.recover() end)
      o()
    end)
    assert.equal("boom", recovered)
    assert.equal("boom", helpers.record_of(o).value)
  end)

  it("is run by the next caller where the first was cancelled, timed out or exited", function()
    local function cancel(o)
      local task = co.spawn(o)
      co.yield()
      task:cancel()
      task:join()
    end
    local function time_out(o) assert.is_false((co.with_timeout(1, o))) end
    local function exit() co.goexit() end
    local function goexit(o) co.spawn(o, exit):join() end
    for _, leave in ipairs { cancel, time_out, goexit } do
      helpers.run(function()
        local calls = 0
        local o = co.once(function(fn)
          calls = calls + 1
          if fn then fn() end
          co.sleep(2)
          return "result of call", calls
        end)
        leave(o)
        assert.is_false(o:done())
        assert.same({ "result of call", 2 }, { o() })
        assert.same({ "result of call", 2 }, { o() })
      end)
    end
  end)

  co_it("is run by exactly one of those who wait, with its own arguments", function()
    local ran = {}
    local o = co.once(function(name)
      ran[#ran + 1] = name
      co.sleep(2)
      return name
    end)
    local tasks = {}
    for i, name in ipairs { "a", "b", "c", "d" } do tasks[i] = co.spawn(o, name) end
    co.sleep(1)
    tasks[1]:cancel()
    tasks[2]:cancel() -- in the same tick: who would have been next
    assert.equal("c", tasks[3]:await())
    assert.equal("c", tasks[4]:await())
    assert.same({ "a", "c" }, ran)
  end)

  co_it("is run by the next caller where the first was unwound by force", seeded, function()
    local o = co.once(function(swallow)
      while swallow do pcall(co.sleep, 1) end
      return "result"
    end)
    local log, say = helpers.log()
    local first = co.spawn(co.call, function()
      co.defer(function() say(tostring(o)) end)
      o(true)
    end)
    co.sleep(1)
    first:cancel()
    first:join()
    assert.same({ "once (not called)" }, log)
    assert.equal("result", o())
  end)

  it("whose function swallows its caller's cancellation, and returns, has run", function()
    helpers.run(function()
      local o = co.once(function()
        pcall(co.sleep, 1)
        return "result"
      end)
      local task = co.spawn(o)
      co.yield()
      task:cancel()
      task:join()
      assert.is_true(o:done())
      assert.equal("result", o())
    end)
  end)

  it("has no deferred calls: its function defers for its caller", function()
    local lines, say = helpers.log()
    local function defer()
      co.defer(say, "deferred")
      say "once"
    end
    local record = helpers.record_of(co.once(defer))
    helpers.assert_contains("outside any frame", record.message)
    co.call(function()
      co.once(defer)()
      say "caller"
    end)
    assert.same({ "once", "caller", "deferred" }, lines)
  end)

  co_it("is not done when a caller that waits is cancelled", seeded, function()
    local o = co.once(function()
      co.sleep(2)
      return "result"
    end)
    local first, second = co.spawn(o), co.spawn(o)
    co.yield()
    second:cancel()
    second:join()
    assert.is_false(o:done())
    assert.equal("result", first:await())
  end)

  it("runs again if the task that ran it was given up", function()
    local o = co.once(function()
      while co.stats().live == 1 do pcall(function() co.chan():recv() end) end
      return "result"
    end)
    local function again()
      co.defer(again)
      o()
    end
    assert.has_error(function() helpers.run(function() co.defer(again) end) end)
    assert.equal("once (not called)", tostring(o))
    helpers.run(function()
      co.spawn(co.sleep, 1)
      assert.equal("result", o())
    end)
  end)

  it("called by its own function is a deadlock at once", function()
    local o
    o = co.once(function() return o() end)
    local function check()
      local record = helpers.record_of(o)
      assert.equal("deadlock", record.kind)
      assert.equal("once called by its own function: it would wait for itself", record.message)
    end
    check()
    o = co.once(function() return o() end)
    helpers.run(check)
  end)

  it("that has run can be called where nothing can suspend", function()
    local o = co.once(function() return 5 end)
    helpers.run(function()
      local list = { 2, 1 }
      table.sort(list, function(a, b) return a + o() < b + o() end)
      assert.same({ 1, 2 }, list)
    end)
  end)

  it("keeps neither its function nor what that holds once it has run", function()
    local held = setmetatable({}, { __mode = "k" })
    local o
    do
      local big = {}
      held[big] = true
      o = co.once(function() return big ~= nil end)
    end
    assert.is_true(o())
    collectgarbage()
    assert.is_nil(next(held))
  end)

  co_it("tells its state as text", function()
    local o = co.once(co.sleep)
    assert.equal("once (not called)", tostring(o))
    local first = co.spawn(o, 1)
    co.spawn(o)
    co.yield()
    local state = ("once (running in task %d)"):format(first.id)
    assert.equal(state, tostring(o))
    helpers.assert_contains("waiting on once of " .. state, co.dump())
    first:join()
    assert.equal("once (done)", tostring(o))
  end)
end)
