-- What others read of our metrics: Prometheus, promtool, and the parser of Prometheus' client for Python.
-- luacheck: no max line length
local co = require "coropanic"
local cjson = require "cjson"
local http = require "socket.http"
local ltn12 = require "ltn12"
local metrics = require "coropanic.metrics"
local server_process = require "spec.server_process"
local socket = require "coropanic.socket"

local OPENMETRICS = "application/openmetrics-text;version=1.0.0"

--- Runs a command with a text as its input. Returns its output, and whether it succeeded.
local function run(command, input)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(input)
  file:close()
  local pipe = assert(io.popen(("env -u LD_PRELOAD %s <%s 2>&1"):format(command, path)))
  local output = pipe:read "a"
  local ok = pipe:close()
  os.remove(path)
  return output, ok
end

local PARSER = [[/usr/bin/python3 -c '
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
for family in parse(sys.stdin.buffer.read().decode()):
    for s in family.samples:
        if family.name.startswith("o_"):
            e = s.exemplar
            print(s.name, sorted(s.labels.items()), s.value, e.labels["trace_id"] if e else "-")
']]

--- Metrics of each kind, with what is hard to write.
local function count()
  local routes = metrics.counter("o_requests", { help = "All \\ \"of\"\nthem.", labels = { "route" } })
  for _, route in ipairs { "/", 'a"b', "back\\slash", "two\nlines", "\u{1f600}", "\255", "" } do
    routes:inc(2.5, { route = route })
  end
  local g = metrics.gauge("o_load", { labels = { "cpu" } })
  for i, value in ipairs { 1e300, -1e-300, math.huge, -math.huge, 0 / 0, math.mininteger, 2 ^ 53 } do
    g:set(value, { cpu = i })
  end
  local h = metrics.histogram("o_latency_seconds", { unit = "seconds", help = "Time." })
  for i = 1, 100 do
    h:observe(i / 100)
  end
  metrics.info("o_build", { labels = { "version" } }):set { version = "1.0" }
end

describe("the parser of OpenMetrics", function()
  it("reads every family, value, label and exemplar", function()
    local trace_id
    co.run(function()
      trace_id = co.trace.current().trace_id
      count()
    end)
    local output, ok = run(PARSER, (metrics.expose(OPENMETRICS)))
    assert.is_truthy(ok, output)
    local function has(line) assert.is_truthy(output:find(line .. "\n", 1, true), line .. " in\n" .. output) end
    has("o_requests_total [('route', 'a\"b')] 2.5 " .. trace_id)
    has("o_requests_total [('route', 'two\\nlines')] 2.5 " .. trace_id)
    has("o_requests_total [('route', 'back\\\\slash')] 2.5 " .. trace_id)
    has("o_load [('cpu', '1')] 1e+300 -")
    has("o_load [('cpu', '5')] nan -")
    has("o_load [('cpu', '6')] -9223372036854775808 -")
    has "o_latency_seconds_count [] 100 -"
    has("o_latency_seconds_bucket [('le', '0.25')] 25 " .. trace_id)
    has "o_build_info [('version', '1.0')] 1 -"
  end)

  it("refuses what is cut off, as nothing is after the end", function()
    local body = metrics.expose(OPENMETRICS)
    local _, ok = run(PARSER, body:sub(1, -7))
    assert.is_falsy(ok)
  end)
end)

describe("promtool", function()
  it("has nothing to say about the text format", function()
    count()
    local output, ok = run("promtool check metrics", (metrics.expose()))
    -- What it says about the choice of names and of help is no fault of the format.
    assert.is_nil(output:find("error while linting", 1, true), output)
    for line in output:gmatch "[^\n]+" do
      assert.is_truthy(line:find "^o_" or line:find "^t_", line)
    end
    assert.is_truthy(ok or output ~= "", output)
  end)
end)

--- Answers GET /metrics on a free port, in tasks.
local function serve()
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  local accepted = {}
  local task = co.spawn_with({ name = "metrics", daemon = true }, function()
    while true do
      local client = assert(listener:accept())
      co.spawn_with({ daemon = true }, function()
        local header
        repeat
          local line = client:receive "*l"
          if line and line:lower():find "^accept:" then header = line:match "^[^:]*:%s*(.*)$" end
        until line == nil or line == ""
        accepted[#accepted + 1] = header
        local body, content_type = metrics.expose(header)
        client:send(("HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"):format(
          content_type, #body, body))
        client:close()
      end)
    end
  end)
  return port, accepted, function()
    task:cancel()
    listener:close()
  end
end

local function start_prometheus(target)
  local directory = io.popen("mktemp -d"):read "l"
  local config = assert(io.open(directory .. "/prometheus.yml", "w"))
  config:write(([[
global: {scrape_interval: 1s}
scrape_configs: [{job_name: spec, static_configs: [{targets: ['127.0.0.1:%d']}]}]
]]):format(target))
  config:close()
  local port, stop = server_process.start("prometheus", function(free_port)
    return {
      "--config.file=" .. directory .. "/prometheus.yml", "--storage.tsdb.path=" .. directory .. "/data",
      "--web.listen-address=127.0.0.1:" .. free_port, "--enable-feature=exemplar-storage", "--log.level=error",
    }
  end)
  return port, function()
    stop()
    os.execute("rm -r " .. directory)
  end
end

--- Asks Prometheus until `find` returns something of its answer, for at most 60 seconds.
local function ask(port, path, find)
  local answer
  for _ = 1, 300 do
    local chunks = {}
    http.request {
      url = ("http://127.0.0.1:%d/api/v1/%s"):format(port, path),
      sink = ltn12.sink.table(chunks),
      create = socket.tcp,
    }
    answer = table.concat(chunks)
    local ok, decoded = pcall(cjson.decode, answer)
    local found = ok and decoded.data and find(decoded.data)
    if found then return found end
    co.sleep(0.2)
  end
  error("Prometheus answers " .. answer)
end

describe("Prometheus", function()
  it("scrapes metrics, and returns quantiles and exemplars", function()
    co.run(function()
      local trace_id = co.trace.current().trace_id
      local h = metrics.histogram("o_prometheus_seconds", { unit = "seconds" })
      for i = 1, 100 do
        h:observe(i / 100)
      end
      metrics.counter("o_prometheus"):inc(42)
      local target, accepted, stop_serving = serve()
      local port, stop_prometheus = start_prometheus(target)
      co.defer(stop_serving)
      co.defer(stop_prometheus)
      local function value(data) return data.result and data.result[1] and data.result[1].value[2] end
      assert.equal("1", ask(port, "query?query=up", function(data) return value(data) == "1" and "1" end))
      assert.equal("42", ask(port, "query?query=o_prometheus_total", value))
      local q = ask(port, "query?query=histogram_quantile(0.5,o_prometheus_seconds_bucket)", value)
      assert.is_true(math.abs(tonumber(q) - 0.5) < 0.01, q)
      assert.is_truthy(ask(port, "query?query=coropanic_tasks_spawned_total", value))
      local now = os.time()
      local query = ("query_exemplars?query=o_prometheus_seconds_bucket&start=%d&end=%d"):format(now - 600, now + 600)
      local exemplar = ask(port, query, function(data) return data[1] and data[1].exemplars[1] end)
      assert.equal(trace_id, exemplar.labels.trace_id)
      assert.is_truthy(accepted[1]:find("openmetrics", 1, true))
    end)
  end)
end)
