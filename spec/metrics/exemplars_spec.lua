-- The exemplars of the runtime's histograms of time: which trace a bucket shows.
local co = require "coropanic"
local metrics = require "coropanic.metrics"

local function headers(digit, flags)
  return { traceparent = "00-" .. digit:rep(32) .. "-00f067aa0ba902b7-" .. (flags or "01") }
end

--- Spawns a task whose code is in the trace of this digit.
local function spawn_in(digit, flags, ...)
  return co.spawn_with({ detached_trace = true }, co.trace.continue, headers(digit, flags), ...)
end

-- The module of metrics has turned it on, and what one spec has counted is not the next one's.
local function forget()
  while co.accounting() do co.accounting(false) end
end

--- Accounting of a run by the virtual clock: what has come of it, read at its end.
local function account(body)
  local kept
  forget()
  co.accounting(true)
  co.run_with({ clock = "virtual" }, function()
    body()
    kept = co.accounting()
  end)
  co.accounting(false)
  return kept
end

describe("the exemplars of the histograms of time", function()
  it("are the traces of the tasks that waited, ran and were ready for so long", function()
    local kept = account(function()
      spawn_in("a", "01", co.sleep, 2):join()
      spawn_in("b", "01", co.sleep, 0.25):join()
    end)
    local slept = kept.wait.sleep.exemplars
    local a, b = slept[31], slept[28] -- 2 s are below 2^31 ns, 0.25 s below 2^28 ns
    assert.equal(("a"):rep(32), a.trace_id)
    assert.equal(2, a.value)
    assert.equal(("b"):rep(32), b.trace_id)
    assert.equal(0.25, b.value)
    assert.is_true(math.abs(a.time - os.time()) < 5)
    assert.is_truthy(kept.run.exemplars[10])
    assert.is_truthy(kept.delay.exemplars[10])
  end)

  it("have the span, if it has an id", function()
    local span
    local kept = account(function()
      spawn_in("a", "01", function()
        co.trace.span("s", function()
          span = co.trace.current().span_id
          co.sleep(2)
        end)
      end):join()
    end)
    assert.equal(span, kept.wait.sleep.exemplars[31].span_id)
  end)

  it("are of sampled traces only", function()
    local kept = account(function()
      spawn_in("a", "00", co.sleep, 2):join()
      co.sleep(2)
      spawn_in("b", "01", co.sleep, 8):join()
      spawn_in("c", "00", co.sleep, 8):join()
    end)
    assert.not_equal(("a"):rep(32), kept.wait.sleep.exemplars[31].trace_id)
    assert.equal(("b"):rep(32), kept.wait.sleep.exemplars[33].trace_id)
  end)

  it("stay for a second, and then the newest wins", function()
    local kept = account(function()
      local tasks = {}
      for i, digit in ipairs { "a", "b", "c", "d" } do
        tasks[i] = spawn_in(digit, "01", function()
          co.sleep(2 + 0.4 * i) -- ends 2.4, 2.8, 3.2, 3.6 s after the start: the last one is a second later
        end)
      end
      for _, t in ipairs(tasks) do t:join() end
    end)
    assert.equal(("d"):rep(32), kept.wait.sleep.exemplars[32].trace_id)
    kept = account(function()
      local tasks = {}
      for i, digit in ipairs { "a", "b", "c" } do
        tasks[i] = spawn_in(digit, "01", function() co.sleep(2 + 0.4 * i) end)
      end
      for _, t in ipairs(tasks) do t:join() end
    end)
    assert.equal(("a"):rep(32), kept.wait.sleep.exemplars[32].trace_id)
  end)

  it("are of tasks that end in their slice, too, with the trace in which they were spawned", function()
    local run, trace_id
    forget()
    co.accounting(true)
    co.run(function()
      local task = co.spawn_with({ detached_trace = true }, function()
        local began = os.clock()
        repeat until os.clock() - began > 0.02
      end)
      task:join()
      trace_id = task.trace_id
      run = co.accounting().run
    end)
    co.accounting(false)
    local found
    for power, exemplar in pairs(run.exemplars) do
      if exemplar.trace_id == trace_id then found = power end
    end
    assert.is_true(found >= 25) -- 20 ms are above 2^24 ns
    assert.is_true(run.exemplars[found].value < 2 ^ found / 1e9)
  end)

  it("are in the text that Prometheus reads", function()
    forget()
    metrics.expose() -- turns accounting on again
    co.run_with({ clock = "virtual" }, function() spawn_in("f", "01", co.sleep, 5):join() end)
    local shown
    for line in metrics.expose "application/openmetrics-text":gmatch "[^\n]+" do
      if line:find 'coropanic_wait_seconds_bucket{operation="sleep",le="8.5' then shown = line end
    end
    assert.matches(' # {trace_id="' .. ("f"):rep(32) .. '"} 5 %d+%.%d%d%d$', shown)
  end)
end)
