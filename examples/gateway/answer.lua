--- A request's task, and what becomes of it: the same for all servers. A server gives `format(status, value,
--- headers)`, which makes its response of an answer, and raises if the value is none of JSON.

local co = require "coropanic"
local routes = require "routes"
local service = require "service"

-- The work on a request has this long; then it is unwound, wherever it waits, and answered for.
local REQUEST_SECONDS = 2

local NAME_BYTES = 80 -- of a request's line as its task's name: paths may be long

local answer = {}

local function explain(record, status, message, format)
  service.report(record)
  return format(status, { error_code = record.error_code, message = message, trace_id = record.trace_id })
end

local function work(gateway, request, format)
  local in_time, status, value, headers = co.with_timeout(REQUEST_SECONDS, routes.answer, gateway, request)
  if not in_time then
    return explain(status, 504, "the request took too long", format)
  end
  local response = format(status, value, headers) -- nobody recovers its panic: it ends this task
  return response -- not a tail call, so that a report says where the panic came through
end

--- Spawns the task of a request.
function answer.begin(gateway, request, format)
  local name = (request.method .. " " .. request.path):sub(1, NAME_BYTES)
  local attributes = { ["http.request.method"] = request.method, ["url.path"] = request.path } -- of its span
  return co.spawn_with({ name = name, attributes = attributes }, work, gateway, request, format)
end

--- Waits for the task that `begin` has returned, and returns its response.
function answer.await(task, format)
  local ok, result = task:join()
  if ok then
    return result
  end
  -- Joined, so it is ours to report; the client gets the id by which we find the report, and no more.
  return explain(result, 500, "internal error", format)
end

return answer
