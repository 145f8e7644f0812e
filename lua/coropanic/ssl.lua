--- luasec for tasks: TLS over the connections of coropanic.socket. The handshake, receive and send park the
--- task. Outside tasks everything behaves as luasec does.

local co = require "coropanic"
local core = require "socket"
local object = require "coropanic.socket.object"
local stream = require "coropanic.socket.stream"
require "coropanic.socket"
local luasec = require "ssl"

co.cooperative()

local ssl = setmetatable({}, { __index = luasec })

--- The bytes that luasec sends as one record. If OpenSSL could not send all of them, it must get the same
--- bytes again. luasocket's buffer.c gives OpenSSL no more than that at once.
local RECORD = 8192

---@class coropanic.ssl.connection: coropanic.socket.stream
---@field plain userdata  # luasocket's object, which had the descriptor before

local methods = {
  receive = stream.receive, send = stream.send, dirty = stream.dirty,
  getstats = stream.getstats, setstats = stream.setstats,
  record = RECORD,
  late = { r = "wantread", w = "wantwrite" }, -- luasec's words for "timeout"
}

--- Whether the connection is closed: some methods of luasec read freed memory then.
local function is_closed(self)
  return self.raw:getfd() < 0
end

function methods:dohandshake(...)
  if is_closed(self) then
    return false, "closed"
  end
  local done, err = object.repeat_call(self, "writing", "r", "dohandshake", ...)
  if done then
    return true
  end
  return false, err
end

--- Stops sending if that would block: luasec would tell the peer of the end, and wait until it can.
local function shut_if_full(self)
  local fd = self.raw:getfd()
  local looked, ready = pcall(co.wait_fd, math.tointeger(fd), "w", 0)
  if not looked or not ready then
    self.plain:setfd(fd)
    self.plain:shutdown "send"
    self.plain:setfd(core._SOCKETINVALID)
  end
end

function methods:close()
  if not is_closed(self) then
    stream.push_unsent(self)
    shut_if_full(self)
  end
  return object.methods.close(self)
end

--- The metatable of connections, made from luasec's methods for the first connection.
local type_of_connection

local function make_type(raw)
  local others = {}
  for name in pairs(getmetatable(raw).__index) do
    others[name] = function(self, ...)
      if is_closed(self) then
        return nil, "closed"
      end
      return self.raw[name](self.raw, ...)
    end
  end
  for _, name in ipairs { "settimeout", "getfd", "want" } do
    others[name] = object.methods[name] or object.delegate(name)
  end
  local metatable = object.new_type(others, methods)
  metatable.__gc = methods.close -- luasec's own close may block
  return metatable
end

--- Like luasec's wrap: puts TLS over a connection, which must not be used any more.
---@param connection table|userdata  # of coropanic.socket or luasocket
---@param params table|userdata  # luasec's parameters or context
---@return coropanic.ssl.connection?, string? err
function ssl.wrap(connection, params)
  if connection:dirty() then
    return nil, "the peer has sent bytes before the handshake began"
  end
  local plain = object.is(connection) and connection.raw or connection
  local raw, err = luasec.wrap(plain, params)
  if not raw then
    return nil, err
  end
  type_of_connection = type_of_connection or make_type(raw)
  local self = stream.wrap(type_of_connection, raw)
  self.plain = plain
  return self
end

return ssl
