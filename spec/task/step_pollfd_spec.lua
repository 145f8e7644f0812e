--- For hosts that have a loop of their own, which polls the runtime's descriptor.

local uv = require "luv"
local co = require "coropanic"
local helpers = require "spec.helpers"

local function yield_times(n)
  for _ = 1, n do
    co.yield()
  end
end

describe("co.pollfd", function()
  after_each(helpers.end_all_tasks)

  --- How often the descriptor is readable in one turn of a libuv loop.
  local function is_readable()
    local readable = false
    local poll = uv.new_poll(co.pollfd())
    poll:start(co.events(), function() readable = true end)
    uv.run "nowait"
    poll:close()
    uv.run "nowait"
    return readable
  end

  it("is a descriptor, the same each time", function()
    assert.equal("integer", math.type(co.pollfd()))
    assert.equal(co.pollfd(), co.pollfd())
  end)

  it("is to be polled for what co.events says", function() assert.equal("r", co.events()) end)

  it("turns readable when a task is woken from outside", function()
    local resume
    co.spawn(co.await, function(r) resume = r end)
    co.step(0)
    assert.is_false(is_readable())
    resume()
    assert.is_true(is_readable())
  end)

  it("turns readable when a task is spawned from outside", function()
    assert.is_false(is_readable())
    co.spawn(function() end)
    assert.is_true(is_readable())
  end)

  it("is not readable any more after the step that did the work", function()
    co.spawn(function() end)
    co.step(0)
    assert.is_false(is_readable())
  end)

  it("stays readable while there is more to do", function()
    co.spawn(yield_times, 10)
    co.step(0)
    assert.is_true(is_readable())
  end)
end)
