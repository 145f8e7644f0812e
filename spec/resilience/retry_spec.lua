local co = require "coropanic"
local helpers = require "spec.helpers"
local resilience = require "coropanic.resilience"

local function virtual(fn, seed) return co.run_with({ clock = "virtual", seed = seed }, fn) end

-- A function that fails so many times, and the times of its calls.
local function failing(times)
  local calls = {}
  return function(...)
    calls[#calls + 1] = co.now()
    if #calls <= times then error("attempt " .. #calls, 0) end
    return ...
  end, calls
end

describe("retry", function()
  it("returns what the first attempt returns that does not fail", function()
    virtual(function()
      local r = resilience.retry()
      local fn, calls = failing(2)
      assert.same({ "a", nil, 3, n = 3 }, table.pack(r:call(fn, "a", nil, 3)))
      assert.equal(3, #calls)
      assert.same({ 1, 1, 2, 0 }, { r:stats().calls, r:stats().ok, r:stats().retries, r:stats().failed })
    end)
  end)

  it("raises the last attempt's record, with the earlier ones in suppressed", function()
    virtual(function()
      local r = resilience.retry { attempts = 4 }
      local _, record = co.pcall(r.call, r, failing(9))
      assert.equal("attempt 4", record.value)
      local earlier = {}
      for i, other in ipairs(record.suppressed) do earlier[i] = other.value end
      assert.same({ "attempt 1", "attempt 2", "attempt 3" }, earlier)
    end)
  end)

  it("ends each attempt with its deferred calls", function()
    virtual(function()
      local log, attempts = {}, 0
      resilience.retry({ base = 1, jitter = "none" }):call(function()
        attempts = attempts + 1
        log[#log + 1] = "+" .. attempts
        co.defer(function() log[#log + 1] = "-" .. attempts end)
        if attempts < 3 then error "x" end
      end)
      assert.equal("+1 -1 +2 -2 +3 -3", table.concat(log, " "))
    end)
  end)

  it("waits longer each time without jitter, up to the most", function()
    virtual(function()
      local fn, calls = failing(5)
      resilience.retry({ attempts = 6, base = 1, max = 5, jitter = "none" }):call(fn)
      local waits = {}
      for i = 2, #calls do waits[i - 1] = calls[i] - calls[i - 1] end
      assert.same({ 1, 2, 4, 5, 5 }, waits)
    end)
  end)

  it("waits between its bounds with decorrelated and with full jitter", function()
    for _, jitter in ipairs { "decorrelated", "full" } do
      for seed = 1, 100 do
        math.randomseed(seed)
        virtual(function()
          local fn, calls = failing(5)
          resilience.retry({ attempts = 6, base = 1, max = 4, jitter = jitter }):call(fn)
          local last = 1
          for i = 2, #calls do
            local wait = calls[i] - calls[i - 1]
            local least = jitter == "full" and 0 or 1
            local most = math.min(jitter == "full" and 2 ^ (i - 2) or last * 3, 4)
            local is_within = wait >= least - 1e-9 and wait <= most + 1e-9
            assert.is_true(is_within, ("%s %d: %g"):format(jitter, i, wait))
            last = math.max(wait, 1)
          end
        end)
      end
    end
  end)

  it("honours what the failure asks for", function()
    virtual(function()
      local calls = {}
      resilience.retry({ base = 0.01 }):call(function()
        calls[#calls + 1] = co.now()
        if #calls == 1 then co.panic { code = "BUSY", retry_after = 7 } end
      end)
      assert.equal(7, calls[2] - calls[1])
    end)
  end)

  it("never tries a breaker's refusal again", function()
    virtual(function()
      local b = resilience.breaker()
      b:open()
      local r = resilience.retry()
      local _, record = co.pcall(r.call, r, b.call, b, error)
      assert.equal("BREAKER_OPEN", record.error_code)
      assert.equal(0, r:stats().retries)
    end)
  end)

  it("asks `on` whether to try again", function()
    virtual(function()
      local asked = {}
      local r = resilience.retry {
        on = function(record)
          asked[#asked + 1] = record.value
          return record.value ~= "attempt 2"
        end,
      }
      local fn, calls = failing(9)
      assert.is_false((co.pcall(r.call, r, fn)))
      assert.same({ "attempt 1", "attempt 2" }, asked)
      assert.equal(2, #calls)
    end)
  end)

  it("does not wait for an attempt after its deadline", function()
    virtual(function()
      local fn, calls = failing(9)
      local r = resilience.retry { base = 1, jitter = "none", attempts = 9, max = 100 }
      local ok, record = co.pcall(co.with_timeout, 5, r.call, r, fn)
      assert.is_false(ok)
      assert.equal("attempt 3", record.value)
      assert.same({ 3, 3 }, { co.now(), #calls })
    end)
  end)

  it("ends at once when it is cancelled", function()
    virtual(function()
      local fn, calls = failing(9)
      local r = resilience.retry { base = 10, jitter = "none", max = 10 }
      local task = co.spawn(r.call, r, fn)
      co.sleep(1)
      task:cancel "why"
      local _, record = task:join()
      assert.same({ "cancelled", "why", 1 }, { record.kind, record.reason, #calls })
    end)
  end)

  it("refuses bad options", function()
    local CASES = {
      { { attempts = 0 }, "option 'attempts': integer from 1 expected, got 0" },
      { { jitter = "some" },
        "option 'jitter': \"decorrelated\" or \"full\" or \"none\" expected, got \"some\"" },
      { { base = 2, max = 1 }, "option 'max': at least 'base' expected" },
      { { budget = {} }, "option 'budget': budget expected, got table" },
      { { tries = 1 }, "unknown option 'tries'" },
    }
    for _, case in ipairs(CASES) do
      helpers.assert_error("bad argument #1 to 'retry' (" .. case[2] .. ")", resilience.retry, case[1])
    end
    helpers.assert_error("bad argument #1 to 'call' (function expected, got number)",
      function() resilience.retry():call(1) end)
  end)
end)

describe("a budget", function()
  it("lets through a part of the calls, and a few in any case", function()
    virtual(function()
      local budget = resilience.budget { ratio = 0.5, minimum = 3, window = 10 }
      local r = resilience.retry { attempts = 2, base = 0, budget = budget }
      for _ = 1, 4 do co.pcall(r.call, r, error) end
      assert.same({ calls = 4, extra = 3, denied = 1 }, budget:stats())
      for _ = 1, 6 do co.pcall(r.call, r, error) end
      assert.same({ calls = 10, extra = 5, denied = 5 }, budget:stats())
    end)
  end)

  it("forgets what is older than its window", function()
    virtual(function()
      local budget = resilience.budget { ratio = 0, minimum = 1, window = 10 }
      assert.is_true(budget:take())
      co.sleep(8.9)
      assert.is_false(budget:take())
      co.sleep(1.2)
      assert.is_true(budget:take())
    end)
  end)

  -- A supplier that is down for all of a run, asked at random times.
  it("bounds the amplification of a total outage exactly", function()
    for seed = 1, 20 do
      math.randomseed(seed)
      virtual(function()
        local budget = resilience.budget { ratio = 0.1, minimum = 0, window = 10 }
        local r = resilience.retry { attempts = 5, base = 0.01, budget = budget }
        local attempts, calls = 0, 1000
        co.supervise(function(s)
          for _ = 1, calls do
            s:spawn(function()
              co.pcall(r.call, r, function()
                attempts = attempts + 1
                error("down", 0)
              end)
            end)
            co.sleep(math.random() * 0.05)
          end
        end)
        assert.is_true(attempts <= calls * 1.1, ("seed %d: %d attempts"):format(seed, attempts))
        assert.is_true(attempts >= calls * 1.05, ("seed %d: %d attempts"):format(seed, attempts))
        assert.equal(attempts - calls, budget:stats().extra)
      end, seed)
    end
  end)

  it("counts a call through several policies once", function()
    virtual(function()
      local budget = resilience.budget { minimum = 100 }
      local policy = resilience.compose(resilience.hedge { after = 1, budget = budget },
        resilience.retry { budget = budget, base = 0.1 })
      for _ = 1, 3 do policy:call(co.sleep, 1.5) end
      assert.same({ calls = 3, extra = 3, denied = 0 }, budget:stats())
      co.pcall(policy.call, policy, error)
      assert.same({ calls = 4, extra = 5, denied = 0 }, budget:stats())
    end)
  end)

  it("counts again after a call that was cancelled", function()
    virtual(function()
      local budget = resilience.budget()
      local r = resilience.retry { budget = budget }
      co.with_timeout(1, r.call, r, co.sleep, 10)
      r:call(co.sleep, 1)
      assert.equal(2, budget:stats().calls)
    end)
  end)

  it("refuses bad options", function()
    helpers.assert_error("bad argument #1 to 'budget' (option 'ratio': number from 0 expected, got -1)",
      resilience.budget, { ratio = -1 })
    helpers.assert_error("bad argument #1 to 'budget' (option 'minimum': integer from 0 expected, got 1.5)",
      resilience.budget, { minimum = 1.5 })
    helpers.assert_error("calling 'take' on bad self (budget expected, got nil)", resilience.budget().take)
  end)
end)
