--- The service on coropanic's luasocket: a task for each connection, and one for each of its requests, under
--- the trace that it came with. HTTP is the example's, examples/gateway/http.lua.

package.path = "examples/gateway/?.lua;" .. package.path

local co = require "coropanic"
local http = require "http"
local service = require "gateway.service"
local socket = require "coropanic.socket"

local answer = service.new(co.semaphore, co.yield)

---@return Request?  # nil: the client has left, or what it sends is no request
local function read_request(client)
  local lines = {}
  repeat
    local line = client:receive "*l"
    if not line then return nil end
    lines[#lines + 1] = line
  until line == "" or #lines > http.MAX_HEADERS
  lines[#lines] = nil
  local request = http.parse_head(table.concat(lines, "\r\n"))
  if request and request.length > 0 then
    request.body = client:receive(request.length)
    if not request.body then return nil end
  end
  return request
end

local function respond(request)
  local status, body = answer(request.method, request.path)
  return { status = status, body = body, headers = {} }
end

local function converse(client)
  co.defer(client.close, client)
  client:settimeout(service.IDLE_SECONDS, "t")
  client:setoption("tcp-nodelay", true)
  for request in read_request, client do
    local response = co.trace.continue(request.headers, co.spawn, respond, request):await()
    if not client:send(http.format(response, { keep_alive = request.keep_alive, without_body = false })) then
      return
    end
    if not request.keep_alive then return end
  end
end

co.run(function()
  local listener = assert(socket.bind(service.HOST, 0, service.BACKLOG))
  local _, port = listener:getsockname()
  print(port)
  io.stdout:flush()
  while true do
    local client = assert(listener:accept())
    co.spawn_with({ detached_trace = true }, converse, client)
  end
end)
