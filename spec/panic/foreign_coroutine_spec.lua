local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

describe("in a coroutine that somebody else made", function()
  it("deferred calls run when the function returns", function()
    local lines, say = helpers.log()
    coroutine.wrap(co.func(function()
      co.defer(say, "deferred")
      say "body"
    end))()
    assert.same({ "body", "deferred" }, lines)
  end)

  it("a panic can be recovered", function()
    local got
    coroutine.wrap(co.func(function()
      co.defer(function() got = co.recover() end)
      co.panic "x"
    end))()
    assert.equal("x", got)
  end)

  it("an unrecovered panic ends the coroutine with its record", function()
    local ok, record = coroutine.resume(coroutine.create(co.func(function() co.panic "x" end)))
    assert.is_false(ok)
    assert.equal("x", record.value)
  end)

  it("a function with a frame may yield, and gets what it is resumed with", function()
    local lines, say = helpers.log()
    local resume = coroutine.wrap(co.func(function(...)
      co.defer(say, "deferred")
      say("got", coroutine.yield(...))
      return "returned"
    end))
    assert.same({ n = 2, "a", nil }, table.pack(resume("a", nil)))
    assert.equal("returned", resume "b")
    assert.same({ "got b", "deferred" }, lines)
  end)

  it("a deferred call may yield", function()
    local lines, say = helpers.log()
    local resume = coroutine.wrap(co.func(function()
      co.defer(say, "second")
      co.defer(function() say("first", coroutine.yield "yielded") end)
      return "returned"
    end))
    assert.equal("yielded", resume())
    assert.equal("returned", resume "resumed")
    assert.same({ "first resumed", "second" }, lines)
  end)

  it("a deferred call may yield while a panic unwinds, then recover it", function()
    local got
    local resume = coroutine.wrap(co.func(function()
      co.defer(function()
        coroutine.yield()
        got = co.recover()
      end)
      co.panic "x"
    end))
    resume()
    resume()
    assert.equal("x", got)
  end)

  it("the frames of coroutines that take turns are kept apart", function()
    local lines, say = helpers.log()
    local function start(name)
      return coroutine.wrap(co.func(function()
        co.defer(say, name, "first")
        coroutine.yield()
        co.defer(say, name, "second")
      end))
    end
    local a, b = start "a", start "b"
    a()
    b()
    a()
    b()
    assert.same({ "a second", "a first", "b second", "b first" }, lines)
  end)

  it("each coroutine panics by itself", function()
    local lines, say = helpers.log()
    co.call(function()
      co.defer(say, "outer")
      local ok = coroutine.resume(coroutine.create(co.func(function()
        co.defer(say, "inner")
        co.panic "x"
      end)))
      say("outer goes on", ok)
    end)
    assert.same({ "inner", "outer goes on false", "outer" }, lines)
  end)
end)

describe("a generator inside a task", function()
  local function count_to(n)
    return coroutine.wrap(function()
      for i = 1, n do
        coroutine.yield(i)
      end
    end)
  end

  co_it("yields to its caller in the task, not to the scheduler", seeded, function()
    local sum = 0
    for i in count_to(10) do
      sum = sum + i
      co.yield()
    end
    assert.equal(55, sum)
  end)

  co_it("runs in the task", seeded, function()
    local inside = coroutine.wrap(function() return co.current() end)()
    assert.equal(co.current(), inside)
  end)

  co_it("may spawn", seeded, function()
    local child = coroutine.wrap(function() return co.spawn(function() return "x" end) end)()
    assert.equal(co.current(), child.parent)
    assert.equal("x", child:await())
  end)

  co_it("passes a panic on to the task, the value identical", function()
    local value = {}
    local generate = coroutine.wrap(function() co.panic(value) end)
    local record = helpers.record_of(function() generate() end)
    assert.equal(value, record.value)
  end)

  co_it("can not suspend the task: the error says what to do", seeded, function()
    local generate = coroutine.wrap(function() co.sleep(1) end)
    local message = helpers.message_of(select(2, pcall(generate)))
    helpers.assert_contains("sleep", message)
    helpers.assert_contains("coroutine", message)
    helpers.assert_contains("co.spawn", message)
  end)

  co_it("goes on in another task", seeded, function()
    local generate = count_to(2)
    assert.equal(1, generate())
    assert.equal(2, co.spawn(generate):await())
  end)
end)

describe("coroutine.yield in a task", function()
  co_it("ends the task with a record that names co.yield", seeded, function()
    local task = co.spawn(function() coroutine.yield "x" end)
    local ok, record = task:join()
    assert.is_false(ok)
    helpers.assert_contains("co.yield", record.message)
    assert.equal("panicked", task:status())
  end)

  co_it("runs the deferred calls of the task", seeded, function()
    local lines, say = helpers.log()
    co.spawn(function()
      co.defer(say, "deferred")
      coroutine.yield()
      say "never"
    end):join()
    assert.same({ "deferred" }, lines)
  end)

  co_it("leaves the other tasks alone", seeded, function()
    local lines, say = helpers.log()
    co.spawn(coroutine.yield):join()
    co.spawn(say, "another"):join()
    assert.same({ "another" }, lines)
  end)

  it("may hold frames in frames, whose deferred calls run where each is left", function()
    local out = {}
    local inner = co.func(function()
      co.defer(function() out[#out + 1] = "inner deferred" end)
      return "x"
    end)
    local outer = co.func(function()
      co.defer(function() out[#out + 1] = "outer deferred" end)
      inner()
      out[#out + 1] = "outer goes on"
    end)
    coroutine.wrap(function() return outer() end)()
    assert.same({ "inner deferred", "outer goes on", "outer deferred" }, out)
  end)
end)
