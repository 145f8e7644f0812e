--- The collector of receiver.js, for specs: it holds every message against the official definitions.

local cjson = require "cjson"
local http = require "socket.http"
local ltn12 = require "ltn12"
local server_process = require "spec.server_process"
local socket = require "coropanic.socket"

local receiver = {}

local base, stop

--- Starts the process; once for a whole spec.
function receiver.start()
  local port
  port, stop = server_process.start("node", function(free_port)
    return { "spec/export/receiver.js", tostring(free_port), "build/node/node_modules" }
  end)
  base = ("http://127.0.0.1:%d/"):format(port)
end

function receiver.stop() stop() end

local function request(path, body)
  local answer = {}
  assert(http.request {
    url = base .. path,
    method = body and "POST" or "GET",
    headers = { ["content-length"] = body and #body or 0 },
    source = body and ltn12.source.string(body),
    sink = ltn12.sink.table(answer),
    create = socket.tcp,
  })
  return table.concat(answer)
end

--- A collector that gives these answers, in order, the last one for ever.
---@param answers table[]  # see receiver.js
function receiver.open(answers)
  for i, answer in ipairs(answers) do
    -- An empty table is to be an object.
    answers[i] = next(answer) == nil and { status = 200 } or answer
  end
  local name = request("sessions", cjson.encode(answers))
  return { name = name, endpoint = base .. name }
end

--- What has come so far: an array of { path, contentType, headers, message }. Fails if one was not valid.
function receiver.requests(collector)
  local requests = cjson.decode(request(collector.name))
  for _, got in ipairs(requests) do
    assert(#got.problems == 0, table.concat(got.problems, "\n"))
  end
  return requests
end

-- By path, the names of what stands around the items of a message.
local MESSAGES = {
  ["/v1/traces"] = { "resourceSpans", "scopeSpans", "spans" },
  ["/v1/logs"] = { "resourceLogs", "scopeLogs", "logRecords" },
  ["/v1/metrics"] = { "resourceMetrics", "scopeMetrics", "metrics" },
}

--- What has come of a signal, in order: spans, log records or metrics.
---@param path "/v1/traces" | "/v1/logs" | "/v1/metrics"
function receiver.items(collector, path)
  local items = {}
  local of_resource, of_scope, of_items = table.unpack(MESSAGES[path])
  for _, got in ipairs(receiver.requests(collector)) do
    if got.path == path then
      local scoped = got.message[of_resource][1][of_scope][1]
      for _, item in ipairs(scoped[of_items]) do items[#items + 1] = item end
    end
  end
  return items
end

return receiver
