-- coropanic.export.otlp, against a collector of ours.

local cjson = require "cjson"
local co = require "coropanic"
local model = require "coropanic.export.otlp.model"
local otlp = require "coropanic.export.otlp"
local sender = require "coropanic.export.otlp.sender"
local socket = require "coropanic.socket"

local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

local function answer(status, headers, body)
  body = body or ""
  return ("HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n%s"):format(status, #body, headers or "", body)
end

-- Under it no spans are made: the collector's tasks are not to be exported.
local UNSAMPLED = { traceparent = ("00-%032x-%016x-00"):format(2, 2) }

--- A collector in daemon tasks. It keeps what it was sent, and gives the answers in order, the last one for
--- ever; false: it hangs up, "never": it does not answer.
local function start_collector(answers)
  local listener = assert(socket.bind("127.0.0.1", 0))
  local collector = { requests = {}, count = 0 }
  local function serve(connection)
    local line = connection:receive "*l"
    local length = 0
    for header in function() return connection:receive "*l" end do
      if header == "" then break end
      length = tonumber(header:lower():match "^content%-length:%s*(%d+)" or length)
    end
    local body = connection:receive(length)
    collector.count = collector.count + 1
    local reply = answers[math.min(collector.count, #answers)]
    collector.requests[collector.count] = { path = line:match "^POST (%S+)", body = cjson.decode(body) }
    if reply == "never" then co.sleep(math.huge) end
    if reply then connection:send(reply) end
    connection:close()
  end
  co.trace.continue(UNSAMPLED, co.spawn_with, { daemon = true }, function()
    while true do
      local connection = listener:accept()
      co.spawn_with({ daemon = true }, serve, connection)
    end
  end)
  local _, port = listener:getsockname()
  collector.endpoint = "http://127.0.0.1:" .. math.tointeger(tonumber(port))
  return collector
end

--- What a collector has of a signal: spans, or log records, in order.
local function received(collector, path)
  local items = {}
  for _, request in ipairs(collector.requests) do
    if request.path == path then
      local of = (request.body.resourceSpans or request.body.resourceLogs)[1]
      local scoped = (of.scopeSpans or of.scopeLogs)[1]
      for _, item in ipairs(scoped.spans or scoped.logRecords) do items[#items + 1] = item end
    end
  end
  return items
end

local function values_of(list)
  local values = {}
  for _, item in ipairs(list or {}) do
    local _, value = next(item.value)
    values[item.key] = value
  end
  return values
end

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

describe("coropanic.export.otlp", function()
  it("sends spans", function()
    silently(function()
      local collector = start_collector { OK }
      local exporter = start(collector, { resource = { ["service.name"] = "shop", workers = 4 } })
      local here
      local attributes = { sku = 42, fast = true, at = 0.5, of = { "a" } }
      co.trace.span("price", { kind = "client", attributes = attributes }, function()
        here = co.trace.current()
      end)
      assert.is_true(exporter:flush(10))
      local request = collector.requests[1]
      assert.equal("/v1/traces", request.path)
      local resource = request.body.resourceSpans[1].resource
      assert.same({ ["service.name"] = "shop", workers = "4" }, values_of(resource.attributes))
      assert.equal("coropanic", request.body.resourceSpans[1].scopeSpans[1].scope.name)
      local span = received(collector, "/v1/traces")[1]
      assert.equal("price", span.name)
      assert.equal(3, span.kind)
      assert.equal(here.trace_id, span.traceId)
      assert.equal(here.span_id, span.spanId)
      assert.equal(here.parent_span_id, span.parentSpanId)
      assert.matches("^%d+$", span.startTimeUnixNano)
      assert.is_true(span.endTimeUnixNano >= span.startTimeUnixNano)
      assert.same({ sku = "42", fast = true, at = 0.5, of = { values = { { stringValue = "a" } } } },
        values_of(span.attributes))
      assert.same({ queued = 0, sent = 1, retries = 0, dropped = {} }, exporter:stats())
    end)
  end)

  it("sends panics as log records, and who heard of them before still does", function()
    local heard
    co.run(function()
      local before = co.on_panic(function(record) heard = record end)
      local collector = start_collector { OK }
      local exporter = start(collector)
      co.spawn_with({ name = "bad" }, co.panic, { code = "E_IO", message = "no disk" })
      co.yield()
      co.yield()
      collectgarbage()
      collectgarbage()
      while not heard do co.sleep(0.01) end
      assert.is_true(exporter:flush(10))
      local log = received(collector, "/v1/logs")[1]
      assert.equal("exception", log.eventName)
      assert.equal(17, log.severityNumber)
      assert.equal("ERROR", log.severityText)
      assert.equal(heard.trace_id, log.traceId)
      assert.equal(heard.span_id, log.spanId)
      local values = values_of(log.attributes)
      assert.equal("E_IO", values["exception.type"])
      assert.equal("E_IO: no disk", values["exception.message"])
      assert.matches("^panic: E_IO: no disk", values["exception.stacktrace"])
      assert.equal("bad", values["coro.task.name"])
      assert.same({ values = { { stringValue = "main" } } }, values["coro.task.ancestors"])
      exporter:shutdown(10)
      co.on_panic(before)
    end)
  end)

  it("sends events as logs, or in their spans", function()
    for _, with in ipairs { false, true } do
      silently(function()
        local collector = start_collector { OK }
        local exporter = start(collector, { span_events = with })
        co.trace.span("s", function() co.trace.event("miss", { level = 2 }) end)
        pcall(co.trace.span, "bad", co.panic, "x")
        assert.is_true(exporter:flush(10))
        local logs, spans = received(collector, "/v1/logs"), received(collector, "/v1/traces")
        assert.equal(with and 0 or 1, #logs)
        local event = with and spans[1].events[1] or logs[1]
        assert.equal("miss", event.name or event.eventName)
        assert.same({ level = "2" }, values_of(event.attributes))
        assert.equal(2, spans[2].status.code)
        assert.equal(with, spans[2].events ~= nil)
        exporter:shutdown(10)
      end)
    end
  end)

  it("makes of a record what others make of it", function()
    local record = {
      kind = "error", message = "boom", error_code = "E_IO", time = "1700000000123456789", stack_hash = "0",
      trace_id = "4bf92f3577b34da6a3ce929d0e0e4736", span_id = "00f067aa0ba902b7",
      task = { id = 7, name = "w", ancestors = { { name = "main" }, { name = "w1" } } },
    }
    local log = model.record(record, "text", 1700000000123456789)
    assert.equal("1700000000123456789", log.timeUnixNano)
    assert.equal("1700000000123456789", log.observedTimeUnixNano)
    assert.same({ stringValue = "boom" }, log.body)
    assert.equal(1, log.flags)
    local by_key = {}
    for _, item in ipairs(log.attributes) do by_key[item.key] = item.value end
    assert.same({ intValue = "7" }, by_key["coro.task.id"])
    assert.same({ arrayValue = { values = { { stringValue = "main" }, { stringValue = "w1" } } } },
      by_key["coro.task.ancestors"])
  end)

  --- Sends one span to a collector that answers so; returns the exporter's figures.
  local function outcome(answers, options)
    local stats, count
    silently(function()
      local collector = start_collector(answers)
      local exporter = start(collector, options)
      co.trace.span("s", function() end)
      assert.is_true(exporter:flush(60))
      stats, count = exporter:stats(), collector.count
      exporter:shutdown(10)
    end)
    return stats, count
  end

  it("tries again when it is asked to come later", function()
    local past = "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n"
    local stats, count = outcome {
      answer("429 Too Many Requests", "Retry-After: 0\r\n"),
      answer("503 Service Unavailable", past),
      answer("502 Bad Gateway", "Retry-After: 0\r\n"),
      answer("504 Gateway Timeout", "Retry-After: 0\r\n"),
      OK,
    }
    assert.same({ queued = 0, sent = 1, retries = 4, dropped = {} }, stats)
    assert.equal(5, count)
  end)

  it("tries again when the collector hangs up", function()
    local stats = outcome { false, OK }
    assert.same({ queued = 0, sent = 1, retries = 1, dropped = {} }, stats)
  end)

  it("does not try again what was refused", function()
    local stats, count = outcome { answer "400 Bad Request" }
    assert.same({ queued = 0, sent = 0, retries = 0, dropped = { ["HTTP 400"] = 1 } }, stats)
    assert.equal(1, count)
  end)

  it("counts what was taken in part", function()
    local stats, count = outcome { answer("200 OK", "", '{"partialSuccess":{"rejectedSpans":"1"}}') }
    assert.same({ queued = 0, sent = 0, retries = 0, dropped = { rejected = 1 } }, stats)
    assert.equal(1, count)
  end)

  it("gives up after a while, and counts what is lost", function()
    local stats = outcome({ answer("503 Service Unavailable", "Retry-After: 100\r\n") }, { max_elapsed = 5 })
    assert.same({ queued = 0, sent = 0, retries = 0, dropped = { ["HTTP 503"] = 1 } }, stats)
    stats = outcome({ "never" }, { timeout = 0.05, max_elapsed = 0.01 })
    assert.same({ queued = 0, sent = 0, retries = 0, dropped = { ["time-out"] = 1 } }, stats)
  end)

  it("does not hold others up while the collector is down, or slow", function()
    silently(function()
      local ticks = 0
      co.trace.continue(UNSAMPLED, co.spawn_with, { daemon = true }, function()
        while true do
          ticks = ticks + 1
          co.yield()
        end
      end)
      local exporter = start({ endpoint = "http://127.0.0.1:1" }, { max_elapsed = 0.001 })
      co.trace.span("s", function() end)
      assert.is_true(exporter:flush(60))
      assert.is_true(ticks > 1)
      local dropped = exporter:stats().dropped
      assert.equal(1, dropped["connection refused"])
      exporter:shutdown(10)
    end)
  end)

  it("has a bounded queue", function()
    silently(function()
      local collector = start_collector { OK }
      local exporter = start(collector, { max_queue = 2 })
      for i = 1, 5 do co.trace.span("s" .. i, function() end) end
      assert.same({ queued = 2, sent = 0, retries = 0, dropped = { ["queue full"] = 3 } }, exporter:stats())
      assert.is_true(exporter:flush(10))
      assert.equal(2, #received(collector, "/v1/traces"))
    end)
  end)

  it("sends in batches, by itself when one is full", function()
    silently(function()
      local collector = start_collector { OK }
      local exporter = start(collector, { max_batch = 2 })
      for i = 1, 5 do co.trace.span("s" .. i, function() end) end
      while exporter:stats().sent < 5 do co.sleep(0.001) end
      assert.equal(3, collector.count)
      local names = {}
      for i, span in ipairs(received(collector, "/v1/traces")) do names[i] = span.name end
      assert.same({ "s1", "s2", "s3", "s4", "s5" }, names)
    end)
  end)

  it("does not export itself", function()
    silently(function()
      local collector = start_collector { OK }
      local exporter = start(collector)
      co.trace.span("s", function() end)
      exporter:flush(10)
      exporter:flush(10)
      assert.equal(1, #received(collector, "/v1/traces"))
    end)
  end)

  it("ends with shutdown, which sends what is left", function()
    silently(function()
      local collector = start_collector { OK }
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

  it("sends what is left when the run ends", function()
    local exporter
    -- This collector outlives the run.
    local server = assert(io.popen "env -u LD_PRELOAD /usr/bin/python3 spec/export/collector.py 2>/dev/null")
    local port = server:read "n"
    server:read "l"
    silently(function()
      exporter = otlp.start { endpoint = "http://127.0.0.1:" .. port, schedule_delay = 3600 }
      co.trace.span("last", function() end)
    end)
    local body = cjson.decode(server:read "l")
    server:close()
    assert.equal("last", body.resourceSpans[1].scopeSpans[1].spans[1].name)
    assert.equal(1, exporter:stats().sent)
  end)

  it("says what is wrong with its options", function()
    local function fails(message, options)
      silently(function()
        local ok, why = pcall(otlp.start, options)
        assert.is_false(ok)
        assert.matches(message, why, 1, true)
      end)
    end
    fails("bad argument #1 to 'start' (table expected, got number)", 5)
    fails("bad argument #1 to 'start' (unknown option 'x')", { x = 1 })
    fails("bad argument #1 to 'start' (option 'timeout': number expected, got string)", { timeout = "x" })
    fails("bad argument #1 to 'start' (option 'timeout': number above 0 expected, got 0)", { timeout = 0 })
    fails("bad argument #1 to 'start' (option 'endpoint': http://host:port expected)", { endpoint = "x" })
    assert.has_error(function() otlp.start {} end,
      "otlp.start outside a task: a task sends what is exported")
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
