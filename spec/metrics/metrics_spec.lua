-- coropanic.metrics: counting, names, limits, exemplars and the text of both formats.
-- luacheck: no max line length
local co = require "coropanic"
local family = require "coropanic.metrics.family"
local metrics = require "coropanic.metrics"

local OPENMETRICS = "application/openmetrics-text"

--- The lines of one metric.
local function lines_of(name, accept)
  local lines = {}
  for line in metrics.expose(accept):gmatch "[^\n]+" do
    if line:find("^" .. name .. "[ {_]") or line:find("^# %u+ " .. name .. "[_ ]") then lines[#lines + 1] = line end
  end
  return lines
end

local function without_exemplars(lines)
  for i, line in ipairs(lines) do
    lines[i] = line:gsub(" # {.*$", "")
  end
  return lines
end

describe("coropanic.metrics", function()
  it("counts", function()
    local c = metrics.counter("t_requests", { help = "All\nof \\ \"them\".", labels = { "route", "ok" } })
    c:inc(nil, { route = "/a\\\"\n", ok = true })
    c:inc(2, { route = "/a\\\"\n", ok = true })
    c:inc(0.5, { route = "/b", ok = 1 })
    assert.same({
      [[# HELP t_requests_total All\nof \\ "them".]],
      "# TYPE t_requests_total counter",
      [[t_requests_total{route="/a\\\"\n",ok="true"} 3]],
      [[t_requests_total{route="/b",ok="1"} 0.5]],
    }, lines_of "t_requests")
    assert.same({
      "# TYPE t_requests counter",
      [[# HELP t_requests All\nof \\ \"them\".]],
      [[t_requests_total{route="/a\\\"\n",ok="true"} 3]],
      [[t_requests_total{route="/b",ok="1"} 0.5]],
    }, without_exemplars(lines_of("t_requests", OPENMETRICS)))
  end)

  it("shows a metric without labels before anything was counted", function()
    metrics.counter "t_nothing_total"
    assert.same({ "# TYPE t_nothing_total counter", "t_nothing_total 0" }, lines_of "t_nothing")
  end)

  it("has gauges", function()
    local g = metrics.gauge("t_load", { labels = { "cpu" } })
    g:set(1 / 3, { cpu = 0 })
    g:set(-math.huge, { cpu = 1 })
    g:inc(2, { cpu = 2 })
    g:dec(nil, { cpu = 2 })
    g:set(0 / 0, { cpu = 3 })
    g:set(0.1, { cpu = 4 })
    assert.same({
      "# TYPE t_load gauge", 't_load{cpu="0"} 0.33333333333333331', 't_load{cpu="1"} -Inf', 't_load{cpu="2"} 1',
      't_load{cpu="3"} NaN', 't_load{cpu="4"} 0.1',
    }, lines_of "t_load")
  end)

  it("has histograms", function()
    local h = metrics.histogram("t_size_bytes", { unit = "bytes", buckets = { 1, 2.5, 10 } })
    for _, value in ipairs { 0, 1, 1.5, 2.5, 10, 11 } do
      h:observe(value)
    end
    assert.same({
      "# TYPE t_size_bytes histogram",
      "# UNIT t_size_bytes bytes",
      't_size_bytes_bucket{le="1.0"} 2',
      't_size_bytes_bucket{le="2.5"} 4',
      't_size_bytes_bucket{le="10.0"} 5',
      't_size_bytes_bucket{le="+Inf"} 6',
      "t_size_bytes_count 6",
      "t_size_bytes_sum 26",
    }, without_exemplars(lines_of("t_size_bytes", OPENMETRICS)))
  end)

  it("has infos, whose labels are replaced", function()
    local i = metrics.info("t_build", { labels = { "version" } })
    i:set { version = "1" }
    i:set { version = "2" }
    assert.same({ "# TYPE t_build info", 't_build_info{version="2"} 1' }, lines_of("t_build", OPENMETRICS))
    assert.same({ "# TYPE t_build_info gauge", 't_build_info{version="2"} 1' }, lines_of "t_build")
  end)

  it("returns the same metric for the same name and options", function()
    local c = metrics.counter("t_again", { labels = { "a" } })
    assert.equal(c, metrics.counter("t_again_total", { labels = { "a" } }))
    assert.has_error(function() metrics.counter("t_again", { labels = { "b" } }) end,
      [[bad argument #1 to 'counter' ("t_again" is a name of the metric 't_again' already)]])
    assert.has_error(function() metrics.gauge "t_again_total" end,
      [[bad argument #1 to 'gauge' ("t_again_total" is a name of the metric 't_again' already)]])
    assert.has_error(function() metrics.counter "coropanic_switches" end)
  end)

  it("replaces what is no UTF-8", function()
    local c = metrics.counter("t_utf8", { labels = { "text" } })
    c:inc(1, { text = "a\255b" })
    local text = lines_of("t_utf8")[2]
    assert.is_truthy(utf8.len(text))
  end)

  it("keeps at most 1,000 series, and counts the rest in one named other", function()
    local c = metrics.counter("t_many", { labels = { "user", "zone" } })
    local before = family.dropped()
    for i = 1, family.MAX_SERIES + 50 do
      c:inc(1, { user = i, zone = "z" })
    end
    c:inc(1, { user = 1, zone = "z" })
    local lines = lines_of "t_many"
    assert.equal(1 + family.MAX_SERIES + 1, #lines)
    assert.is_truthy(table.concat(lines, "\n"):find('t_many_total{user="other",zone="other"} 50', 1, true))
    assert.is_truthy(table.concat(lines, "\n"):find('t_many_total{user="1",zone="z"} 2', 1, true))
    assert.is_truthy(metrics.expose():find("coropanic_metrics_dropped_series_total " .. before + 50, 1, true))
  end)
end)

describe("an exemplar", function()
  local function exemplars_of(name)
    local found = {}
    for _, line in ipairs(lines_of(name, OPENMETRICS)) do
      local trace_id, span_id, value = line:match ' # {trace_id="(%x+)",span_id="(%x+)"} (%S+) %d+%.%d+$'
      if trace_id then found[#found + 1] = { trace_id = trace_id, span_id = span_id, value = value, line = line } end
    end
    return found
  end

  it("is the trace of the code that counts", function()
    local c, h = metrics.counter "t_exemplar", metrics.histogram("t_exemplar_seconds", { unit = "seconds" })
    local trace
    co.run(function()
      trace = co.trace.current()
      c:inc(2)
      h:observe(0.3)
    end)
    local of_counter, of_histogram = exemplars_of "t_exemplar", exemplars_of "t_exemplar_seconds"
    assert.equal(trace.trace_id, of_counter[1].trace_id)
    assert.equal(trace.span_id, of_counter[1].span_id)
    assert.equal("2", of_counter[1].value)
    assert.equal(1, #of_histogram)
    assert.equal("0.3", of_histogram[1].value)
    assert.is_truthy(of_histogram[1].line:find('le="0.5"', 1, true))
    assert.is_nil(metrics.expose():find("trace_id", 1, true))
  end)

  it("is never of a trace that is not sampled", function()
    local c = metrics.counter "t_unsampled"
    co.trace.continue({ traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00" }, function() c:inc() end)
    assert.same({}, exemplars_of "t_unsampled")
    co.trace.continue({ traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" }, function() c:inc() end)
    assert.equal("4bf92f3577b34da6a3ce929d0e0e4736", exemplars_of("t_unsampled")[1].trace_id)
  end)

  it("is replaced by a newer one, but not within a second", function()
    local c = metrics.counter "t_newest"
    local series = c:at ""
    local function count(id)
      co.trace.continue({ traceparent = "00-" .. id:rep(32) .. "-00f067aa0ba902b7-01" }, function() c:inc() end)
    end
    count "1"
    count "2"
    assert.equal(("1"):rep(32), exemplars_of("t_newest")[1].trace_id)
    series.exemplars[1].time = series.exemplars[1].time - family.EXEMPLAR_SECONDS
    count "3"
    assert.equal(("3"):rep(32), exemplars_of("t_newest")[1].trace_id)
  end)
end)

describe("coropanic.metrics refuses", function()
  local function refused(message, call)
    it(message, function() assert.has_error(call, message) end)
  end

  refused([[bad argument #1 to 'counter' (string expected, got nil)]], function() metrics.counter() end)
  refused([[bad argument #1 to 'gauge' (name: letters, digits, '_' and ':' expected, no digit first, got "1a")]],
    function() metrics.gauge "1a" end)
  refused([[bad argument #1 to 'gauge' (name: letters, digits, '_' and ':' expected, no digit first, got "")]],
    function() metrics.gauge "" end)
  refused([[bad argument #1 to 'gauge' (name: letters, digits, '_' and ':' expected, no digit first, got "a-b")]],
    function() metrics.gauge "a-b" end)
  refused([[bad argument #1 to 'gauge' (name: expected to end with the unit, "_seconds", got "t_time")]],
    function() metrics.gauge("t_time", { unit = "seconds" }) end)
  refused([[bad argument #2 to 'counter' (table expected, got string)]], function() metrics.counter("t_x", "help") end)
  refused([[bad argument #2 to 'counter' (unknown option 'buckets')]],
    function() metrics.counter("t_x", { buckets = {} }) end)
  refused([[bad argument #2 to 'counter' (option 'help': string expected, got number)]],
    function() metrics.counter("t_x", { help = 1 }) end)
  refused([[bad argument #2 to 'counter' (option 'labels': letters, digits and '_' expected, no digit first, got "a:b")]],
    function() metrics.counter("t_x", { labels = { "a:b" } }) end)
  refused([[bad argument #2 to 'counter' (option 'labels': names that begin with '__' are reserved, got "__name__")]],
    function() metrics.counter("t_x", { labels = { "__name__" } }) end)
  refused([[bad argument #2 to 'counter' (option 'labels': "a" is there twice)]],
    function() metrics.counter("t_x", { labels = { "a", "a" } }) end)
  refused([[bad argument #2 to 'histogram' (option 'labels': "le" is a histogram's own label)]],
    function() metrics.histogram("t_x", { labels = { "le" } }) end)
  refused([[bad argument #2 to 'histogram' (option 'buckets': rising numbers expected, got 1)]],
    function() metrics.histogram("t_x", { buckets = { 1, 1 } }) end)
  refused([[bad argument #2 to 'info' (unknown option 'unit')]], function() metrics.info("t_x", { unit = "a" }) end)
  refused([[bad argument #1 to 'inc' (number expected, got string)]], function() metrics.counter("t_y"):inc "1" end)
  refused([[bad argument #1 to 'inc' (a counter only grows, got -1)]], function() metrics.counter("t_y"):inc(-1) end)
  refused([[bad argument #2 to 'inc' (unknown label 'a')]], function() metrics.counter("t_y"):inc(1, { a = 1 }) end)
  refused([[bad argument #2 to 'inc' (label 'a' is missing)]],
    function() metrics.counter("t_z", { labels = { "a" } }):inc(1, {}) end)
  refused([[bad argument #2 to 'inc' (table of labels expected, got nil)]],
    function() metrics.counter("t_z", { labels = { "a" } }):inc(1) end)
  refused([[bad argument #2 to 'inc' (label 'a': string, number or boolean expected, got table)]],
    function() metrics.counter("t_z", { labels = { "a" } }):inc(1, { a = {} }) end)
  refused([[calling 'set' on a bad self (gauge or info expected, got counter)]],
    function() metrics.counter("t_y"):set(1) end)
  refused([[bad argument #1 to 'expose' (string or nil expected, got table)]], function() metrics.expose {} end)
end)

describe("the form of an exposition", function()
  local PLAIN = "text/plain; version=0.0.4; charset=utf-8"
  local function open(version) return ("application/openmetrics-text; version=%s; charset=utf-8"):format(version) end
  local PROMETHEUS = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    .. "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
  local OLD = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,"
    .. "application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,"
    .. "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
  for header, expected in pairs {
    [""] = PLAIN,
    ["*/*"] = PLAIN,
    ["text/*"] = PLAIN,
    ["text/plain"] = PLAIN,
    ["application/*"] = PLAIN,
    ["application/json"] = PLAIN,
    [PROMETHEUS] = open "1.0.0",
    [OLD] = open "1.0.0",
    ["application/openmetrics-text"] = open "1.0.0",
    ["Application/OpenMetrics-Text; Version=1.0.0"] = open "1.0.0",
    ["application/openmetrics-text; version=\"1.0.0\""] = open "1.0.0",
    ["application/openmetrics-text;version=0.0.1"] = open "0.0.1",
    ["application/openmetrics-text;version=2.0.0"] = PLAIN,
    ["application/openmetrics-text;q=0, text/plain"] = PLAIN,
    ["application/openmetrics-text;q=0.4, text/plain;q=0.5"] = PLAIN,
    ["application/openmetrics-text;q=0.5, text/plain;q=0.5"] = open "1.0.0",
    ["application/openmetrics-text;q=0.5, */*;q=0.9"] = PLAIN,
    ["text/plain;q=0, application/openmetrics-text;q=0.1"] = open "1.0.0",
    ["application/openmetrics-text;q=x"] = PLAIN,
    [";;q=,,/;=\"\\"] = PLAIN,
    [("a/b,"):rep(100000)] = PLAIN,
  } do
    it("is chosen for " .. header:sub(1, 100), function()
      local body, content_type = metrics.expose(header)
      assert.equal(expected, content_type)
      assert.equal(expected ~= PLAIN, body:sub(-6) == "# EOF\n")
    end)
  end
end)

describe("a metric of the runtime", function()
  local function value_of(sample)
    return tonumber(("\n" .. metrics.expose()):match("\n" .. sample:gsub("[%p]", "%%%0") .. " (%S+)"))
  end

  it("counts tasks by their states", function()
    co.run(function()
      local ch = co.chan()
      for _ = 1, 3 do
        co.spawn(ch.recv, ch)
      end
      co.yield()
      co.yield()
      local live = co.stats().live
      assert.equal(1, value_of 'coropanic_tasks{state="running"}')
      assert.equal(live - 1, value_of 'coropanic_tasks{state="waiting"}')
      assert.equal(0, value_of 'coropanic_tasks{state="ready"}')
      co.spawn(function() end)
      assert.equal(1, value_of 'coropanic_tasks{state="ready"}')
      ch:close()
    end)
  end)

  it("follows co.stats()", function()
    local before = value_of "coropanic_tasks_spawned_total"
    co.run(function() co.spawn(function() end) end)
    assert.equal(before + 2, value_of "coropanic_tasks_spawned_total")
    assert.equal(co.stats().switches, value_of "coropanic_switches_total")
    assert.is_true(value_of "coropanic_memory_bytes" > 1000)
  end)

  it("counts panics by their code, cancellations by their source, time-outs and deadlocks", function()
    local code = 'coropanic_panics_total{error_code="E_METRIC"}'
    local explicit = value_of 'coropanic_cancelled_total{source="explicit"}' or 0
    local timeouts, deadlocks = value_of "coropanic_timeouts_total", value_of "coropanic_deadlocks_total"
    co.run_with({ clock = "virtual" }, function()
      for _ = 1, 2 do
        co.pcall(co.panic, { code = "E_METRIC" })
      end
      co.with_timeout(1, co.sleep, 2)
      co.spawn(co.sleep, 1):cancel()
    end)
    pcall(co.run, function() co.chan():recv() end)
    assert.equal(2, value_of(code))
    assert.equal(explicit + 1, value_of 'coropanic_cancelled_total{source="explicit"}')
    assert.equal(timeouts + 1, value_of "coropanic_timeouts_total")
    assert.equal(deadlocks + 1, value_of "coropanic_deadlocks_total")
    assert.is_truthy(metrics.expose(OPENMETRICS):find('error_code="E_METRIC"} 2 # {trace_id="', 1, true))
  end)

  it("shows how long tasks were ready, ran and waited, and how long the loop slept", function()
    local function histogram(name, labels)
      local count = value_of(name .. "_count" .. labels) or 0
      local infinite = labels == "" and '{le="+Inf"}' or labels:gsub("}$", ',le="+Inf"}')
      assert.equal(count, value_of(name .. "_bucket" .. infinite) or 0)
      return count, value_of(name .. "_sum" .. labels) or 0
    end
    local SLEEPS = '{operation="sleep"}'
    local delays = histogram("coropanic_scheduling_delay_seconds", "")
    local runs, run_time = histogram("coropanic_run_seconds", "")
    local sleeps, slept = histogram("coropanic_wait_seconds", SLEEPS)
    local idle = value_of "coropanic_idle_seconds_total"
    co.run(function()
      co.sleep(0.02)
      local began = co.now()
      repeat until co.now() - began > 0.02
    end)
    local more_runs, more_run_time = histogram("coropanic_run_seconds", "")
    local more_sleeps, more_slept = histogram("coropanic_wait_seconds", SLEEPS)
    assert.is_true(histogram("coropanic_scheduling_delay_seconds", "") >= delays + 2)
    assert.equal(runs + 2, more_runs)
    assert.is_true(more_run_time >= run_time + 0.02)
    assert.equal(sleeps + 1, more_sleeps)
    assert.is_true(more_slept >= slept + 0.019)
    assert.is_true(value_of "coropanic_idle_seconds_total" >= idle + 0.015)
    collectgarbage()
    collectgarbage()
    local cycles = value_of "coropanic_collector_cycles_total"
    collectgarbage()
    assert.is_true(value_of "coropanic_collector_cycles_total" > cycles)
  end)

  it("has at most 64 codes of panics", function()
    for i = 1, 100 do
      co.pcall(co.panic, { code = "C" .. i })
    end
    local codes = 0
    for _ in metrics.expose():gmatch "\ncoropanic_panics_total{" do
      codes = codes + 1
    end
    assert.equal(65, codes)
    assert.is_true(value_of 'coropanic_panics_total{error_code="other"}' >= 36)
  end)
end)
