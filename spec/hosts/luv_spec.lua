--- The guest over luv, in LuaJIT: spec/hosts/luv/tasks.lua.

local host = require "spec.hosts.host"

describe("luv", function()
  it("runs spawned tasks in uv.run, and lets co.run run its loop", function()
    local output, status = host.run("luajit", host.HERE .. "/spec/hosts/luv/tasks.lua")
    assert.equal([[
a task in uv.run
uv.run has ended; panics:	nobody joins this
co.run:	co.run while libuv's loop is running: spawn a task, which the loop runs
uv.run has ended; tasks:	0
nothing can wake main:	false	deadlock
]], output)
    assert.equal(0, status)
  end)
end)
