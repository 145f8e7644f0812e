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

  -- Calls `fn` from many tasks until so many of them were preempted. Returns how often. Each task counts for
  -- itself: with a lock around one count they would hand it on so often that they were hardly ever preempted.
  local function hammer(fn)
    local before, calls = co.stats().preemptions, { 0, 0, 0, 0, 0, 0, 0, 0 }
    co.run(function()
      co.scope(function(s)
        for i = 1, #calls do
          s:spawn(function()
            repeat
              compute()
              calls[i] = calls[i] + 1
              fn()
            until co.stats().preemptions - before > 2000
          end)
        end
      end)
    end)
    local all = 0
    for _, count in ipairs(calls) do all = all + count end
    return all
  end

  it("a budget gives no more than it has", function()
    local budget = resilience.budget { ratio = 0, minimum = 100, window = 1e6 }
    hammer(function() budget:take() end)
    assert.equal(100, budget:stats().extra)
  end)

  it("a bulkhead counts each call, and has all its permits back", function()
    local bulkhead = resilience.bulkhead { permits = 2, queue = 2 }
    local calls = hammer(function() co.pcall(bulkhead.call, bulkhead, compute) end)
    local stats = bulkhead:stats()
    assert.equal(calls, stats.ok + stats.refused)
    assert.same({ 0, 0 }, { stats.running, stats.waiting })
  end)

  it("a breaker counts each call", function()
    local breaker = resilience.breaker()
    local calls = hammer(function() breaker:call(tostring, 1) end)
    assert.equal(calls, breaker:stats().ok)
  end)
end)
