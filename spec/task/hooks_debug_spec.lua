-- Debug hooks of a task's coroutine, which Lua 5.1 and LuaJIT do not keep apart from those of others.
local co = require "coropanic"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

describe("a hook", function()
  after_each(function() co.on_start(nil) end)

  co_it("set by on_start sets debug hooks of a task, which end with it", seeded, function()
    local counted = 0
    co.on_start(function() debug.sethook(function() counted = counted + 1 end, "", 100) end)
    co.spawn(function() for _ = 1, 10000 do end end):join()
    assert.is_true(counted > 50)
    co.on_start(nil)
    counted = 0
    co.spawn(function() for _ = 1, 10000 do end end):join()
    assert.equal(0, counted)
  end)
end)
