--- What the specs of leases have in coropanic.socket's place under the virtual clock. A connection to a
--- server that is a task of the spec is two channels: waiting for it passes virtual time. A connection to a
--- real server blocks the process: no virtual time passes. So renewals that are minutes apart take no time,
--- and a busy machine loses no lease.

local co = require "coropanic"
local luasocket = require "socket"

local network = {}

local listeners = {} -- port -> the channel that its connections arrive on
local last_port = 99 -- where no specs' real servers are

network.gettime = luasocket.gettime

-- One end of a connection: `incoming` and `outgoing` are channels of strings.
local stream = {}
stream.__index = stream

local function new_stream(incoming, outgoing)
  return setmetatable({ incoming = incoming, outgoing = outgoing, buffer = "" }, stream)
end

function stream:send(data)
  if not co.pcall(self.outgoing.send, self.outgoing, data) then return nil, "closed" end
  return #data
end

--- Takes what `pattern` finds out of what has arrived; waits for more while it finds nothing.
local function take(self, pattern)
  while true do
    local found, rest = self.buffer:match(pattern)
    if found then
      self.buffer = rest
      return found
    end
    local data = self.incoming:recv()
    if not data then return nil, "closed" end
    self.buffer = self.buffer .. data
  end
end

function stream:receive(what)
  if what == "*l" then return take(self, "^([^\n]-)\r?\n(.*)$") end
  return take(self, "^(" .. ("."):rep(what) .. ")(.*)$")
end

function stream:close()
  co.pcall(self.outgoing.close, self.outgoing)
  co.pcall(self.incoming.close, self.incoming)
end

-- A socket: `connection` is a stream or one of luasocket's once it is connected.
local socket = {}
socket.__index = socket

function socket.settimeout() end

function socket:connect(host, port)
  local listener = listeners[port]
  if listener then
    local to, from = co.chan(64), co.chan(64)
    self.connection = new_stream(from, to)
    listener:send(new_stream(to, from))
    return 1
  end
  self.connection = luasocket.tcp()
  return self.connection:connect(host, port)
end

function socket:send(data) return self.connection:send(data) end

function socket:receive(what) return self.connection:receive(what) end

function socket:close()
  if self.connection then self.connection:close() end
end

function network.tcp() return setmetatable({}, socket) end

--- A port that nothing else listens on, and the channel on which its connections arrive.
---@return integer port, coropanic.chan connections
function network.listen()
  last_port = last_port + 1
  listeners[last_port] = co.chan(64)
  return last_port, listeners[last_port]
end

--- Loads a module with this in coropanic.socket's place.
---@param name string
---@return any module
function network.load(name)
  local real, module = package.loaded["coropanic.socket"], package.loaded[name]
  package.loaded["coropanic.socket"], package.loaded[name] = network, nil
  local loaded = require(name)
  package.loaded["coropanic.socket"], package.loaded[name] = real, module
  return loaded
end

return network
