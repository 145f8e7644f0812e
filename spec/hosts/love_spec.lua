--- The guest in LÖVE: the game in spec/hosts/love.

local host = require "spec.hosts.host"
local helpers = require "spec.helpers"

describe("LÖVE", function()
  it("runs tasks in love.update, which sleep, take turns with frames, and may panic", function()
    local output, status = host.run("love", host.HERE .. "/spec/hosts/love")
    helpers.assert_contains([[
co.run has slept: true
faulty: its deferred call has run
walker: frames have passed: true
reports: faulty: out of bounds
frames while busy: at least 4: true
]], output)
    assert.equal(0, status)
  end)
end)
