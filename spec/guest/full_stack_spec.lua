-- In LuaJIT deep frames fill the stack to its last slot, so that no observer can be called there.
local co = require "coropanic"
local helpers = require "spec.helpers"

describe("an observer", function()
  it("hears on after a stack overflow among frames, at which it may have had no room", function()
    local told = {}
    local stop = co.observe({ "panic" }, function(_, record) told[#told + 1] = record.message end)
    local nest
    nest = co.func(function()
      co.defer(function() end)
      nest()
    end)
    local _, record = co.pcall(nest)
    local during = #told
    co.pcall(error, "later", 0)
    stop()
    helpers.assert_contains("overflow", record.message)
    assert.is_true(during >= 1)
    assert.equal("later", told[#told])
    assert.is_true(co.run(function() return true end))
  end)
end)
