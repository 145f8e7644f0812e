local co = require "coropanic"
local helpers = require "spec.helpers"
local resilience = require "coropanic.resilience"

local function virtual(fn, seed) return co.run_with({ clock = "virtual", seed = seed }, fn) end

local function call(policy, fn, ...) return co.pcall(policy.call, policy, fn, ...) end

describe("a bulkhead", function()
  it("runs so many calls at a time, and refuses the rest", function()
    virtual(function()
      local b = resilience.bulkhead { permits = 2, name = "db" }
      local tasks = { co.spawn(b.call, b, co.sleep, 1), co.spawn(b.call, b, co.sleep, 1) }
      co.yield()
      assert.equal(2, b:stats().running)
      local _, record = call(b, co.sleep, 1)
      assert.equal("BULKHEAD_FULL", record.error_code)
      assert.equal('bulkhead "db" is full: too many calls wait', record.message)
      for _, task in ipairs(tasks) do task:await() end
      assert.equal("x", b:call(function(...) return ... end, "x"))
      assert.same({ 0, 3, 1 }, { b:stats().running, b:stats().ok, b:stats().refused })
    end)
  end)

  it("lets so many wait, in their order", function()
    virtual(function()
      local b = resilience.bulkhead { permits = 1, queue = 2 }
      local order = {}
      local function work(name)
        order[#order + 1] = name
        co.sleep(1)
      end
      for _, name in ipairs { "a", "b", "c" } do co.spawn(b.call, b, work, name) end
      co.yield()
      assert.same({ 1, 2 }, { b:stats().running, b:stats().waiting })
      assert.is_false((call(b, work, "d")))
      co.sleep(3)
      assert.same({ "a", "b", "c" }, order)
      assert.equal(0, b:stats().waiting)
    end)
  end)

  it("lets them wait so long", function()
    virtual(function()
      local b = resilience.bulkhead { permits = 1, queue = 1, queue_time = 0.5 }
      co.spawn(b.call, b, co.sleep, 1)
      co.yield()
      local _, record = call(b, co.sleep, 1)
      assert.equal("BULKHEAD_FULL", record.error_code)
      assert.matches("waited too long", record.message)
      assert.equal(0.5, co.now())
      assert.equal(0, b:stats().waiting)
    end)
  end)

  it("has all permits and places back, whatever happened", function()
    for seed = 1, 300 do
      math.randomseed(seed)
      virtual(function()
        local b = resilience.bulkhead { permits = 3, queue = 5, queue_time = 0.2 }
        local most, now = 0, 0
        local function work()
          now = now + 1
          most = math.max(most, now)
          co.defer(function() now = now - 1 end)
          co.sleep(math.random() * 0.3)
          local kind = math.random(4)
          if kind == 1 then error("x", 0) end
          if kind == 2 then co.goexit() end
        end
        local tasks = {}
        for i = 1, 40 do
          tasks[i] = co.spawn(call, b, co.func(work))
          co.sleep(math.random() * 0.05)
          if math.random(3) == 1 then tasks[math.random(i)]:cancel() end
        end
        for _, task in ipairs(tasks) do task:join() end
        local stats = b:stats()
        assert.same({ 0, 0 }, { stats.running, stats.waiting })
        assert.is_true(most <= 3)
      end, seed)
    end
  end)

  it("refuses bad options", function()
    helpers.assert_error("bad argument #1 to 'bulkhead' (option 'permits': integer from 1 expected, got nil)",
      resilience.bulkhead)
    helpers.assert_error("bad argument #1 to 'bulkhead' (option 'queue': integer from 0 expected, got -1)",
      resilience.bulkhead, { permits = 1, queue = -1 })
  end)
end)

describe("a hedge", function()
  it("asks once when the answer comes in time", function()
    virtual(function()
      local h, calls = resilience.hedge { after = 1 }, 0
      assert.same({ "a", nil, n = 2 }, table.pack(h:call(function(...)
        calls = calls + 1
        co.sleep(0.5)
        return ...
      end, "a", nil)))
      assert.same({ 1, 0 }, { calls, h:stats().hedges })
    end)
  end)

  it("asks again after a time, takes the first answer, and cancels the others", function()
    virtual(function()
      local h, calls, sources = resilience.hedge { after = 1, max = 3 }, 0, {}
      local stop = co.observe({ "cancel" }, function(_, _, source) sources[#sources + 1] = source end)
      local unwound = 0
      local answer = h:call(co.func(function()
        calls = calls + 1
        local number = calls
        co.defer(function() unwound = unwound + 1 end)
        co.sleep(number == 2 and 0.5 or 100)
        return number
      end))
      stop()
      assert.same({ 2, 2, 1.5, 2 }, { answer, calls, co.now(), unwound })
      assert.same({ "hedge" }, sources)
      assert.same({ 1, 1 }, { h:stats().hedges, h:stats().won })
      assert.equal(1, #co.tasks())
    end)
  end)

  it("fails when all attempts have failed, and keeps all their records", function()
    virtual(function()
      local h, calls = resilience.hedge { after = 1, max = 3 }, 0
      local _, record = call(h, function()
        calls = calls + 1
        local number = calls
        co.sleep(5)
        error("attempt " .. number, 0)
      end)
      assert.equal("attempt 3", record.value)
      assert.equal("attempt 1", record.suppressed[1].value)
      assert.equal("attempt 2", record.suppressed[2].value)
    end)
  end)

  it("fails at once when the only attempt fails", function()
    virtual(function()
      local _, record = call(resilience.hedge { after = 1 }, error, "x", 0)
      assert.same({ "x", 0 }, { record.value, co.now() })
    end)
  end)

  it("takes an answer after another attempt's failure", function()
    virtual(function()
      local calls = 0
      local answer = resilience.hedge({ after = 1 }):call(function()
        calls = calls + 1
        local number = calls
        co.sleep(2)
        if number == 1 then error "first" end
        return number
      end)
      assert.same({ 2, 3 }, { answer, co.now() })
    end)
  end)

  it("asks no more often than its budget allows", function()
    virtual(function()
      local budget = resilience.budget { ratio = 0.25, minimum = 0 }
      local h, calls = resilience.hedge { after = 0.1, budget = budget }, 0
      for _ = 1, 8 do
        h:call(function()
          calls = calls + 1
          co.sleep(0.5)
        end)
      end
      assert.same({ 10, 6 }, { calls, h:stats().denied })
    end)
  end)

  it("hedges after a quantile of the last durations", function()
    virtual(function()
      local h = resilience.hedge { quantile = 0.9 }
      assert.equal(0.05, h:stats().after)
      for i = 1, 100 do h:call(co.sleep, i / 1e4) end
      assert.is_true(math.abs(h:stats().after - 0.009) < 1e-9)
    end)
  end)

  it("leaves no attempt behind when it is cancelled", function()
    virtual(function()
      local h = resilience.hedge { after = 1, max = 5 }
      local task = co.spawn(h.call, h, co.sleep, 100)
      co.sleep(2.5)
      assert.equal(5, #co.tasks())
      task:cancel()
      task:join()
      assert.equal(1, #co.tasks())
    end)
  end)

  it("refuses bad options", function()
    helpers.assert_error("bad argument #1 to 'hedge' (options 'after' and 'quantile' exclude each other)",
      resilience.hedge, { after = 1, quantile = 0.5 })
    helpers.assert_error("bad argument #1 to 'hedge' (option 'max': integer from 1 expected, got 0)",
      resilience.hedge, { max = 0 })
  end)
end)

describe("a time-out", function()
  it("panics when the time is over", function()
    virtual(function()
      local t = resilience.timeout(1)
      assert.equal("x", t:call(function(...) return ... end, "x"))
      local _, record = call(t, co.sleep, 5)
      assert.same({ "timeout", 1 }, { record.cause.kind, co.now() })
      assert.same({ 1, 1 }, { t:stats().ok, t:stats().timed_out })
    end)
  end)

  it("refuses what are no seconds", function()
    helpers.assert_error("bad argument #1 to 'timeout' (seconds from 0 expected, got \"1\")",
      resilience.timeout, "1")
  end)
end)

describe("composed policies", function()
  it("are around each other, the first outermost", function()
    virtual(function()
      local log = {}
      local function policy(name)
        return {
          stats = function() return name end,
          call = function(_, fn, ...)
            log[#log + 1] = "+" .. name
            co.defer(function() log[#log + 1] = "-" .. name end)
            return fn(...)
          end,
        }
      end
      local both = resilience.compose(policy "a", policy "b")
      local function same(...) return ... end
      assert.same({ 1, nil, n = 2 }, table.pack(co.call(both.call, both, same, 1, nil)))
      assert.same({ "+a", "+b", "-b", "-a" }, log)
      assert.same({ "a", "b" }, both:stats())
    end)
  end)

  it("work in the order that the documentation recommends", function()
    virtual(function()
      local breaker = resilience.breaker { consecutive = 2 }
      local policy = resilience.compose(resilience.hedge { after = 10 }, resilience.retry { base = 0.1 },
        breaker, resilience.bulkhead { permits = 1 }, resilience.timeout(1))
      local _, record = call(policy, co.sleep, 5)
      assert.equal("BREAKER_OPEN", record.error_code)
      assert.equal(2, #record.cause.suppressed) -- of the attempt, in a task of its own
      assert.equal("open", breaker:stats().state)
    end)
  end)

  it("are policies", function()
    helpers.assert_error("bad argument #2 to 'compose' (policy expected, got function)", resilience.compose,
      resilience.retry(), print)
    helpers.assert_error("bad argument #1 to 'compose' (policy expected, got nil)", resilience.compose)
  end)
end)
