local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

local context = co.context
local background = context.background

-- What err says.
local CANCELED = "context canceled"
local EXPIRED = "context deadline exceeded"

--- Collects until what nobody refers to is gone.
local function collect()
  for _ = 1, 4 do
    collectgarbage()
  end
end

describe("the background context", function()
  it("is one and the same", function() assert.equal(background(), background()) end)

  it("has no values, no deadline, and never ends", function()
    local ctx = background()
    assert.is_nil(ctx:value "key")
    assert.is_nil(ctx:deadline())
    assert.is_nil(ctx:err())
    assert.is_nil(ctx:cause())
  end)
end)

describe("context.with_value", function()
  it("gives a context that has the value, and leaves the parent as it is", function()
    local parent = background()
    local ctx = context.with_value(parent, "user", "ann")
    assert.equal("ann", ctx:value "user")
    assert.is_nil(parent:value "user")
  end)

  it("keeps the values of the parents", function()
    local ctx = context.with_value(context.with_value(background(), "a", 1), "b", 2)
    assert.same({ 1, 2 }, { ctx:value "a", ctx:value "b" })
  end)

  it("hides the parent's value of the same key", function()
    local ctx = context.with_value(context.with_value(background(), "a", 1), "a", 2)
    assert.equal(2, ctx:value "a")
  end)

  it("can hide it by nil or false", function()
    local parent = context.with_value(background(), "a", 1)
    assert.is_nil(context.with_value(parent, "a", nil):value "a")
    assert.is_false(context.with_value(parent, "a", false):value "a")
  end)

  it("compares keys by identity, so that a table of one's own is nobody else's", function()
    local always_equal = { __eq = function() return true end }
    local mine, theirs = setmetatable({}, always_equal), setmetatable({}, always_equal)
    local ctx = context.with_value(background(), mine, "secret")
    assert.equal("secret", ctx:value(mine))
    assert.is_nil(ctx:value(theirs))
  end)

  it("takes no nil for a key", function()
    assert.has_error(function() context.with_value(background(), nil, 1) end)
  end)

  it("gives the identical value back", function()
    local value = {}
    assert.equal(value, context.with_value(background(), "a", value):value "a")
  end)
end)

describe("context.with_cancel", function()
  it("gives a live context, and what cancels it", function()
    local ctx, cancel = context.with_cancel(background())
    assert.is_nil(ctx:err())
    assert.is_nil(ctx:cause())
    cancel()
    assert.equal(CANCELED, ctx:err())
  end)

  it("has err for its cause when none is given", function()
    local ctx, cancel = context.with_cancel(background())
    cancel()
    assert.equal(CANCELED, ctx:cause())
  end)

  it("has the cause that cancel was given, the identical value", function()
    local cause = {}
    local ctx, cancel = context.with_cancel(background())
    cancel(cause)
    assert.equal(CANCELED, ctx:err())
    assert.equal(cause, ctx:cause())
  end)

  it("keeps the first cause", function()
    local ctx, cancel = context.with_cancel(background())
    cancel "first"
    cancel "second"
    assert.equal("first", ctx:cause())
  end)

  it("keeps the first cause even if that was none", function()
    local ctx, cancel = context.with_cancel(background())
    cancel()
    cancel "second"
    assert.equal(CANCELED, ctx:cause())
  end)

  it("works outside tasks and between runs", function()
    local ctx, cancel = context.with_cancel(background())
    helpers.run(cancel, "in a run")
    assert.equal("in a run", ctx:cause())
  end)
end)

describe("the end of a context", function()
  it("is the end of its children, with its err and cause", function()
    local parent, cancel = context.with_cancel(background())
    local child = context.with_cancel(parent)
    local grandchild = context.with_value(child, "a", 1)
    cancel "stop"
    assert.same({ CANCELED, "stop" }, { child:err(), child:cause() })
    assert.same({ CANCELED, "stop" }, { grandchild:err(), grandchild:cause() })
  end)

  it("is not the end of its parent, nor of its siblings", function()
    local parent = context.with_cancel(background())
    local _, cancel = context.with_cancel(parent)
    local sibling = context.with_cancel(parent)
    cancel()
    assert.is_nil(parent:err())
    assert.is_nil(sibling:err())
  end)

  it("does not change how a child has ended before", function()
    local parent, cancel_parent = context.with_cancel(background())
    local child, cancel_child = context.with_cancel(parent)
    cancel_child "child"
    cancel_parent "parent"
    assert.equal("child", child:cause())
  end)

  it("of a parent that has ended already is the child's from the beginning", function()
    local parent, cancel = context.with_cancel(background())
    cancel "stop"
    local child = context.with_cancel(parent)
    assert.same({ CANCELED, "stop" }, { child:err(), child:cause() })
    assert.equal("stop", context.with_value(child, "a", 1):cause())
  end)

  co_it("is told to the parent first, then to its children in order of creation", function()
    local lines, say = helpers.log()
    local parent, cancel = context.with_cancel(background())
    local first, second = context.with_cancel(parent), context.with_cancel(parent)
    local below_first = context.with_cancel(first)
    below_first:after(function() say "below first" end)
    second:after(function() say "second" end)
    first:after(function() say "first" end)
    parent:after(function() say "parent" end)
    cancel()
    co.yield()
    local place = {}
    for i, line in ipairs(lines) do
      place[line] = i
    end
    assert.equal(4, #lines)
    assert.equal(1, place.parent)
    assert.is_true(place.first < place.second)
    assert.is_true(place.first < place["below first"])
  end)

  it("reaches the bottom of a chain of a hundred thousand", function()
    local top, cancel = context.with_cancel(background())
    local bottom = top
    for _ = 1, 100000 do
      bottom = context.with_cancel(bottom)
    end
    cancel "stop"
    assert.equal("stop", bottom:cause())
  end)
end)

describe("context.with_timeout", function()
  co_it("ends the context when the time is over", seeded, function()
    local ctx = context.with_timeout(background(), 2)
    co.sleep(1)
    assert.is_nil(ctx:err())
    co.sleep(1)
    assert.equal(EXPIRED, ctx:err())
    assert.equal(EXPIRED, ctx:cause())
  end)

  co_it("says when that will be", seeded, function()
    co.sleep(3)
    assert.equal(5, context.with_timeout(background(), 2):deadline())
  end)

  co_it("has the cause that was given for it", seeded, function()
    local cause = {}
    local ctx = context.with_timeout(background(), 1, cause)
    co.sleep(1)
    assert.equal(EXPIRED, ctx:err())
    assert.equal(cause, ctx:cause())
  end)

  co_it("can be cancelled before", seeded, function()
    local ctx, cancel = context.with_timeout(background(), 1, "too late")
    cancel "not needed"
    co.sleep(2)
    assert.same({ CANCELED, "not needed" }, { ctx:err(), ctx:cause() })
  end)

  co_it("has nothing left to cancel after", seeded, function()
    local ctx, cancel = context.with_timeout(background(), 1)
    co.sleep(2)
    cancel "not needed"
    assert.same({ EXPIRED, EXPIRED }, { ctx:err(), ctx:cause() })
  end)

  co_it("of 0 seconds has ended already", seeded, function()
    assert.equal(EXPIRED, context.with_timeout(background(), 0):err())
  end)

  co_it("without end has no deadline", seeded, function()
    local ctx = context.with_timeout(background(), math.huge)
    assert.is_nil(ctx:err())
    assert.is_nil(ctx:deadline())
  end)

  it("takes no negative time", function()
    assert.has_error(function() context.with_timeout(background(), -1) end)
  end)

  co_it("ends children as a deadline does", seeded, function()
    local child = context.with_cancel(context.with_timeout(background(), 1, "slow"))
    co.sleep(1)
    assert.same({ EXPIRED, "slow" }, { child:err(), child:cause() })
  end)
end)

describe("context.with_deadline", function()
  it("takes a point of time before 0, which has passed", function()
    local ctx = context.with_deadline(background(), -3)
    assert.equal(-3, ctx:deadline())
    assert.equal("context deadline exceeded", ctx:err())
    helpers.run(function()
      assert.equal("context deadline exceeded", context.with_deadline(background(), co.now() - 1):err())
    end)
    assert.has_error(function() context.with_deadline(background(), 0 / 0) end)
  end)

  co_it("has its deadline also when the parent has ended", seeded, function()
    local parent, cancel = context.with_cancel(background())
    cancel()
    local ctx = context.with_timeout(parent, 10)
    assert.equal(10, ctx:deadline())
    assert.equal("context canceled", ctx:err())
    assert.equal(4, context.with_deadline(context.with_deadline(parent, 4), 6):deadline())
  end)

  co_it("ends the context at that time, by co.now()", seeded, function()
    co.sleep(5)
    local ctx = context.with_deadline(background(), 7)
    assert.equal(7, ctx:deadline())
    co.sleep(1)
    assert.is_nil(ctx:err())
    co.sleep(1)
    assert.equal(EXPIRED, ctx:err())
  end)

  co_it("in the past has ended already, with the cause that was given", seeded, function()
    co.sleep(5)
    local ctx = context.with_deadline(background(), 4, "missed")
    assert.same({ EXPIRED, "missed" }, { ctx:err(), ctx:cause() })
  end)

  co_it("that is later than the parent's changes nothing: the earliest counts", seeded, function()
    local parent = context.with_deadline(background(), 2, "parent")
    local child = context.with_deadline(parent, 9, "child")
    assert.equal(2, child:deadline())
    co.sleep(2)
    assert.equal("parent", child:cause())
  end)

  co_it("that is earlier than the parent's ends the child alone", seeded, function()
    local parent = context.with_deadline(background(), 9)
    local child = context.with_deadline(parent, 2)
    assert.equal(2, child:deadline())
    co.sleep(2)
    assert.equal(EXPIRED, child:err())
    assert.is_nil(parent:err())
  end)

  co_it("is inherited by contexts that have none of their own", seeded, function()
    local parent = context.with_deadline(background(), 2)
    assert.equal(2, context.with_cancel(parent):deadline())
    assert.equal(2, context.with_value(parent, "a", 1):deadline())
  end)
end)

describe("context.without_cancel", function()
  it("keeps the values and does not end with the parent", function()
    local parent, cancel = context.with_cancel(context.with_value(background(), "user", "ann"))
    local ctx = context.without_cancel(parent)
    cancel()
    assert.is_nil(ctx:err())
    assert.is_nil(ctx:cause())
    assert.equal("ann", ctx:value "user")
  end)

  co_it("has no deadline", seeded, function()
    local ctx = context.without_cancel(context.with_timeout(background(), 1))
    assert.is_nil(ctx:deadline())
    co.sleep(2)
    assert.is_nil(ctx:err())
  end)

  it("of a context that has ended is live", function()
    local parent, cancel = context.with_cancel(background())
    cancel()
    assert.is_nil(context.without_cancel(parent):err())
  end)

  co_it("can be given an end again", seeded, function()
    local parent = context.with_timeout(background(), 1)
    local ctx = context.with_timeout(context.without_cancel(parent), 5)
    assert.equal(5, ctx:deadline())
    co.sleep(2)
    assert.is_nil(ctx:err())
    co.sleep(3)
    assert.equal(EXPIRED, ctx:err())
  end)
end)

describe("ctx:after", function()
  co_it("calls the function when the context ends, in a task of its own", function()
    local inside
    local ctx, cancel = context.with_cancel(background())
    ctx:after(function() inside = co.current() end)
    co.yield()
    assert.is_nil(inside)
    cancel()
    co.yield()
    assert.is_truthy(inside)
    assert.not_equal(co.current(), inside)
  end)

  co_it("calls it at once when the context has ended", function()
    local lines, say = helpers.log()
    local ctx, cancel = context.with_cancel(background())
    cancel()
    ctx:after(function() say "called" end)
    co.yield()
    assert.same({ "called" }, lines)
  end)

  co_it("calls it once", seeded, function()
    local lines, say = helpers.log()
    local ctx, cancel = context.with_timeout(background(), 1)
    ctx:after(function() say "called" end)
    cancel()
    cancel()
    co.sleep(2)
    assert.same({ "called" }, lines)
  end)

  co_it("calls each of several, in the order in which they were given", function()
    local lines, say = helpers.log()
    local ctx, cancel = context.with_cancel(background())
    for i = 1, 3 do
      ctx:after(function() say(i) end)
    end
    cancel()
    co.yield()
    assert.same({ "1", "2", "3" }, lines)
  end)

  co_it("lets it suspend: the context does not end its task", seeded, function()
    local lines, say = helpers.log()
    local ctx, cancel = context.with_cancel(background())
    ctx:after(function()
      co.sleep(1)
      say "slept"
    end)
    cancel()
    co.sleep(2)
    assert.same({ "slept" }, lines)
  end)

  co_it("is called when a deadline passes, without anybody looking", seeded, function()
    local at
    local ctx = context.with_timeout(background(), 3)
    ctx:after(function() at = co.now() end)
    co.sleep(10)
    assert.equal(3, at)
  end)

  it("reports the panic of the function as that of any task", function()
    local reports = helpers.run_reporting(function()
      local ctx, cancel = context.with_cancel(background())
      ctx:after(function() co.panic "x" end)
      cancel()
    end)
    assert.equal(1, #reports)
    assert.equal("x", reports[1].record.value)
  end)

  co_it("gives what stops it, which says whether it was in time", seeded, function()
    local lines, say = helpers.log()
    co.scope(function()
      local ctx, cancel = context.with_cancel(background())
      local stop = ctx:after(function() say "never" end)
      assert.is_true(stop())
      assert.is_false(stop())
      cancel()
      co.yield()
    end)
    assert.same({}, lines)
  end)

  co_it("can not be stopped once the context has ended", function()
    local lines, say = helpers.log()
    local ctx, cancel = context.with_cancel(background())
    local stop = ctx:after(function() say "called" end)
    cancel()
    assert.is_false(stop())
    co.yield()
    assert.same({ "called" }, lines)
  end)

  co_it("stops one of several alone", function()
    local lines, say = helpers.log()
    local ctx, cancel = context.with_cancel(background())
    ctx:after(function() say "first" end)
    local stop = ctx:after(function() say "second" end)
    ctx:after(function() say "third" end)
    stop()
    cancel()
    co.yield()
    assert.same({ "first", "third" }, lines)
  end)

  co_it("keeps the order of those that are left, however many are stopped and added", function()
    local ctx, cancel = context.with_cancel(context.background())
    local order, stops, expected = {}, {}, {}
    local before = co.stats().afters
    for i = 1, 100 do
      stops[i] = ctx:after(function() order[#order + 1] = i end)
      if i % 2 == 0 then assert.is_true(stops[i / 2]()) end
    end
    for i = 99, 51, -3 do assert.is_true(stops[i]()) end
    for i = 51, 100 do
      if i % 3 ~= 0 then expected[#expected + 1] = i end
    end
    assert.equal(before + #expected, co.stats().afters)
    assert.is_false(stops[1]())
    cancel()
    co.yield() co.yield()
    assert.same(expected, order)
    assert.is_false(stops[100]())
    assert.equal(before, co.stats().afters)
  end)

  co_it("never calls for a context that does not end", seeded, function()
    local lines, say = helpers.log()
    co.scope(function()
      local stop = background():after(function() say "never" end)
      co.sleep(1)
      assert.is_true(stop())
    end)
    assert.same({}, lines)
  end)
end)

describe("a context", function()
  co_it("that nobody refers to is collected and leaves no timer", seeded, function()
    context.with_timeout(background(), 100)
    collect()
    assert.is_nil(co.timeout())
  end)

  co_it("that was cancelled leaves no timer", seeded, function()
    local ctx, cancel = context.with_timeout(background(), 100)
    cancel()
    assert.is_nil(co.timeout())
    assert.equal(CANCELED, ctx:err())
  end)

  it("is not kept by its parent", function()
    local parent = context.with_cancel(background())
    local kept = setmetatable({ (context.with_cancel(parent)) }, { __mode = "v" })
    collect()
    assert.is_nil(kept[1])
    assert.is_nil(parent:err())
  end)

  it("is not kept by the functions that it is to call, once they were stopped", function()
    local ctx = context.with_cancel(background())
    local kept = setmetatable({}, { __mode = "v" })
    do
      local value = {}
      kept[1] = value
      ctx:after(function() return value end)()
    end
    collect()
    assert.is_nil(kept[1])
  end)

  co_it("tells what it is by tostring", seeded, function()
    local ctx, cancel = context.with_cancel(background())
    assert.equal("context (background)", tostring(background()))
    assert.equal("context (live)", tostring(ctx))
    cancel()
    assert.equal("context (canceled)", tostring(ctx))
    assert.equal("context (deadline exceeded)", tostring(context.with_timeout(background(), 0)))
  end)

  it("can not be written to", function()
    assert.has_error(function() background().field = 1 end)
  end)

  it("is what the functions of co.context and its methods ask for", function()
    local _, err = pcall(context.with_cancel, 1)
    helpers.assert_contains("bad argument #1 to 'with_cancel' (context expected, got number)", err)
    _, err = pcall(background().err, {})
    helpers.assert_contains("calling 'err' on bad self (context expected, got table)", err)
  end)
end)
