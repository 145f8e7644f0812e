--- What a program computes is the same while a profile interrupts it. `make soak` goes on for longer.

local co = require "coropanic"
local signals = require "telemetry.signals"

describe("a program under a storm of signals", function()
  it("has the right results", function()
    assert.is_true(signals.storm(2000) >= 2000)
  end)

  it("has them with preemption and a profile of allocations on, too", function()
    co.preempt { slice = 0.0005 }
    finally(function() co.preempt(false) end)
    local profile <close> = co.profile.start { kind = "alloc" }
    assert.is_true(signals.storm(500) >= 500)
    assert.is_string(profile:stop())
  end)
end)
