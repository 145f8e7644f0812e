--- The server of coropanic.debug: a listener and at most MAX_CONNECTIONS connections, each a task. All of
--- them are watchers (docs/running.md): they keep no run going.

local co = require "coropanic"
local http = require "coropanic.debug.http"
local routes = require "coropanic.debug.routes"

local server = {}

server.MAX_CONNECTIONS = 8
server.IDLE_SECONDS = 5 -- for a request to come, and for all of its head

local LONG_BODY = 65536 -- bytes; sending so many is a slice of its own
local WRITE_SECONDS = 10 -- for a client to take a part of an answer
local MAX_REQUESTS = 1000 -- on one connection
local READ_BYTES = 4096
local LINGER_SECONDS = 1
local MAX_LINGER = 64 -- reads

---@class coropanic.debug.server
---@field host string
---@field port integer
---@field address string  # "127.0.0.1:6669"
---@field url string  # with the token, if there is one
local Server = {}
Server.__index = Server

local function spawn(name, fn, ...)
  return co.spawn_with({
    name = name, watcher = true, detached_trace = true, context = co.context.background(),
  }, fn, ...)
end

-- A connection ----------------------------------------------------------------------------------------------

--- Adds the bytes that have come. Returns false if the client has gone, or does not send in time.
local function fill(connection, deadline)
  local left = deadline - co.now()
  local is_there = connection.socket:dirty() -- luasocket may have read more than it has returned
  if left <= 0 or not is_there and not co.wait_fd(connection.socket, "r", left) then return false end
  connection.socket:settimeout(0)
  local data, err, part = connection.socket:receive(READ_BYTES)
  data = data or part
  connection.bytes = connection.bytes .. data
  return err ~= "closed" or data ~= ""
end

--- Returns the next request; nil and an answer if it can not be taken, or nil alone if none comes.
local function next_request(connection)
  local deadline = co.now() + server.IDLE_SECONDS
  while true do
    local head, rest = http.take_head(connection.bytes)
    if head then
      connection.bytes = rest
      return http.parse_head(head)
    elseif rest then
      return nil, rest
    elseif not fill(connection, deadline) then
      local late = connection.bytes ~= "" and co.now() >= deadline
      return nil, late and http.refuse(408, "the request took too long to arrive") or nil
    end
  end
end

--- Sends; returns false if the client does not take it in time, or has gone.
local function send(connection, bytes)
  connection.socket:settimeout(WRITE_SECONDS, "t")
  return connection.socket:send(bytes) ~= nil
end

local function send_response(connection, request, response, keep_alive)
  local without_body = request and request.method == "HEAD" or response.status == 304
  local head = http.head(response, keep_alive)
  if without_body then return send(connection, head) end
  if not response.stream then
    if #response.body >= LONG_BODY then co.yield() end
    return send(connection, head .. response.body)
  end
  if not send(connection, head) then return false end
  for part in response.stream do
    if not send(connection, part) then return false end
  end
  return true
end

local function converse(self, connection)
  for _ = 1, MAX_REQUESTS do
    local request, problem = next_request(connection)
    if not request and not problem then return end
    local response = request and routes.answer(self.view, request) or problem
    local keep_alive = request ~= nil and request.keep_alive and not response.stream
    if not send_response(connection, request, response, keep_alive) or not keep_alive then return end
  end
end

--- Reads for a while what the client has still sent: closing the socket with bytes unread would reset the
--- connection, and the client could lose the answer.
local function linger(connection)
  connection.socket:shutdown "send"
  local deadline = co.now() + LINGER_SECONDS
  for _ = 1, MAX_LINGER do
    connection.bytes = ""
    if not fill(connection, deadline) then return end
  end
end

local function serve(self, socket)
  local id = co.current().id
  self.tasks[id] = co.current()
  co.defer(function()
    self.tasks[id] = nil
    self.connections = self.connections - 1
    socket:close()
  end)
  local connection = { socket = socket, bytes = "" }
  converse(self, connection)
  linger(connection)
end

local function turn_away(socket)
  socket:settimeout(0)
  local response = http.refuse(503, ("%d connections are open"):format(server.MAX_CONNECTIONS))
  response.headers["Retry-After"] = "1"
  socket:send(http.head(response, false) .. response.body)
  socket:close()
end

local function accept(self)
  co.defer(self.close, self)
  while not self.closed do
    local socket = self.listener:accept()
    if not socket then
      if self.closed then return end
      co.sleep(0.05) -- out of descriptors: some may be given back
    elseif self.connections >= server.MAX_CONNECTIONS then
      turn_away(socket)
    else
      self.connections = self.connections + 1
      spawn("debug connection", serve, self, socket)
    end
  end
end

-- The server ------------------------------------------------------------------------------------------------

--- Stops listening, and ends the connections. Harmless after the first time.
function Server:close()
  if self.closed then return end
  self.closed = true
  self.stop_watching()
  self.listener:close()
  for _, task in pairs(self.tasks) do task:cancel "the debug server is closed" end
end

Server.__close = Server.close

function Server:__tostring() return ("coropanic.debug server at %s"):format(self.url) end

--- Starts a server.
---@param options { host: string, port: integer, token: string? }
---@param view coropanic.debug.view
---@param make_rules fun(host: string, port: integer): table
---@param stop_watching fun()
---@return coropanic.debug.server? server, string? err
function server.start(options, view, make_rules, stop_watching)
  local socket = require "coropanic.socket"
  local listener, err = socket.bind(options.host, options.port, 16)
  if not listener then return nil, err end
  local _, port = listener:getsockname()
  port = math.tointeger(tonumber(port))
  local shown = options.host:find(":", 1, true) and "[" .. options.host .. "]" or options.host
  local self = setmetatable({
    host = options.host, port = port, address = ("%s:%d"):format(shown, port), listener = listener,
    view = view, connections = 0, tasks = {}, closed = false, stop_watching = stop_watching,
  }, Server)
  self.url = ("http://%s/%s"):format(self.address, options.token and "?token=" .. options.token or "")
  view.rules = make_rules(options.host, port)
  function view.source.start_watch(fn)
    if self.closed then return end
    local task
    task = spawn("debug samples", function()
      co.defer(function() self.tasks[task.id] = nil end)
      fn()
    end)
    self.tasks[task.id] = task
  end
  local task = spawn("debug server", accept, self)
  self.tasks[task.id] = task
  return self
end

return server
