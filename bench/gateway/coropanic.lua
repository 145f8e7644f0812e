--- The service on coropanic's luasocket: a task for each connection, and one for each of its requests, under
--- the trace that it came with. HTTP is the example's, examples/gateway/http.lua.

package.path = "examples/gateway/?.lua;" .. package.path

local co = require "coropanic"
local http = require "http"
local service = require "gateway.service"
local socket = require "coropanic.socket"

collectgarbage(arg[1]) -- "generational" or "incremental"

local answer = service.new(co.semaphore, co.yield)

---@return string?  # nil: the client has left, or sends more than a head
local function read_head(client)
  local lines = {}
  for i = 1, http.MAX_HEADERS + 2 do -- the request line, and the empty one
    local line = client:receive "*l"
    if not line then return nil end
    if line == "" then return table.concat(lines, "\r\n") end
    lines[i] = line
  end
end

---@return Request?  # nil: the connection is to be closed
local function read_request(client)
  local head = read_head(client)
  local request = head and http.parse_head(head)
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
