local co = require "coropanic"
local helpers = require "spec.helpers"
local resilience = require "coropanic.resilience"

local function virtual(fn, seed)
  return co.run_with({ clock = "virtual", seed = seed, unhandled = function() end }, fn)
end

local function fail() error("down", 0) end
local function ok(...) return ... end

-- A breaker without jitter, so that times are exact.
local function make(given)
  given = given or {}
  given.jitter = given.jitter or 0
  return resilience.breaker(given)
end

local function call(b, fn, ...) return co.pcall(b.call, b, fn, ...) end

-- Opens a breaker of five failures.
local function opened(given)
  local b = make(given)
  for _ = 1, 5 do call(b, fail) end
  assert.equal("open", b:stats().state)
  return b
end

describe("a breaker", function()
  it("returns and raises as the function does", function()
    virtual(function()
      local b = make()
      assert.same({ 1, nil, 3, n = 3 }, table.pack(b:call(ok, 1, nil, 3)))
      local value = {}
      local _, record = call(b, co.panic, value)
      assert.equal(value, record.value)
      assert.is_nil(record.cause)
      assert.equal(1, b:stats().ok)
      assert.equal(1, b:stats().failed)
    end)
  end)

  it("opens after five failures one after another, and says who has opened it", function()
    virtual(function()
      local b = make { name = "supplier" }
      for _ = 1, 4 do call(b, fail) end
      b:call(ok)
      for _ = 1, 4 do call(b, fail) end
      assert.equal("closed", b:stats().state)
      local _, last = call(b, fail)
      assert.equal("open", b:stats().state)
      co.sleep(1)
      local ran = false
      local _, record = call(b, function() ran = true end)
      assert.is_false(ran)
      assert.equal("BREAKER_OPEN", record.error_code)
      assert.equal('breaker "supplier" is open', record.message)
      assert.equal(4, record.value.retry_after)
      assert.equal(last.trace_id, record.value.opened_by)
      assert.equal(last.stack_hash, record.value.stack_hash)
      assert.equal(1, b:stats().refused)
    end)
  end)

  it("lets one probe through when the time is over, and closes when it succeeds", function()
    virtual(function()
      local b = opened()
      co.sleep(4.99)
      assert.is_false((call(b, ok)))
      co.sleep(0.01)
      local probe = co.spawn(b.call, b, co.sleep, 1)
      co.yield()
      assert.equal("half-open", b:stats().state)
      local _, record = call(b, ok)
      assert.equal("BREAKER_OPEN", record.error_code)
      probe:await()
      assert.equal("closed", b:stats().state)
      assert.is_true((call(b, ok)))
    end)
  end)

  it("opens again for twice the time when the probe fails, up to a minute", function()
    virtual(function()
      local b = opened()
      local pauses = {}
      for i = 1, 6 do
        pauses[i] = b:stats().retry_after
        co.sleep(pauses[i])
        assert.is_false((call(b, fail)))
        assert.equal("open", b:stats().state)
      end
      assert.same({ 5, 10, 20, 40, 60, 60 }, pauses)
      co.sleep(60)
      b:call(ok)
      for _ = 1, 5 do call(b, fail) end
      assert.equal(5, b:stats().retry_after)
    end)
  end)

  it("spreads its time by the jitter", function()
    virtual(function()
      for _ = 1, 50 do
        local b = make { jitter = 0.2, consecutive = 1 }
        call(b, fail)
        local pause = b:stats().retry_after
        assert.is_true(pause >= 4 and pause <= 6, tostring(pause))
      end
    end)
  end)

  it("needs as many successes as it has probes", function()
    virtual(function()
      local b = opened { probes = 3 }
      co.sleep(5)
      b:call(ok)
      local running = { co.spawn(b.call, b, co.sleep, 1), co.spawn(b.call, b, co.sleep, 1) }
      co.yield()
      assert.equal(2, b:stats().probes)
      assert.is_false((call(b, ok)))
      for _, task in ipairs(running) do task:await() end
      assert.equal("closed", b:stats().state)
    end)
  end)

  local ENDS = {
    ignored = function() co.panic { code = "NOT_FOUND" } end,
    cancelled = function()
      co.current():cancel()
      co.yield()
    end,
    ["that has called goexit"] = co.goexit,
  }
  for how, fn in pairs(ENDS) do
    it("frees the place of a probe that ends " .. how, function()
      virtual(function()
        local b = opened { ignore = function(record) return record.error_code == "NOT_FOUND" end }
        co.sleep(5)
        co.spawn(call, b, fn):join()
        assert.same({ "half-open", 0 }, { b:stats().state, b:stats().probes })
        assert.is_true((call(b, ok)))
        assert.equal("closed", b:stats().state)
      end)
    end)
  end

  it("counts a probe that hangs as failed", function()
    virtual(function()
      local b = opened { probe_timeout = 30 }
      co.sleep(5)
      local hanging = co.spawn(call, b, co.sleep, 100)
      co.sleep(29)
      assert.equal("half-open", b:stats().state)
      local _, record = call(b, ok)
      assert.equal(1, record.value.retry_after)
      co.sleep(1)
      assert.same({ "open", 1, 10 }, { b:stats().state, b:stats().lost, b:stats().retry_after })
      co.sleep(10)
      b:call(ok)
      assert.equal("closed", b:stats().state)
      hanging:join()
      assert.equal("closed", b:stats().state)
    end)
  end)

  it("lets no outcome of an earlier state move it", function()
    virtual(function()
      local b = make { consecutive = 2 }
      for i = 1, 4 do
        co.spawn(call, b, function()
          co.sleep(i <= 2 and 1 or 7)
          fail()
        end)
      end
      co.sleep(6.5) -- open since 1
      assert.is_true((call(b, ok)))
      assert.equal("closed", b:stats().state)
      co.sleep(1)
      assert.equal("closed", b:stats().state)
      assert.equal(0, b:stats().failures)
      assert.equal(4, b:stats().failed)
    end)
  end)

  it("counts what the function's deferred calls do", function()
    virtual(function()
      local b = make { consecutive = 1 }
      assert.is_false((call(b, function() co.defer(error, "in a deferred call") end)))
      assert.equal("open", b:stats().state)
      co.sleep(5)
      assert.is_false((call(b, function() co.defer(error, "in a deferred call") end)))
      assert.same({ "open", 2 }, { b:stats().state, b:stats().failed })
    end)
  end)

  it("opens by the part of failures within a window", function()
    virtual(function()
      local b = make { rate = 0.5, window = 10, minimum = 10 }
      for _ = 1, 5 do b:call(ok) end
      for _ = 1, 4 do call(b, fail) end
      assert.equal("closed", b:stats().state)
      co.sleep(20) -- all of it is forgotten
      for _ = 1, 9 do call(b, fail) end
      assert.equal("closed", b:stats().state)
      call(b, fail)
      assert.equal("open", b:stats().state)
    end)
  end)

  it("stays closed as long as fewer fail", function()
    virtual(function()
      local b = make { rate = 0.5, window = 10, minimum = 10 }
      for i = 1, 400 do
        call(b, i % 5 < 2 and fail or ok) -- two of five
        co.sleep(0.1)
      end
      assert.equal("closed", b:stats().state)
    end)
  end)

  it("counts slow calls as failures", function()
    virtual(function()
      local b = make { consecutive = 2, slow = 1 }
      b:call(co.sleep, 1)
      b:call(co.sleep, 1.5)
      assert.equal("closed", b:stats().state)
      b:call(co.sleep, 1.5)
      assert.equal("open", b:stats().state)
    end)
  end)

  it("obeys open, close and isolate", function()
    virtual(function()
      local b = make()
      b:open()
      assert.is_false((call(b, ok)))
      b:close()
      assert.is_true((call(b, ok)))
      b:isolate()
      co.sleep(1e6)
      local _, record = call(b, ok)
      assert.equal("BREAKER_OPEN", record.error_code)
      assert.is_nil(record.value.retry_after)
      b:close()
      assert.is_true((call(b, ok)))
    end)
  end)

  local it_closes = coroutine.close and it or function() end -- Lua 5.4 alone can close a coroutine
  it_closes("gives its permit back when the coroutine of the call is closed", function()
    virtual(function()
      local b = opened()
      co.sleep(5)
      local thread = co.coroutine.create(b.call)
      co.coroutine.resume(thread, b, co.coroutine.yield)
      assert.equal(1, b:stats().probes)
      co.coroutine.close(thread)
      assert.equal(0, b:stats().probes)
    end)
  end)
end)

-- A supplier that does all that suppliers do, under random orders; when it is well again, so is the breaker.
describe("no breaker is trapped", function()
  local random = math.random

  local function supplier()
    local kind = random(1, 8)
    co.sleep(random() * 0.3)
    if kind == 1 then fail() end
    if kind == 2 then co.panic { code = "NOT_FOUND" } end
    if kind == 3 then co.goexit() end
    if kind == 4 then co.sleep(1e6) end
    if kind == 5 then assert(co.with_timeout(0.1, co.sleep, 5)) end
  end

  local function round(b)
    local tasks = {}
    for i = 1, random(1, 4) do
      tasks[i] = co.spawn(call, b, supplier)
      if random() < 0.4 then
        co.spawn(function()
          co.sleep(random() * 0.2)
          tasks[i]:cancel "client left"
        end)
      end
    end
    co.sleep(random() * 0.6)
    for _, task in ipairs(tasks) do
      if random() < 0.8 then task:cancel() end
      if random() < 0.8 then task:join(0) end
    end
  end

  local function is_trapped(seed)
    math.randomseed(seed)
    local b = make {
      consecutive = 2, open_for = 0.5, max_open_for = 1, probes = random(1, 2), probe_timeout = 5,
      ignore = function(record) return record.error_code == "NOT_FOUND" end,
    }
    local trapped
    virtual(function()
      for _ = 1, 12 do round(b) end
      for _, task in ipairs(co.tasks()) do
        if task ~= co.current() then task:cancel() end
      end
      co.sleep(1.1) -- open no longer
      call(b, ok)
      call(b, ok)
      trapped = b:stats().state ~= "closed"
    end, seed)
    return trapped
  end

  it("under 3,000 seeds", function()
    local trapped = {}
    for seed = 1, 3000 do
      if is_trapped(seed) then trapped[#trapped + 1] = seed end
    end
    assert.same({}, trapped)
  end)
end)

describe("resilience.breaker", function()
  it("refuses bad options", function()
    local CASES = {
      { 1, "table expected, got number" },
      { { consecutive = 0 }, "option 'consecutive': integer from 1 expected, got 0" },
      { { rate = 1.5 }, "option 'rate': number above 0, at most 1 expected, got 1.5" },
      { { rate = 0.5, consecutive = 3 }, "options 'rate' and 'consecutive' exclude each other" },
      { { window = 3 }, "option 'window' needs 'rate'" },
      { { open_for = "1" }, "option 'open_for': seconds above 0 expected, got \"1\"" },
      { { ignore = true }, "option 'ignore': function expected, got boolean" },
      { { probs = 1 }, "unknown option 'probs'" },
    }
    for _, case in ipairs(CASES) do
      helpers.assert_error("bad argument #1 to 'breaker' (" .. case[2] .. ")", resilience.breaker, case[1])
    end
  end)

  it("refuses what can't be called, and other objects", function()
    local b = make()
    helpers.assert_error("bad argument #1 to 'call' (function expected, got nil)", b.call, b)
    helpers.assert_error("calling 'call' on bad self (breaker expected, got table)", b.call, {}, ok)
    helpers.assert_error("calling 'stats' on bad self (breaker expected, got nil)", b.stats)
  end)

  it("names the line of the code that calls it", function()
    local _, message = pcall(function() resilience.breaker { probs = 1 } end)
    assert.matches("breaker_spec.lua:%d+: bad argument", message)
  end)
end)
