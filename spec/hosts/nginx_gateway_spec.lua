--- examples/nginx, with its own configuration but for ports and folders: the requests of the gateway's demo,
--- all at once, each held against what examples/gateway/plan.lua says.

package.path = package.path .. ";./examples/gateway/?.lua"
local cjson = require "cjson"
local co = require "coropanic"
local helpers = require "spec.helpers"
local nginx_process = require "spec.hosts.nginx_process"
local plan = require "plan"
local redis_server = require "spec.io.redis_server"
local socket = require "coropanic.socket"

local CLIENTS = 32
local TOKENS = { alice = "valid", bob = "valid", trial = "valid", expired = "expired" }

local function tell_redis(port)
  local connection = assert(require("socket").connect("127.0.0.1", port))
  for token, state in pairs(TOKENS) do
    assert(connection:send(("SET token:%s %s\r\n"):format(token, state)))
    assert.equal("+OK", connection:receive "*l")
  end
  connection:close()
end

--- The text of a planned request.
local function text_of(planned)
  local kind = planned.kind
  local method = kind.method or kind.body and "POST" or "GET"
  local lines = { ("%s %s HTTP/1.0"):format(method, kind.path), "Host: a" }
  if kind.token then lines[#lines + 1] = "Authorization: Bearer " .. kind.token end
  if planned.trace_id then
    lines[#lines + 1] = ("traceparent: 00-%s-%s-01"):format(planned.trace_id, planned.parent_id)
    lines[#lines + 1] = "tracestate: " .. plan.TRACESTATE
  elseif kind.trace ~= "none" then
    for header in kind.trace:gmatch "[^\n]+" do lines[#lines + 1] = header end
  end
  if kind.body then lines[#lines + 1] = "Content-Length: " .. #kind.body end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (kind.body or "")
end

describe("examples/nginx", function()
  local nginx, stop_redis

  setup(function()
    local redis_port
    redis_port, stop_redis = redis_server.start()
    tell_redis(redis_port)
    nginx = nginx_process.start("examples/nginx/nginx.conf", function(text, values)
      local changes = {
        ["$prefix"] = values.here, ["build/nginx"] = values.folder,
        ["stderr"] = values.folder .. "/error.log",
        ["8080"] = tostring(values.port), ["env REDIS_PORT"] = "env REDIS_PORT=" .. redis_port,
        ["daemon off;"] = "daemon off; user " .. values.user .. ";",
        ["worker_processes 2"] = "worker_processes 1", -- so that one has all counts
      }
      for from, to in pairs(changes) do
        local count
        text, count = text:gsub(from:gsub("%p", "%%%0"), (to:gsub("%%", "%%%%")))
        assert.is_true(count > 0, from)
      end
      return text
    end)
  end)

  teardown(function()
    nginx:stop()
    stop_redis()
  end)

  --- Sends it, and returns its status, the answer, and the body as text.
  local function ask(text)
    local connection = assert(socket.connect("127.0.0.1", nginx.port))
    assert(connection:send(text))
    local answer = assert(connection:receive "*a")
    connection:close()
    local status, body = answer:match "^HTTP/1.1 (%d+).-\r\n\r\n(.*)$"
    return tonumber(status), cjson.decode(body)
  end

  --- Sends them, many at a time, and returns their answers in the same order.
  local function ask_all(requests)
    local answers, next_one = {}, 0
    co.run(function()
      for _ = 1, CLIENTS do
        co.spawn(function()
          while next_one < #requests do
            next_one = next_one + 1
            local i = next_one
            local status, json = ask(text_of(requests[i]))
            answers[i] = { status = status, json = json }
          end
        end)
      end
    end)
    return answers
  end

  local function planned_requests()
    local result = {}
    for _, planned in ipairs((plan.requests())) do
      if planned.kind.path then result[#result + 1] = planned end
    end
    return result
  end

  --- The text of each report in the log, by trace id. nginx cuts long ones into pieces.
  local function read_reports()
    local reports = {}
    for report in ("\n" .. nginx:log()):gmatch "%d+#%d+: %*%d+ (.-), client: " do
      local id = report:match "trace (%x+)" -- the first piece has it
      if id then reports[id] = (reports[id] or "") .. report .. "\n" end
    end
    return reports
  end

  local function assert_answered(planned, answer, granted)
    local kind = planned.kind
    local who = kind.what .. ": " .. cjson.encode(answer.json)
    if kind.granted and answer.status == 200 then
      granted[kind] = (granted[kind] or 0) + 1
      return
    end
    assert.equal(kind.status, answer.status, who)
    if kind.code then assert.equal(kind.code, answer.json.error_code, who) end
    if planned.trace_id then assert.equal(planned.trace_id, answer.json.trace_id, who) end
    if answer.json.headers then
      helpers.assert_contains("00-" .. planned.trace_id .. "-", answer.json.headers.traceparent)
      assert.equal(plan.TRACESTATE, answer.json.headers.tracestate)
    end
  end

  it("answers what the demo asks, and reports each panic once under its request's trace", function()
    local requests = planned_requests()
    local answers, granted = ask_all(requests), {}
    assert.is_true(#requests > 400)
    for i, planned in ipairs(requests) do assert_answered(planned, answers[i], granted) end
    for kind, count in pairs(granted) do assert.equal(kind.granted, count, kind.what) end

    local reports = read_reports()
    for i, planned in ipairs(requests) do
      local id, expected = answers[i].json.trace_id, planned.kind.report
      local report = reports[id]
      reports[id] = nil
      if expected then
        helpers.assert_contains(expected, tostring(report))
        assert.equal(1, select(2, report:gsub(expected:gsub("%p", "%%%0"), "")), report)
        assert.is_nil(report:match "%S*semaphore%.lua%S*" or report:match "%S*coropanic/nginx%.lua%S*")
      else
        assert.is_nil(report, planned.kind.what)
      end
    end
    assert.same({}, reports)

    local _, stats = co.run(ask, "GET /stats HTTP/1.0\r\nHost: a\r\n\r\n")
    assert.equal(stats.slots.taken, stats.slots.given_back)
    assert.equal(0, stats.slots.in_use)
    assert.equal(#requests, stats.requests)
  end)
end)
