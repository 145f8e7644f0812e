-- Policies while tasks are preempted between any two of their own instructions.

local co = require "coropanic"
local resilience = require "coropanic.resilience"

describe("while tasks are preempted,", function()
  before_each(function() co.preempt { slice = 0.00002 } end)
  after_each(function() co.preempt(false) end)

  local function compute()
    local sum = 0
    for i = 1, 50 do sum = sum + i end
    return sum
  end

  -- Calls `fn` from many tasks until so many of them were preempted.
  local function hammer(fn)
    local before = co.stats().preemptions
    co.run(function()
      co.scope(function(s)
        for _ = 1, 8 do
          s:spawn(function()
            repeat
              compute()
              fn()
            until co.stats().preemptions - before > 2000
          end)
        end
      end)
    end)
  end

  it("a budget gives no more than it has", function()
    local budget = resilience.budget { ratio = 0, minimum = 100, window = 1e6 }
    hammer(function() budget:take() end)
    assert.equal(100, budget:stats().extra)
  end)

  it("a bulkhead counts each call, and has all its permits back", function()
    local bulkhead = resilience.bulkhead { permits = 2, queue = 2 }
    local lock, calls = co.mutex(), 0
    hammer(function()
      lock:lock()
      calls = calls + 1
      lock:unlock()
      co.pcall(bulkhead.call, bulkhead, co.yield)
    end)
    local stats = bulkhead:stats()
    assert.equal(calls, stats.ok + stats.refused)
    assert.same({ 0, 0 }, { stats.running, stats.waiting })
  end)

  it("a breaker counts each call", function()
    local breaker = resilience.breaker()
    local lock, calls = co.mutex(), 0
    hammer(function()
      lock:lock()
      calls = calls + 1
      lock:unlock()
      breaker:call(compute)
    end)
    assert.equal(calls, breaker:stats().ok)
  end)
end)
