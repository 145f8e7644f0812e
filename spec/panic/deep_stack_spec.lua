-- A stack that overflows with more frames than are counted. That of Lua 5.1 is not so deep, and LuaJIT does
-- not let it be looked at.

local helpers = require "spec.helpers"

describe("a stack overflow", function()
  it("keeps the inner frames of a very deep stack, and says that the rest is at least so many", function()
    local function plain() return 1 + plain() end
    local record = coroutine.wrap(helpers.record_of)(plain)
    assert.equal(40, #record.frames)
    assert.is_true(record.frames.omitted > 16384)
    helpers.assert_contains("... at least " .. record.frames.omitted .. " frames left out ...",
      tostring(record))
  end)
end)
