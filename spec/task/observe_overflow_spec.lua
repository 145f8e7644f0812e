-- LuaJIT itself crashes where C functions nest so deep.
local co = require "coropanic"
local helpers = require "spec.helpers"

describe("co.observe", function()
  it("tells of panics where C calls or the stack leave no room for a call, once there is room", function()
    local messages = {}
    local stop = co.observe({ "panic" }, function(_, record) messages[#messages + 1] = record.message end)
    helpers.run(function()
      local function nest() return (string.gsub("x", "x", nest)) end
      pcall(co.call, nest)
      local function recurse() return 1 + recurse() end
      pcall(co.call, recurse)
    end)
    stop()
    assert.equal(2, #messages)
    helpers.assert_contains("C stack overflow", messages[1])
    helpers.assert_contains("stack overflow", messages[2])
  end)
end)
