--- One connection is one task; each request on it is a task of its own, born under its caller's trace.

local answer = require "answer"
local co = require "coropanic"
local http = require "http"
local stream = require "stream"

-- A client has this long to begin a request, to send all of it, and to take the answer.
local IDLE_SECONDS = 10
local READ_SECONDS = 5
local WRITE_SECONDS = 5

local connection = {}

--- The open connections; `idle` ones wait for a request to begin.
---@type table<Stream, { task: table|false, idle: boolean }>
local open = {}
local all = co.waitgroup() -- of the connections

---@return Request?, Problem?  # nil, nil: the client has left
local function read_request(socket, state)
  local head, rest = http.take_head(socket.buffer)
  state.idle = socket.buffer == ""
  socket:limit(state.idle and IDLE_SECONDS or READ_SECONDS)
  while not head do
    if rest then
      return nil, rest
    end
    local more, err = socket:fill()
    if not more then
      local late = err == "ETIMEDOUT" and not state.idle
      return nil, late and { status = 408, message = "the request took too long to arrive" } or nil
    end
    if state.idle then
      state.idle = false
      socket:limit(READ_SECONDS)
    end
    head, rest = http.take_head(socket.buffer)
  end

  local request, problem = http.parse_head(head)
  if not request then
    return nil, problem
  end
  if request.expects_continue then
    socket:write("HTTP/1.1 100 Continue\r\n\r\n")
  end
  socket.buffer = rest
  while #socket.buffer < request.length do
    if not socket:fill() then
      local message = "the body is shorter than Content-Length says"
      return nil, { status = 408, message = message, headers = request.headers }
    end
  end
  request.body = socket.buffer:sub(1, request.length)
  socket.buffer = socket.buffer:sub(request.length + 1)
  return request
end

---@return Response
local function respond(gateway, request)
  local task = co.trace.continue(request.headers, answer.begin, gateway, request, http.response)
  return answer.await(task, http.response)
end

---@param problem Problem
local function explain(problem)
  return http.response(problem.status, {
    error_code = "HTTP_" .. problem.status, message = problem.message, trace_id = co.trace.current().trace_id,
  })
end

--- Answers for what is not served, under the caller's trace too, where it could be read.
---@param problem Problem
---@return Response
local function turn_away(problem)
  return co.trace.continue(problem.headers or {}, explain, problem)
end

local function converse(gateway, socket, state)
  local keep_alive
  repeat
    local request, problem = read_request(socket, state)
    if not request and not problem then
      return
    end
    local response = request and respond(gateway, request) or turn_away(problem)
    gateway.requests = gateway.requests + 1
    keep_alive = request ~= nil and request.keep_alive and not gateway.draining
    socket:limit(WRITE_SECONDS)
    local sent = socket:write(http.format(response, {
      keep_alive = keep_alive, without_body = request ~= nil and request.method == "HEAD",
    }))
    if not sent then
      return
    end
  until not keep_alive
  socket:finish()
end

local function forget(gateway, socket)
  socket:close()
  open[socket] = nil
  gateway.connections = gateway.connections - 1
  all:done()
end

local function begin(gateway, socket, state, peer)
  local ending = setmetatable({}, { __close = function() forget(gateway, socket) end })
  state.task = co.spawn_with({ name = "connection " .. peer, detached_trace = true }, function()
    local _ <close> = ending -- made before: to defer a call here takes memory, which there may be none of
    converse(gateway, socket, state)
  end)
end

--- Spawns the task of a new connection. May be called outside tasks. If it raises, the socket is closed.
---@param gateway Gateway
---@param handle any  # a connected socket of luv
---@param peer string # who it is, for reports
function connection.spawn(gateway, handle, peer)
  local socket = stream.new(handle)
  local state = { idle = true, task = false } -- room for the task: once it is spawned, nothing may fail
  open[socket] = state
  local begun, problem = pcall(begin, gateway, socket, state, peer)
  if not begun then
    open[socket] = nil
    socket:close()
    error(problem, 0)
  end
  gateway.connections = gateway.connections + 1
  all:add()
end

--- Lets the connections end: those that wait for a request at once, the others after the answer that they
--- work on. What has not ended in `seconds` is cancelled, and named.
---@param seconds number
---@return string[] late  # names of connections
function connection.drain(seconds)
  for _, state in pairs(open) do
    if state.idle then
      state.task:cancel("the gateway is draining")
    end
  end
  local late = {}
  if not all:wait(seconds) then
    for _, state in pairs(open) do
      table.insert(late, state.task.name)
      state.task:cancel("the gateway has waited long enough")
    end
    all:wait() -- for their deferred calls
  end
  return late
end

return connection
