-- The metrics that coropanic.export.otlp sends, against a collector that holds every message against OTLP's
-- official definitions.

local co = require "coropanic"
local metrics = require "coropanic.metrics"
local otlp = require "coropanic.export.otlp"
local receiver = require "spec.export.receiver"

local METRICS, TRACES = "/v1/metrics", "/v1/traces"

setup(receiver.start)
teardown(receiver.stop)

local function start(collector, options)
  options = options or {}
  options.endpoint, options.metrics = collector.endpoint, true
  options.schedule_delay = options.schedule_delay or 3600 -- flush says when
  options.metrics_period = options.metrics_period or 3600
  return otlp.start(options)
end

--- The metrics that came, by name; of several readings the last. The points of batches are joined.
local function metrics_of(collector)
  local by_name = {}
  for _, metric in ipairs(receiver.items(collector, METRICS)) do by_name[metric.name] = metric end
  return by_name
end

local function labels_of(point)
  local labels = {}
  for _, attribute in ipairs(point.attributes or {}) do
    labels[attribute.key] = attribute.value.stringValue
  end
  return labels
end

--- Runs the body with an exporter, flushes, and returns what came.
local function export(options, body)
  local found, requests, stats
  co.run(function()
    local collector = receiver.open { {} }
    local exporter = start(collector, options)
    body(exporter)
    assert.is_true(exporter:flush(10))
    stats = exporter:stats()
    requests = receiver.requests(collector)
    found = metrics_of(collector)
    exporter:shutdown(10)
  end)
  return found, requests, stats
end

local counter = metrics.counter("e_requests", { help = 'All of "them".', labels = { "route" } })
local gauge = metrics.gauge("e_load_ratio", { unit = "ratio", labels = { "cpu" } })
local sizes = metrics.histogram("e_size_bytes", { unit = "bytes", buckets = { 1, 2.5, 1e-6 + 10 } })
local below = metrics.histogram("e_below", { buckets = { -1, 1 } })
local alone = metrics.histogram("e_alone", { buckets = { math.huge } })
local build = metrics.info("e_build", { labels = { "version" } })

for _, protocol in ipairs { "http/json", "http/protobuf" } do
  describe("metrics, by " .. protocol .. ",", function()
    it("are sums, gauges and histograms, with the labels as attributes and the trace as exemplar", function()
      local routes = { '/a"b', "back\\slash", "two\nlines", "\\n", "\u{1f600}", "" }
      local here
      local before = os.time()
      local options = { protocol = protocol, resource = { ["service.name"] = "shop" } }
      local found, requests = export(options, function()
        here = co.trace.current()
        for i, route in ipairs(routes) do counter:inc(i, { route = route }) end
        for i, value in ipairs { 0.1 + 0.2, math.huge, 0 / 0, math.mininteger } do
          gauge:set(value, { cpu = i })
        end
        for _, value in ipairs { 0, 1, 2, 11.5 } do sizes:observe(value) end
        below:observe(-5)
        alone:observe(3)
        build:set { version = "1.2" }
      end)
      local request = requests[1]
      assert.equal(METRICS, request.path)
      local of_resource = request.message.resourceMetrics[1]
      local names = {}
      for _, attribute in ipairs(of_resource.resource.attributes) do
        names[attribute.key] = attribute.value
      end
      assert.equal("shop", names["service.name"].stringValue)
      assert.equal("coropanic", of_resource.scopeMetrics[1].scope.name)

      local requests_metric = found.e_requests
      assert.equal('All of "them".', requests_metric.description)
      assert.is_nil(requests_metric.unit)
      assert.is_true(requests_metric.sum.isMonotonic)
      local by_route = {}
      for _, point in ipairs(requests_metric.sum.dataPoints) do by_route[labels_of(point).route] = point end
      for i, route in ipairs(routes) do
        local point = by_route[route]
        assert.equal(0, tonumber(point.asInt) % i, route) -- the other protocol has counted it too
        assert.equal(here.trace_id:len(), point.exemplars[1].traceId:len())
        local at = tonumber(point.timeUnixNano) / 1e9
        assert.is_true(at >= before and at <= os.time() + 1)
        assert.is_true(tonumber(point.startTimeUnixNano) < tonumber(point.timeUnixNano))
      end

      assert.equal("1", found.e_load_ratio.unit)
      local by_cpu = {}
      for _, point in ipairs(found.e_load_ratio.gauge.dataPoints) do by_cpu[labels_of(point).cpu] = point end
      assert.equal(0.1 + 0.2, by_cpu["1"].asDouble)
      assert.equal("Infinity", by_cpu["2"].asDouble)
      assert.equal("NaN", by_cpu["3"].asDouble)
      assert.equal("-9223372036854775808", by_cpu["4"].asInt)

      local size = found.e_size_bytes
      assert.equal("By", size.unit)
      local point = size.histogram.dataPoints[1]
      local times = tonumber(point.count) / 4
      local counts = {}
      for i, count in ipairs(point.bucketCounts) do counts[i] = tonumber(count) / times end
      assert.same({ 2, 1, 0, 1 }, counts)
      assert.same({ 1, 2.5, 1e-6 + 10 }, point.explicitBounds)
      assert.equal(14.5 * times, point.sum)
      assert.equal(3, #point.exemplars)
      assert.is_nil(found.e_below.histogram.dataPoints[1].sum) -- because it may fall
      assert.is_nil(found.e_alone.histogram.dataPoints[1].explicitBounds)
      local version = found.e_build_info.sum
      assert.is_falsy(version.isMonotonic)
      assert.same({ version = "1.2" }, labels_of(version.dataPoints[1]))
    end)

    it("have as exemplar what the trace was", function()
      local c = metrics.counter("e_exemplar_" .. protocol:match "%w+$")
      local here
      local found = export({ protocol = protocol }, function()
        co.trace.span("s", function()
          here = co.trace.current()
          c:inc(2.5)
        end)
      end)
      local exemplar = found[c.name].sum.dataPoints[1].exemplars[1]
      assert.equal(here.trace_id, exemplar.traceId)
      assert.equal(here.span_id, exemplar.spanId)
      assert.equal(2.5, exemplar.asDouble)
    end)

    it("of the runtime are among them", function()
      local found = export({ protocol = protocol }, function() co.sleep(0.001) end)
      assert.equal("s", found.coropanic_scheduling_delay_seconds.unit)
      assert.equal(24, #found.coropanic_run_seconds.histogram.dataPoints[1].explicitBounds)
      assert.is_true(tonumber(found.coropanic_switches.sum.dataPoints[1].asInt) > 0)
      assert.is_truthy(found.coropanic_tasks.gauge)
    end)

    it("that were rejected are counted", function()
      co.run(function()
        local collector = receiver.open { { partial = { rejectedDataPoints = 2, errorMessage = "old" } } }
        local exporter = start(collector, { protocol = protocol })
        assert.is_true(exporter:flush(10))
        assert.same({ rejected = 2 }, exporter:stats().dropped)
        exporter:shutdown(10)
      end)
    end)
  end)
end

describe("metrics", function()
  it("are not sent unless they are asked for", function()
    co.run(function()
      local collector = receiver.open { {} }
      local exporter = otlp.start { endpoint = collector.endpoint }
      co.trace.span("s", function() end)
      assert.is_true(exporter:flush(10))
      assert.same({}, receiver.items(collector, METRICS))
      exporter:shutdown(10)
    end)
  end)

  it("are read once a period", function()
    co.run(function()
      local collector = receiver.open { {} }
      local exporter = start(collector, { metrics_period = 0.01 })
      local c = metrics.counter "e_periods"
      local read = {}
      while not (read["1"] and read["2"]) do
        co.sleep(0.01)
        local metric = metrics_of(collector).e_periods
        if metric then
          local value = metric.sum.dataPoints[1].asInt
          if not read[value] then c:inc() end
          read[value] = true
        end
      end
      exporter:shutdown(10)
    end)
  end)

  it("go in batches of points", function()
    local many = metrics.gauge("e_many", { labels = { "i" } })
    for i = 1, 25 do many:set(i, { i = i }) end
    local _, requests, stats = export({ max_batch = 10 }, function() end)
    local total, of_many = 0, 0
    for _, request in ipairs(requests) do
      local in_request = 0
      for _, metric in ipairs(request.message.resourceMetrics[1].scopeMetrics[1].metrics) do
        local points = (metric.sum or metric.gauge or metric.histogram).dataPoints
        in_request = in_request + #points
        if metric.name == "e_many" then of_many = of_many + #points end
      end
      assert.is_true(in_request <= 10)
      total = total + in_request
    end
    assert.equal(25, of_many)
    assert.equal(total, stats.sent)
  end)

  it("are sent when the run ends, with what deferred calls have counted", function()
    local c = metrics.counter "e_last"
    local collector
    co.run(function()
      collector = receiver.open { {} }
      start(collector)
      co.spawn_with({ daemon = true }, function()
        co.defer(c.inc, c, 7)
        co.sleep(100)
      end)
      co.yield()
    end)
    assert.equal("7", metrics_of(collector).e_last.sum.dataPoints[1].asInt)
  end)

  it("are tried again as spans are", function()
    local c = metrics.counter "e_retried"
    c:inc()
    co.run(function()
      local collector = receiver.open { { status = 503, headers = { ["retry-after"] = "0" } }, {} }
      local exporter = start(collector)
      assert.is_true(exporter:flush(10))
      assert.equal(1, exporter:stats().retries)
      assert.equal("1", metrics_of(collector).e_retried.sum.dataPoints[1].asInt)
      exporter:shutdown(10)
    end)
  end)

  it("take the place of those that are still queued, and these are counted", function()
    co.run(function()
      local exporter = start(receiver.open { { never = true } }, { timeout = 3600, max_batch = 2 })
      local waiting = co.spawn(exporter.flush, exporter, 3600)
      co.sleep(0.01)
      local queued = exporter:stats().queued
      assert.is_false(exporter:flush(0))
      assert.equal(queued - 2, exporter:stats().dropped.superseded)
      local now = exporter:stats().queued
      assert.is_true(now >= queued and now < 2 * queued - 2)
      exporter:shutdown(0)
      assert.equal(0, exporter:stats().queued)
      assert.is_true(waiting:await())
    end)
  end)

  it("do not keep spans from being sent", function()
    co.run(function()
      local collector = receiver.open { {} }
      local exporter = start(collector)
      co.trace.span("s", function() end)
      assert.is_true(exporter:flush(10))
      assert.equal("s", receiver.items(collector, TRACES)[1].name)
      exporter:shutdown(10)
    end)
  end)

  it("have options that are checked", function()
    local function fails(message, options)
      local ok, why = pcall(co.run, function() otlp.start(options) end)
      assert.is_false(ok)
      assert.equal("bad argument #1 to 'start' (" .. message .. ")", tostring(why):match "bad argument[^\n]*")
    end
    fails("option 'metrics': boolean expected, got number", { metrics = 1 })
    fails("option 'metrics_period': number expected, got string", { metrics_period = "60" })
    fails("option 'metrics_period': number above 0 expected, got 0", { metrics_period = 0 })
    fails("option 'metrics_period': number above 0 expected, got -1", { metrics_period = -1 })
  end)
end)
