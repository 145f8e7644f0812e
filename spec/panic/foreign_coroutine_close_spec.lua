-- Closing a coroutine, which older Luas can't.

local co = require "coropanic"
local helpers = require "spec.helpers"

describe("in a coroutine that somebody else made", function()
  it("closing it runs the deferred calls that are pending", function()
    local lines, say = helpers.log()
    local thread = coroutine.create(co.func(function()
      co.defer(say, "outer")
      co.call(function()
        co.defer(say, "inner")
        coroutine.yield()
      end)
    end))
    coroutine.resume(thread)
    assert.same({}, lines)
    coroutine.close(thread)
    assert.same({ "inner", "outer" }, lines)
  end)
end)
