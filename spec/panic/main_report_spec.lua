-- What an interpreter prints of main's panic: that of Lua 5.1 prints strings alone.

local helpers = require "spec.helpers"

--- A program whose main task panics.
local failing_main = [[
local co = require "coropanic"
co.run(function() co.panic "boom" end)
print "not reached"
]]

describe("the report", function()
  it("of main's panic is what lua prints for the error that co.run raises", function()
    local result = helpers.run_script(failing_main)
    assert.equal("", result.stdout)
    assert.equal(1, result.status)
    local _, count = result.stderr:gsub("panic: boom", "")
    assert.equal(1, count)
    assert.matches('task %d+ "main" panicked', result.stderr)
  end)
end)
