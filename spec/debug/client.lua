--- A client of coropanic.debug for its specs: in tasks, over real sockets.

local co = require "coropanic"
local socket = require "coropanic.socket"

local client = {}

---@return table connection
function client.connect(port)
  local connection = assert(socket.connect("127.0.0.1", port))
  connection:settimeout(5)
  return connection
end

--- Reads one response; nil: the server has closed the connection.
---@return { status: integer, headers: table<string, string>, body: string }?
function client.read(connection, without_body)
  local line = connection:receive "*l"
  if not line then return nil end
  local status = tonumber(line:match "^HTTP/1.1 (%d+) ")
  local response = { status = math.tointeger(status), headers = {}, body = "" }
  for header in function() return connection:receive "*l" end do
    if header == "" then break end
    local name, value = header:match "^([^:]+): (.*)$"
    response.headers[name:lower()] = value
  end
  local length = tonumber(response.headers["content-length"])
  if length and length > 0 and not without_body then response.body = connection:receive(length) end
  return response
end

--- Sends bytes on a connection of its own, and reads one response.
function client.send(port, bytes, without_body)
  local connection = client.connect(port)
  connection:send(bytes)
  local response = client.read(connection, without_body)
  connection:close()
  return response
end

--- The bytes of a request. `headers` are lines; a Host is added unless there is one.
function client.format(port, path, headers, method)
  local lines = { ("%s %s HTTP/1.1"):format(method or "GET", path) }
  local has_host = false
  for _, header in ipairs(headers or {}) do
    lines[#lines + 1] = header
    has_host = has_host or header:find "^Host:" ~= nil
  end
  if not has_host then table.insert(lines, 2, "Host: 127.0.0.1:" .. port) end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

---@return { status: integer, headers: table<string, string>, body: string }
function client.get(port, path, headers, method)
  return client.send(port, client.format(port, path, headers, method), method == "HEAD")
end

--- Reads server-sent events until one has come; returns its fields.
---@return table<string, string>
function client.next_event(connection)
  local event = {}
  for line in function() return connection:receive "*l" end do
    if line == "" and next(event) then return event end
    local name, value = line:match "^(%l+): (.*)$"
    if name then event[name] = value end
  end
  return event
end

--- Runs a test with a server; the server is closed after it.
---@param options table?
---@param fn fun(server: coropanic.debug.server)
function client.with_server(options, fn)
  options = options or {}
  options.port = options.port or 0
  return co.run(function()
    local server <close> = require("coropanic.debug").listen(options)
    fn(server)
  end)
end

return client
