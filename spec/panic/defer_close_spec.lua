-- Deferred calls that run at the end of the block which holds them.

local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)

describe("a deferred call held in a <close> variable", function()
  local lines, say

  before_each(function() lines, say = helpers.log() end)

  it("runs at the end of the block", function()
    co.call(function()
      do
        local _ <close> = co.defer(say, "deferred")
        say "in the block"
      end
      say "after the block"
    end)
    assert.same({ "in the block", "deferred", "after the block" }, lines)
  end)

  it("runs once when the block ends with a panic", function()
    helpers.record_of(co.func(function()
      co.defer(say, "outer")
      do
        local _ <close> = co.defer(say, "block")
        co.panic "x"
      end
    end))
    assert.same({ "block", "outer" }, lines)
  end)

  it("may recover a panic of its block: the function returns to its caller", function()
    local result = table.pack(co.call(function()
      co.defer(say, "deferred")
      do
        local _ <close> = co.defer(function() say("recovered", (co.recover())) end)
        co.panic "x"
      end
      say "never"
    end))
    assert.same({ "recovered x", "deferred" }, lines)
    assert.equal(0, result.n)
  end)

  it("may be the only one, and recover", function()
    co.call(function()
      local _ <close> = co.defer(function() say("recovered", (co.recover())) end)
      co.panic "x"
    end)
    assert.same({ "recovered x" }, lines)
  end)

  it("runs out of order when its block ends first", function()
    co.call(function()
      do
        local _ <close> = co.defer(say, "block")
        co.defer(say, "function")
      end
      say "after the block"
    end)
    assert.same({ "block", "after the block", "function" }, lines)
  end)

  co_it("may suspend", function()
    do
      local _ <close> = co.defer(function()
        co.sleep(1)
        say "deferred"
      end)
      say "in the block"
    end
    say "after the block"
    assert.same({ "in the block", "deferred", "after the block" }, lines)
  end)
end)
