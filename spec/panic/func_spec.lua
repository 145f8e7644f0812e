local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)

--- `n` values, every other one nil.
local function gappy(n)
  local values = { n = n }
  for i = 1, n, 2 do
    values[i] = i
  end
  return values
end

describe("co.func", function()
  it("returns what the function returns, nils included", function()
    local results = table.pack(co.func(function() return nil, "b", nil end)())
    assert.same({ n = 3, nil, "b", nil }, results)
  end)

  it("returns nothing when the function returns nothing", function()
    assert.equal(0, select("#", co.func(function() end)()))
  end)

  it("passes its arguments on, nils included", function()
    local got
    co.func(function(...) got = table.pack(...) end)(nil, "b", nil)
    assert.same({ n = 3, nil, "b", nil }, got)
  end)

  it("passes hundreds of values in and out", function()
    local values = gappy(240)
    local identity = co.func(function(...) return ... end)
    assert.same(values, table.pack(identity(table.unpack(values, 1, values.n))))
  end)

  it("returns hundreds of values past a deferred call", function()
    local values = gappy(240)
    local identity = co.func(function(...)
      co.defer(function() end)
      return ...
    end)
    assert.same(values, table.pack(identity(table.unpack(values, 1, values.n))))
  end)

  it("gives each call of the function a frame of its own", function()
    local lines, say = helpers.log()
    local countdown
    countdown = co.func(function(n)
      co.defer(say, "leaves", n)
      if n > 1 then
        countdown(n - 1)
      end
      say("is done with", n)
    end)
    countdown(2)
    assert.same({ "is done with 1", "leaves 1", "is done with 2", "leaves 2" }, lines)
  end)

  it("owns what the plain functions that it calls defer", function()
    local lines, say = helpers.log()
    local function helper()
      co.defer(say, "deferred")
      say "helper returns"
    end
    co.func(function()
      helper()
      say "after the helper"
    end)()
    assert.same({ "helper returns", "after the helper", "deferred" }, lines)
  end)

  it("computes its results before its deferred calls run", function()
    local x = 1
    local f = co.func(function()
      co.defer(function() x = 2 end)
      return x
    end)
    assert.equal(1, f())
    assert.equal(2, x)
  end)

  it("returns to its caller after a recovered panic, with no results", function()
    local f = co.func(function()
      co.defer(function() co.recover() end)
      co.panic "stop"
    end)
    assert.equal(0, select("#", f()))
  end)

  it("accepts anything that can be called", function()
    local object = setmetatable({}, { __call = function(_, word) return "called with " .. word end })
    assert.equal("called with x", co.func(object)("x"))
  end)

  it("can be called as often as one likes", function()
    local count = 0
    local f = co.func(function() co.defer(function() count = count + 1 end) end)
    for _ = 1, 1000 do
      f()
    end
    assert.equal(1000, count)
  end)

  it("nests", function()
    local left = 0
    local dive
    dive = co.func(function(n)
      co.defer(function() left = left + 1 end)
      return n == 0 and "bottom" or (dive(n - 1))
    end)
    assert.equal("bottom", dive(50))
    assert.equal(51, left)
  end)

  co_it("may suspend, in a task, with its frame kept", function()
    local lines, say = helpers.log()
    local f = co.func(function(...)
      co.defer(say, "deferred")
      co.sleep(1)
      say "slept"
      return ...
    end)
    assert.same({ n = 2, "a", nil }, table.pack(f("a", nil)))
    assert.same({ "slept", "deferred" }, lines)
  end)

  co_it("keeps the frames of tasks apart when they take turns", function()
    local lines, say = helpers.log()
    co.scope(function()
      local f = co.func(function(name)
        co.defer(say, name, "deferred first")
        co.yield()
        co.defer(say, name, "deferred second")
        co.yield()
      end)
      co.spawn(f, "a")
      co.spawn(f, "b")
    end)
    assert.same({ "a deferred second", "a deferred first", "b deferred second", "b deferred first" }, lines)
  end)
end)

describe("co.call", function()
  it("is one call in a frame of its own", function()
    local lines, say = helpers.log()
    local results = table.pack(co.call(function(...)
      co.defer(say, "deferred")
      say(...)
      return ...
    end, "a", nil))
    assert.same({ n = 2, "a", nil }, results)
    assert.same({ "a nil", "deferred" }, lines)
  end)

  it("runs its deferred calls before those of the frame around it", function()
    local lines, say = helpers.log()
    co.call(function()
      co.defer(say, "outer")
      co.call(function() co.defer(say, "inner") end)
      say "between"
    end)
    assert.same({ "inner", "between", "outer" }, lines)
  end)

  it("passes a panic on to its caller", function()
    local value = {}
    local record = helpers.record_of(function() co.call(co.panic, value) end)
    assert.equal(value, record.value)
  end)
end)
