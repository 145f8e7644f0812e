local co = require "coropanic"
local helpers = require "spec.helpers"

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

  it("lets those who call while it runs wait for the results", function()
    helpers.run(function()
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
  end)

  it("counts a panic as done: the first caller gets it, others nothing", function()
    helpers.run(function()
      local value = {}
      local o = co.once(function()
        co.sleep(1)
        error(value)
      end)
      local first, second = co.spawn(o), co.spawn(o)
      assert.equal(value, select(2, first:join()).value)
      assert.same({ true, n = 1 }, table.pack(second:join()))
      assert.equal(0, select("#", o()))
      assert.is_true(o:done())
    end)
  end)

  it("counts a cancellation and goexit as done", function()
    helpers.run(function()
      for _, leave in ipairs { co.sleep, co.goexit } do
        local o = co.once(leave)
        local first, second = co.spawn(o, 100), co.spawn(o)
        co.yield()
        first:cancel()
        assert.same({ true, n = 1 }, table.pack(second:join()))
        assert.is_true(o:done())
      end
    end)
  end)

  it("counts the end of a closed coroutine as done", function()
    local o = co.once(coroutine.yield)
    local thread = coroutine.create(function() o() end)
    coroutine.resume(thread)
    assert.equal("once (running in the main program)", tostring(o))
    coroutine.close(thread)
    assert.is_true(o:done())
  end)

  it("is not done when a caller that waits is cancelled", function()
    helpers.run(function()
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

  it("tells its state as text", function()
    helpers.run(function()
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
end)
