-- coropanic.export.otlp, against a collector that holds every message against OTLP's official definitions.

local co = require "coropanic"
local otlp = require "coropanic.export.otlp"
local receiver = require "spec.export.receiver"
local sender = require "coropanic.export.otlp.sender"

local PROTOCOLS = { "http/json", "http/protobuf" }

local TRACES, LOGS = "/v1/traces", "/v1/logs"

local function values_of(list)
  local values = {}
  for _, item in ipairs(list or {}) do
    local _, value = next(item.value)
    values[item.key] = value
  end
  return values
end

--- Runs a program whose panics are not written to stderr.
local function silently(fn)
  local before = co.on_panic(function() end)
  local ok, why = pcall(co.run, fn)
  co.on_panic(before)
  if not ok then error(why, 0) end
end

local function start(collector, options)
  options = options or {}
  options.endpoint = collector.endpoint
  options.schedule_delay = options.schedule_delay or 3600 -- flush says when
  return otlp.start(options)
end

setup(receiver.start)
teardown(receiver.stop)

for _, protocol in ipairs(PROTOCOLS) do
  describe("coropanic.export.otlp, by " .. protocol .. ",", function()
    it("sends spans", function()
      silently(function()
        local collector = receiver.open { {} }
        local exporter = start(collector, {
          protocol = protocol,
          resource = { ["service.name"] = "shop", workers = 4 },
          scope = { name = "shop", version = "2" },
          headers = { ["X-Api-Key"] = "secret" },
        })
        local here
        co.trace.span("price", { kind = "client" }, function() here = co.trace.current() end)
        co.trace.continue({ traceparent = ("00-%032x-%016x-01"):format(5, 6), tracestate = "a=1" },
          co.trace.span, "continued", function() end)
        assert.is_true(exporter:flush(10))
        local request = receiver.requests(collector)[1]
        assert.equal(TRACES, request.path)
        assert.equal("secret", request.headers["x-api-key"])
        assert.equal("coropanic-otlp-exporter", request.headers["user-agent"])
        assert.equal(collector.endpoint:match "//([^/]+)", request.headers.host)
        local of_resource = request.message.resourceSpans[1]
        assert.same({
          ["service.name"] = "shop", workers = "4",
          ["telemetry.sdk.name"] = "coropanic", ["telemetry.sdk.language"] = "lua",
        }, values_of(of_resource.resource.attributes))
        assert.same({ name = "shop", version = "2" }, of_resource.scopeSpans[1].scope)
        local price, continued = table.unpack(receiver.items(collector, TRACES))
        assert.equal("price", price.name)
        assert.equal(3, price.kind)
        assert.equal(3, price.flags)
        assert.equal(here.trace_id, price.traceId)
        assert.equal(here.span_id, price.spanId)
        assert.equal(here.parent_span_id, price.parentSpanId)
        assert.is_nil(price.status)
        assert.equal(("%032x"):format(5), continued.traceId)
        assert.equal("a=1", continued.traceState)
        assert.equal(1, continued.flags)
        assert.same({ queued = 0, sent = 2, retries = 0, dropped = {} }, exporter:stats())
      end)
    end)

    it("sends attributes of every type as they are", function()
      silently(function()
        local collector = receiver.open { {} }
        local exporter = start(collector, { protocol = protocol })
        co.trace.span("s", { attributes = {
          integer = math.mininteger, zero = 0, float = 0.1 + 0.2, whole = 2.0, tiny = 5e-324,
          infinite = -math.huge, nan = 0 / 0, yes = true, no = false,
          empty = "", zeros = "a\0b", text = "Amélie", bytes = "a\xff\xc3b", list = { 1, 2 }, none = {},
          [""] = "has no name",
        } }, function() end)
        assert.is_true(exporter:flush(10))
        local got = values_of(receiver.items(collector, TRACES)[1].attributes)
        local list = { values = { { intValue = "1" }, { intValue = "2" } } }
        assert.same({
          integer = "-9223372036854775808", zero = "0", float = 0.1 + 0.2, whole = 2, tiny = 5e-324,
          infinite = "-Infinity", nan = "NaN", yes = true, no = false,
          empty = "", zeros = "a\0b", text = "Amélie", bytes = "a\u{FFFD}\u{FFFD}b", list = list, none = {},
        }, got)
      end)
    end)

    it("sends a panic as a log record, and who heard of panics before still does", function()
      local heard
      co.run(function()
        local before = co.on_panic(function(record) heard = record end)
        local collector = receiver.open { {} }
        local exporter = start(collector, { protocol = protocol })
        co.spawn_with({ name = "bad" }, co.panic, { code = "E_IO", message = "no disk" })
        while not heard do
          collectgarbage() -- nobody joins it: that is known when its handle is gone
          co.sleep(0.001)
        end
        assert.is_true(exporter:flush(10))
        local logs = receiver.items(collector, LOGS)
        assert.equal(1, #logs)
        local log = logs[1]
        assert.equal("exception", log.eventName)
        assert.equal(17, log.severityNumber)
        assert.equal("ERROR", log.severityText)
        assert.same({ stringValue = "E_IO: no disk" }, log.body)
        assert.equal(heard.trace_id, log.traceId)
        assert.equal(heard.span_id, log.spanId)
        assert.equal(3, log.flags)
        assert.equal(("%d"):format(heard.time), log.timeUnixNano)
        local values = values_of(log.attributes)
        assert.equal("E_IO", values["exception.type"])
        assert.equal("E_IO: no disk", values["exception.message"])
        assert.equal(tostring(heard), values["exception.stacktrace"])
        assert.equal("panic", values["coro.kind"])
        assert.equal(heard.stack_hash, values["coro.stack_hash"])
        assert.equal(tostring(heard.task.id), values["coro.task.id"])
        assert.equal("bad", values["coro.task.name"])
        assert.same({ values = { { stringValue = "main" } } }, values["coro.task.ancestors"])
        exporter:shutdown(10)
        co.on_panic(before)
      end)
    end)

    it("counts what was taken in part", function()
      silently(function()
        local collector = receiver.open { { partial = { rejectedSpans = 2, errorMessage = "old" } } }
        local exporter = start(collector, { protocol = protocol })
        for i = 1, 3 do co.trace.span("s" .. i, function() end) end
        assert.is_true(exporter:flush(10))
        assert.same({ queued = 0, sent = 1, retries = 0, dropped = { rejected = 2 } }, exporter:stats())
        assert.equal(1, #receiver.requests(collector))
      end)
    end)

    it("takes an answer that is no message for what its status says", function()
      silently(function()
        local collector = receiver.open { { text = "<html>" } }
        local exporter = start(collector, { protocol = protocol })
        co.trace.span("s", function() end)
        assert.is_true(exporter:flush(10))
        assert.equal(1, exporter:stats().sent)
      end)
    end)

    it("sends what is left when the run ends", function()
      local exporter, collector
      silently(function()
        collector = receiver.open { {} }
        exporter = start(collector, { protocol = protocol })
        co.trace.span("last", function() end)
      end)
      local spans = receiver.items(collector, TRACES)
      assert.equal("last", spans[1].name)
      assert.equal(#spans, exporter:stats().sent)
    end)
  end)
end

describe("a panic that passes spans", function()
  --- What is exported of what the body does: logs and spans.
  local function export(options, body)
    local collector, logs, spans
    silently(function()
      collector = receiver.open { {} }
      local exporter = start(collector, options)
      body(exporter)
      assert.is_true(exporter:flush(10))
      logs, spans = receiver.items(collector, LOGS), receiver.items(collector, TRACES)
      exporter:shutdown(10)
    end)
    return logs, spans
  end

  local function fail_in_spans()
    local task = co.spawn_with({ name = "bad" }, function()
      co.trace.span("outer", function()
        co.trace.span("inner", function() error("boom", 0) end)
      end)
    end)
    assert.is_false((task:join()))
  end

  it("is one log record, under the innermost span, also when somebody deals with it", function()
    local logs, spans = export({}, fail_in_spans)
    assert.equal(1, #logs)
    assert.equal("boom", logs[1].body.stringValue)
    assert.equal("bad", values_of(logs[1].attributes)["coro.task.name"])
    assert.same({ "inner", "outer", "bad" }, { spans[1].name, spans[2].name, spans[3].name })
    assert.equal(spans[1].spanId, logs[1].spanId)
    for _, span in ipairs(spans) do
      assert.same({ code = 2, message = "boom" }, span.status)
      assert.is_nil(span.events)
    end
  end)

  it("is an event of each span, as an option", function()
    local logs, spans = export({ span_events = true }, fail_in_spans)
    assert.same({}, logs)
    for i = 1, 3 do
      assert.equal(1, #spans[i].events)
      assert.equal("exception", spans[i].events[1].name)
      local values = values_of(spans[i].events[1].attributes)
      assert.equal("coropanic.error", values["exception.type"])
      assert.equal("boom", values["exception.message"])
      assert.matches("^panic: boom", values["exception.stacktrace"])
    end
  end)

  it("is a log record when pcall has stopped it before it had one", function()
    local logs = export({}, function() pcall(co.trace.span, "s", error, "boom", 0) end)
    assert.equal(1, #logs)
    assert.equal("exception", logs[1].eventName)
    assert.equal(17, logs[1].severityNumber)
    assert.equal("boom", values_of(logs[1].attributes)["exception.message"])
  end)

  it("has a severity by its kind", function()
    local function severity_of(record)
      local logs = export({}, function(exporter) exporter:record(record) end)
      return { logs[1].severityNumber, logs[1].severityText }
    end
    local records, _ = {}, nil
    co.run(function()
      _, records.panic = co.pcall(co.panic, "x")
      _, records.error = co.pcall(error, "x")
      _, records.timeout = co.with_timeout(0.001, co.sleep, 10)
      local task = co.spawn(co.sleep, 10)
      co.yield()
      task:cancel()
      _, records.cancelled = task:join()
      _, records.goexit = co.spawn(co.goexit):join()
      co.spawn(function() co.chan():recv() end)
      co.yield()
      _, records.leaked = co.leaks({ leaked = "cancel" })[1]:join()
    end)
    _, records.deadlock = pcall(co.run, co.await, function() end)
    local expected = {
      panic = { 17, "ERROR" }, error = { 17, "ERROR" }, timeout = { 13, "WARN" },
      cancelled = { 9, "INFO" }, goexit = { 9, "INFO" }, deadlock = { 21, "FATAL" },
      leaked = { 13, "WARN" },
    }
    for kind, severity in pairs(expected) do
      assert.equal(kind, records[kind].kind)
      assert.same(severity, severity_of(records[kind]), kind)
    end
  end)
end)

describe("events", function()
  it("are logs, or in their spans", function()
    for _, with in ipairs { false, true } do
      silently(function()
        local collector = receiver.open { {} }
        local exporter = start(collector, { span_events = with })
        co.trace.span("s", function() co.trace.event("miss", { level = 2 }) end)
        assert.is_true(exporter:flush(10))
        local logs, spans = receiver.items(collector, LOGS), receiver.items(collector, TRACES)
        assert.equal(with and 0 or 1, #logs)
        local event = with and spans[1].events[1] or logs[1]
        assert.equal("miss", event.name or event.eventName)
        assert.same({ level = "2" }, values_of(event.attributes))
        if not with then
          assert.equal(spans[1].spanId, event.spanId)
          assert.equal(9, event.severityNumber)
        end
        exporter:shutdown(10)
      end)
    end
  end)
end)

describe("the exporter", function()
  --- Sends one span to a collector that answers so: the exporter's figures, and how often it was asked.
  local function outcome(answers, options)
    local stats, count
    silently(function()
      local collector = receiver.open(answers)
      local exporter = start(collector, options)
      co.trace.span("s", function() end)
      assert.is_true(exporter:flush(60))
      stats, count = exporter:stats(), #receiver.requests(collector)
      exporter:shutdown(10)
    end)
    return stats, count
  end

  local AT_ONCE = { ["retry-after"] = "0" }

  it("tries again when it is asked to come later", function()
    local stats, count = outcome {
      { status = 429, headers = AT_ONCE },
      { status = 503, headers = { ["retry-after"] = "Fri, 31 Dec 1999 23:59:59 GMT" } },
      { status = 502, headers = AT_ONCE },
      { status = 504, headers = AT_ONCE },
      {},
    }
    assert.same({ queued = 0, sent = 1, retries = 4, dropped = {} }, stats)
    assert.equal(5, count)
  end)

  it("tries again when the collector hangs up", function()
    local stats, count = outcome { { hangUp = true }, {} }
    assert.same({ queued = 0, sent = 1, retries = 1, dropped = {} }, stats)
    assert.equal(2, count)
  end)

  it("does not try again what was refused", function()
    for _, status in ipairs { 400, 404, 413, 500, 301 } do
      local stats, count = outcome { { status = status } }
      assert.same({ queued = 0, sent = 0, retries = 0, dropped = { ["HTTP " .. status] = 1 } }, stats)
      assert.equal(1, count)
    end
  end)

  it("gives up after a while, and counts what is lost", function()
    local later = { status = 503, headers = { ["retry-after"] = "100" } }
    local stats = outcome({ later }, { max_elapsed = 5 })
    assert.same({ queued = 0, sent = 0, retries = 0, dropped = { ["HTTP 503"] = 1 } }, stats)
    stats = outcome({ { never = true } }, { timeout = 0.05, max_elapsed = 0.01 })
    assert.same({ queued = 0, sent = 0, retries = 0, dropped = { ["time-out"] = 1 } }, stats)
  end)

  it("holds nobody up while the collector is slow, or down", function()
    local slow = function() return receiver.open { { never = true } } end
    local down = function() return { endpoint = "http://127.0.0.1:1" } end
    for why, open in pairs { ["time-out"] = slow, ["connection refused"] = down } do
      silently(function()
        local collector = open()
        local exporter = start(collector, { timeout = 0.2, max_elapsed = 0.001 })
        co.trace.span("s", function() end)
        local flushed = co.spawn(exporter.flush, exporter, 60)
        local turns = 0
        while exporter:stats().queued > 0 do
          turns = turns + 1
          co.yield()
        end
        assert.is_true(turns > 1)
        assert.is_true(flushed:await())
        assert.equal(1, exporter:stats().dropped[why])
        exporter:shutdown(10)
      end)
    end
  end)

  it("finds a host by its name, whichever of its addresses answers", function()
    local dns = require("socket").dns
    local look_up, asked = dns.getaddrinfo, 0
    -- The collector listens at the second one alone.
    function dns.getaddrinfo(host)
      if host ~= "collector.example" then return look_up(host) end
      asked = asked + 1
      return { { family = "inet", addr = "127.0.0.2" }, { family = "inet", addr = "127.0.0.1" } }
    end
    finally(function() dns.getaddrinfo = look_up end)
    silently(function()
      local collector = receiver.open { {} }
      collector.endpoint = collector.endpoint:gsub("127%.0%.0%.1", "collector.example")
      local exporter = start(collector)
      for _ = 1, 2 do
        co.trace.span("s", function() end)
        assert.is_true(exporter:flush(10))
      end
      assert.equal(2, exporter:stats().sent)
      assert.matches("^collector.example:%d+$", receiver.requests(collector)[1].headers.host)
      exporter:shutdown(10)
    end)
    assert.equal(1, asked) -- later ones would block the loop
  end)

  it("counts what goes to a host that nobody knows, and looks it up again", function()
    silently(function()
      local exporter = start({ endpoint = "http://no-such-host.invalid" }, { max_elapsed = 0.001 })
      co.trace.span("s", function() end)
      assert.is_true(exporter:flush(60))
      assert.equal(1, exporter:stats().dropped["host not found"])
      exporter:shutdown(10)
    end)
  end)

  it("has a bounded queue", function()
    silently(function()
      local collector = receiver.open { {} }
      local exporter = start(collector, { max_queue = 2 })
      for i = 1, 5 do co.trace.span("s" .. i, function() end) end
      local full = { ["queue full"] = 3 }
      assert.same({ queued = 2, sent = 0, retries = 0, dropped = full }, exporter:stats())
      assert.is_true(exporter:flush(10))
      assert.equal(2, #receiver.items(collector, TRACES))
    end)
  end)

  it("sends in batches, by itself when one is full", function()
    silently(function()
      local collector = receiver.open { {} }
      local exporter = start(collector, { max_batch = 2 })
      for i = 1, 5 do co.trace.span("s" .. i, function() end) end
      while exporter:stats().sent < 5 do co.sleep(0.001) end
      assert.equal(3, #receiver.requests(collector))
      local names = {}
      for i, span in ipairs(receiver.items(collector, TRACES)) do names[i] = span.name end
      assert.same({ "s1", "s2", "s3", "s4", "s5" }, names)
    end)
  end)

  it("sends after a while what is not a batch", function()
    silently(function()
      local collector = receiver.open { {} }
      local exporter = start(collector, { schedule_delay = 0.01 })
      co.trace.span("s", function() end)
      while exporter:stats().sent < 1 do co.sleep(0.001) end
      assert.equal(1, #receiver.items(collector, TRACES))
    end)
  end)

  it("does not export itself", function()
    silently(function()
      local collector = receiver.open { {} }
      local exporter = start(collector)
      co.trace.span("s", function() end)
      exporter:flush(10)
      exporter:flush(10)
      assert.equal(1, #receiver.items(collector, TRACES))
    end)
  end)

  it("ends with shutdown, which sends what is left", function()
    silently(function()
      local collector = receiver.open { {} }
      local mine = {}
      local before = co.trace.on_span(function(span) mine[#mine + 1] = span end)
      local exporter = start(collector)
      co.trace.span("s", function() end)
      assert.is_true(exporter:shutdown(10))
      co.trace.span("after", function() end)
      co.trace.on_span(before)
      assert.equal(2, #mine)
      assert.same({ queued = 0, sent = 1, retries = 0, dropped = {} }, exporter:stats())
      exporter:span(mine[2])
      assert.equal(1, exporter:stats().dropped.stopped)
    end)
  end)

  it("counts what is left when the collector does not answer at the end of the run", function()
    local exporter
    silently(function()
      exporter = start(receiver.open { { never = true } }, { timeout = 0.05 })
      co.trace.span("s", function() end)
    end)
    local stats = exporter:stats()
    assert.equal(0, stats.queued)
    assert.equal(0, stats.sent)
    assert.is_true(stats.dropped["given up"] >= 1)
  end)

  it("sends what comes after it was told to end: late panics, what daemons' deferred calls make", function()
    local sampled = co.trace.sampler "never"
    finally(function() co.trace.sampler(sampled) end)
    local collector
    silently(function()
      collector = receiver.open { {} }
      start(collector)
      co.spawn_with({ daemon = true }, function()
        co.defer(error, "on the way out", 0)
        co.sleep(100)
      end)
      co.yield()
      co.spawn(error, "late", 0)
    end)
    local bodies = {}
    for _, log in ipairs(receiver.items(collector, LOGS)) do bodies[log.body.stringValue] = true end
    assert.same({ ["on the way out"] = true, late = true }, bodies)
  end)

  it("sends the panic of the main task, which co.run raises", function()
    local sampled = co.trace.sampler "never"
    finally(function() co.trace.sampler(sampled) end)
    local collector
    local ok = pcall(silently, function()
      collector = receiver.open { {} }
      start(collector)
      error("main panics", 0)
    end)
    assert.is_false(ok)
    local logs = receiver.items(collector, LOGS)
    assert.equal(1, #logs)
    assert.equal("main panics", logs[1].body.stringValue)
  end)

  for _, kind in ipairs { "always", "ratio" } do
    it("does not export itself, whatever the sampler is: " .. kind, function()
      local sampled = co.trace.sampler(kind, kind == "ratio" and { ratio = 1 } or nil)
      finally(function() co.trace.sampler(sampled) end)
      silently(function()
        local collector = receiver.open { {} }
        local exporter = start(collector)
        co.trace.span("mine", function() end)
        exporter:flush(10)
        exporter:shutdown(10)
        local names = {}
        for _, span in ipairs(receiver.items(collector, TRACES)) do names[#names + 1] = span.name end
        assert.same({ "mine" }, names)
      end)
    end)
  end

  it("takes no longer for shutdown than it is given, and counts the rest", function()
    silently(function()
      local exporter = start(receiver.open { { never = true } }, { timeout = 3600 })
      co.trace.span("s", function() end)
      local flushed = exporter:shutdown(0.05) -- comes back at all
      assert.is_false(flushed)
      assert.equal(0, exporter:stats().queued)
      assert.equal(1, exporter:stats().dropped["given up"])
      assert.is_true(exporter:shutdown(0)) -- nothing is left
    end)
  end)

  it("goes by the shortest time of shutdowns at once", function()
    silently(function()
      local exporter = start(receiver.open { { never = true } }, { timeout = 3600 })
      co.trace.span("s", function() end)
      local long = co.spawn(exporter.shutdown, exporter, 3600)
      exporter:shutdown(0.05)
      assert.is_true((long:join(10)))
    end)
  end)

  it("says what is wrong with its options", function()
    local function fails(message, options)
      silently(function()
        local ok, why = pcall(otlp.start, options)
        assert.is_false(ok)
        assert.equal("bad argument #1 to 'start' (" .. message .. ")", why:match "bad argument.*")
      end)
    end
    fails("table expected, got number", 5)
    fails("unknown option 'x'", { x = 1 })
    fails("option 'timeout': number expected, got string", { timeout = "x" })
    fails("option 'timeout': number above 0 expected, got 0", { timeout = 0 })
    fails("option 'timeout': number above 0 expected, got -nan", { timeout = 0 / 0 })
    fails("option 'max_queue': integer expected, got number", { max_queue = 1.5 })
    fails("option 'max_batch': integer above 0 expected, got 0", { max_batch = 0 })
    for _, endpoint in ipairs { "x", "https://host", "http://", "http://user@host", "http://host?a" } do
      fails("option 'endpoint': http://host:port expected", { endpoint = endpoint })
    end
    fails([[option 'protocol': "http/json" or "http/protobuf" expected]], { protocol = "grpc" })
    fails("option 'resource': names that are strings expected", { resource = { "shop" } })
    fails("option 'headers': string, number or boolean expected for 'x', got table", { headers = { x = {} } })
    for _, scope in ipairs { { name = {} }, { nmae = "x" }, { "x" } } do
      fails("option 'scope': { name = string, version = string } expected", { scope = scope })
    end
    assert.has_error(function() otlp.start {} end,
      "otlp.start outside a task: a task sends what is exported")
  end)

  it("says what is wrong with what it is given by hand", function()
    silently(function()
      local exporter = start(receiver.open { {} })
      local ok, why = pcall(exporter.span, exporter, 5)
      assert.is_false(ok)
      assert.matches("bad argument #1 to 'span' (span expected, got number)", why, 1, true)
      ok, why = pcall(exporter.record, exporter, "x")
      assert.is_false(ok)
      assert.matches("bad argument #1 to 'record' (coropanic.record expected, got string)", why, 1, true)
    end)
  end)
end)

describe("Retry-After", function()
  it("is a number of seconds, or a date", function()
    assert.equal(7, sender.retry_after "7")
    assert.equal(0, sender.retry_after "Fri, 31 Dec 1999 23:59:59 GMT")
    local at = os.time() + 1000
    local seconds = sender.retry_after(os.date("!%a, %d %b %Y %H:%M:%S GMT", at))
    assert.is_true(seconds > 900 and seconds <= 1000)
    assert.is_nil(sender.retry_after "soon")
    assert.is_nil(sender.retry_after(nil))
  end)
end)
