local co = require "coropanic"
local helpers = require "spec.helpers"
local test = require "coropanic.test"

--- Takes two locks in both orders, without a wait.
local function both_orders()
  local a, b = co.mutex { name = "first of two" }, co.mutex { name = "second of two" }
  local function take(first, second)
    first:lock()
    second:lock()
    second:unlock()
    first:unlock()
  end
  co.spawn(take, a, b):join()
  co.spawn(take, b, a):join()
end

describe("A test", function()
  it("fails if its tasks take locks in orders that can deadlock", function()
    local ok, message = pcall(test.run, {}, both_orders)
    assert.is_false(ok)
    assert.truthy(message:find "^%S+:%d+: possible deadlock: ")
    helpers.assert_contains(' locks "second of two" while holding "first of two" ', message)
    local _, times = message:gsub("possible deadlock", "")
    assert.equal(1, times)
  end)

  it("passes then if it is asked to ignore that", function()
    test.run({ order = "ignore" }, both_orders)
    helpers.assert_error("option 'order': \"fail\" or \"ignore\" expected, got \"no\"",
      function() test.run({ order = "no" }, both_orders) end)
  end)

  it("does not take the runs under other seeds, and other tests, for its own", function()
    local a, b = co.mutex(), co.mutex()
    local function take(first, second)
      first:lock()
      second:lock()
      second:unlock()
      first:unlock()
    end
    test.run({ seeds = 3 }, function()
      take(a, b)
      take(b, a)
    end)
    test.run({}, function() co.spawn(take, a, b):join() end)
    test.run({}, function() co.spawn(take, b, a):join() end)
  end)

  it("leaves co.order as it was", function()
    test.run({}, function() assert.is_true(co.order({ start = false }):stats().on) end)
    local order = co.order { start = false }
    assert.is_false(order:stats().on)
    co.order()
    test.run({}, function() end)
    assert.is_true(order:stats().on)
    order:stop()
  end)
end)
