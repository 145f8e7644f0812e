local co = require "coropanic"
local helpers = require "spec.helpers"
local resilience = require "coropanic.resilience"

local function virtual(fn, seed) return co.run_with({ clock = "virtual", seed = seed }, fn) end

local function slow()
  local ok, record = co.with_timeout(0.05, co.sleep, 10)
  if not ok then co.panic(record) end
end

local function run(b, fn) return co.pcall(b.run, b, fn) end

describe("a boundary", function()
  it("returns what its function returns, after its children", function()
    virtual(function()
      local b, undone = resilience.boundary(), false
      local ended = false
      assert.same({ 1, nil, n = 2 }, table.pack(b:run(function(h)
        h:compensate(function() undone = true end)
        h:spawn(function()
          co.sleep(1)
          ended = true
        end)
        return 1, nil
      end)))
      assert.is_true(ended)
      assert.is_false(undone)
      assert.equal(1, b:stats().ok)
    end)
  end)

  it("trips at the third time-out in a row, and does everything that follows in its order", function()
    virtual(function()
      local log = {}
      local function note(what) return function() log[#log + 1] = what end end
      local trace_id = co.trace.current().trace_id
      local b = resilience.boundary {
        name = "offers",
        recover = note "recover",
        flush = function(record)
          co.sleep(0.5)
          log[#log + 1] = "flush of " .. record.cause.kind
        end,
        fallback = function(record)
          log[#log + 1] = "fallback"
          assert.equal(trace_id, co.trace.current().trace_id)
          return "cached", record.trace_id
        end,
      }
      local text, of_record = b:run(function(h)
        h:compensate(note "first")
        h:compensate(function()
          co.sleep(0.1)
          log[#log + 1] = "second"
        end)
        h:spawn(function()
          co.defer(note "child unwound")
          co.sleep(10)
        end)
        for _ = 1, 3 do h:spawn(slow) end
        co.sleep(10)
        return "never"
      end)
      assert.same({ "cached", trace_id }, { text, of_record })
      assert.same({ "child unwound", "second", "first", "recover", "flush of timeout", "fallback" }, log)
      assert.is_true(math.abs(co.now() - 0.65) < 1e-6)
      assert.same({ 3, 1, 2, 1 }, {
        b:stats().timeouts, b:stats().trips, b:stats().compensations, b:stats().fallbacks,
      })
      assert.equal(1, #co.tasks())
    end)
  end)

  it("cancels its children with the source boundary", function()
    virtual(function()
      local child
      resilience.boundary({ trip = 1, fallback = function() end }):run(function(h)
        child = h:spawn(co.sleep, 10)
        h:spawn(slow)
      end)
      local _, record = child:join()
      assert.same({ "boundary", "BOUNDARY_TRIPPED" }, { record.source, record.reason.code })
    end)
  end)

  it("counts only time-outs that follow one another", function()
    virtual(function()
      local b = resilience.boundary()
      assert.equal("fine", b:run(function(h)
        for _ = 1, 4 do
          h:spawn(slow)
          h:spawn(slow):join()
          h:spawn(co.sleep, 0.01):join()
        end
        return "fine"
      end))
      assert.same({ 8, 0 }, { b:stats().timeouts, b:stats().trips })
    end)
  end)

  it("counts only those within its time", function()
    virtual(function()
      local b = resilience.boundary { trip = 2, within = 1 }
      assert.is_true((run(b, function(h)
        for _ = 1, 3 do
          h:spawn(slow)
          co.sleep(2)
        end
      end)))
      assert.is_false((run(b, function(h)
        for _ = 1, 3 do
          h:spawn(slow)
          co.sleep(0.5)
        end
      end)))
    end)
  end)

  it("counts a child that a deadline of its own ends", function()
    virtual(function()
      local b = resilience.boundary { trip = 2, fallback = function(record) return record.kind end }
      local kind = b:run(function(h)
        for _ = 1, 2 do
          h:spawn_with({ context = co.context.with_timeout(co.ctx(), 1) }, co.sleep, 10)
        end
        co.sleep(100)
      end)
      assert.same({ "timeout", 1 }, { kind, co.now() })
    end)
  end)

  it("gives the time-out to who waits for the child", function()
    virtual(function()
      local b = resilience.boundary()
      assert.is_true((run(b, function(h)
        local child = h:spawn(slow)
        local ok, record = co.pcall(child.await, child)
        assert.is_false(ok)
        assert.equal("timeout", record.cause.cause.kind)
        assert.equal("panicked", child:status())
      end)))
    end)
  end)

  it("raises the panic again without a fallback, after the compensations", function()
    virtual(function()
      local undone = 0
      local _, record = run(resilience.boundary(), function(h)
        h:compensate(function() undone = undone + 1 end)
        for _ = 1, 3 do h:spawn(slow) end
      end)
      assert.same({ "context deadline exceeded", 1 }, { record.message, undone })
      _, record = run(resilience.boundary(), function(h)
        h:compensate(function() undone = undone + 1 end)
        h:spawn(error, "of the child", 0)
        co.sleep(1)
      end)
      assert.same({ "of the child", 2 }, { record.value, undone })
      _, record = run(resilience.boundary(), function(h)
        h:compensate(function() undone = undone + 1 end)
        error("of the body", 0)
      end)
      assert.same({ "of the body", 3 }, { record.value, undone })
    end)
  end)

  it("runs all compensations, and keeps the panics of those that fail", function()
    virtual(function()
      local ran = {}
      local b = resilience.boundary { recover = function() error("in recover", 0) end }
      local _, record = run(b, function(h)
        for i = 1, 4 do
          h:compensate(function()
            ran[#ran + 1] = i
            if i == 2 then error("in 2", 0) end
          end)
        end
        error("at first", 0)
      end)
      assert.same({ 4, 3, 2, 1 }, ran)
      assert.equal("at first", record.value)
      assert.equal("in 2", record.suppressed[1].value)
      assert.equal("in recover", record.suppressed[2].value)
    end)
  end)

  it("runs all compensations although one of them calls goexit", function()
    virtual(function()
      local ran = {}
      local b = resilience.boundary()
      local task = co.spawn(b.run, b, function(h)
        for i = 1, 3 do
          h:compensate(function()
            ran[#ran + 1] = i
            if i == 2 then co.goexit() end
          end)
        end
        error("x", 0)
      end)
      task:join()
      assert.same({ 3, 2, 1 }, ran)
      assert.equal("exited", task:status())
    end)
  end)

  -- A saga of five steps; the fault comes at each of them.
  it("undoes exactly the steps before the fault, with what they returned", function()
    for fault = 1, 6 do
      virtual(function()
        local done, undone = {}, {}
        local ok = run(resilience.boundary(), function(h)
          for i = 1, 5 do
            local a, b = h:step(function()
              co.sleep(0.1)
              if i == fault then error "the fault" end
              done[#done + 1] = i
              return "result", i
            end, function(what, number)
              co.sleep(0.1)
              undone[#undone + 1] = what .. number
            end)
            assert.same({ "result", i }, { a, b })
          end
        end)
        assert.equal(fault == 6, ok)
        local expected = {}
        if not ok then
          for i = #done, 1, -1 do expected[#expected + 1] = "result" .. done[i] end
        end
        assert.same(expected, undone)
        assert.equal(math.min(fault - 1, 5), #done)
      end)
    end
  end)

  it("undoes the steps when it is cancelled, which can't cut it short", function()
    virtual(function()
      local undone, fell_back = {}, false
      local b = resilience.boundary { fallback = function() fell_back = true end }
      local task = co.spawn(b.run, b, function(h)
        for i = 1, 3 do
          h:step(function() co.sleep(1) end, function()
            co.sleep(1)
            undone[#undone + 1] = i
          end)
        end
      end)
      co.sleep(2.5)
      task:cancel()
      task:cancel()
      local _, record = task:join()
      assert.same({ 2, 1 }, undone)
      assert.is_false(fell_back)
      assert.same({ "cancelled", 4.5 }, { record.kind, co.now() })
    end)
  end)

  it("waits for the flush no longer than it may", function()
    virtual(function()
      local flushed = false
      local b = resilience.boundary {
        flush_within = 2,
        fallback = function() return "fallback", co.now() end,
        flush = function()
          co.sleep(5)
          flushed = true
        end,
      }
      assert.same({ "fallback", 2 }, { b:run(function() error "x" end) })
      assert.is_false(flushed)
      co.sleep(4)
      assert.is_true(flushed)
    end)
  end)

  it("keeps the panic of the flush", function()
    virtual(function()
      local b = resilience.boundary { flush = function() error("in flush", 0) end }
      local _, record = run(b, function() error("x", 0) end)
      assert.equal("in flush", record.suppressed[1].value)
    end)
  end)

  it("raises a panic of its fallback", function()
    virtual(function()
      local b = resilience.boundary { fallback = function() error("no cache", 0) end }
      local _, record = run(b, function() error("x", 0) end)
      assert.equal("no cache", record.value)
    end)
  end)

  it("calls a function as a policy", function()
    virtual(function()
      local b = resilience.boundary { fallback = function(record) return record.message end }
      assert.same({ 1, nil, n = 2 }, table.pack(b:call(function(...) return ... end, 1, nil)))
      assert.equal("x", b:call(error, "x", 0))
      assert.equal("context deadline exceeded", b:call(slow))
      b = resilience.boundary { fallback = function() return "cached" end }
      assert.equal("cached", resilience.compose(b, resilience.retry { base = 0.01 }):call(error))
    end)
  end)

  it("leaves no task, no scope and no compensation behind, under 3,000 seeds", function()
    local random = math.random
    local function child()
      local kind = random(7)
      co.sleep(random() * 0.3)
      if kind == 1 then error("x", 0) end
      if kind == 2 then slow() end
      if kind == 3 then co.goexit() end
      if kind == 4 then co.current():cancel() end
    end
    for seed = 1, 3000 do
      math.randomseed(seed)
      virtual(function()
        local registered, undone, returned = 0, 0, false
        local b = resilience.boundary { trip = 2, fallback = random(2) == 1 and function() end or nil }
        local task = co.spawn(co.pcall, b.run, b, function(h)
          for _ = 1, random(5) do
            registered = registered + 1
            h:compensate(function()
              undone = undone + 1
              co.sleep(random() * 0.1)
            end)
            h:spawn(child)
            co.sleep(random() * 0.1)
          end
          returned = true
        end)
        if random(3) == 1 then
          co.sleep(random() * 0.4)
          task:cancel()
        end
        task:join()
        local stats = b:stats()
        assert.equal(stats.ok == 1 and 0 or registered, undone)
        assert.is_true(stats.ok == 0 or returned)
        assert.equal(1, #co.tasks())
      end, seed)
    end
  end)

  it("refuses bad options and calls", function()
    local CASES = {
      { { trip = 0 }, "option 'trip': integer from 1 expected, got 0" },
      { { on = "panic" }, "option 'on': \"timeout\" expected, got \"panic\"" },
      { { fallback = "x" }, "option 'fallback': function expected, got \"x\"" },
      { { trips = 1 }, "unknown option 'trips'" },
    }
    for _, case in ipairs(CASES) do
      helpers.assert_error("bad argument #1 to 'boundary' (" .. case[2] .. ")", resilience.boundary, case[1])
    end
    virtual(function()
      local kept
      resilience.boundary():run(function(h)
        kept = h
        helpers.assert_error("bad argument #1 to 'spawn' (function expected, got nil)",
          function() h:spawn() end)
        helpers.assert_error("bad argument #2 to 'step' (function expected, got nil)",
          function() h:step(print) end)
        helpers.assert_error("bad argument #1 to 'compensate' (function expected, got string)",
          function() h:compensate "x" end)
      end)
      helpers.assert_error("calling 'spawn' on a boundary that has ended", function() kept:spawn(print) end)
    end)
    helpers.assert_error("bad argument #1 to 'run' (function expected, got nil)",
      function() resilience.boundary():run() end)
  end)
end)
