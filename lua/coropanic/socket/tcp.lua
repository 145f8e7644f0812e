--- luasocket's TCP objects for tasks.

local co = require "coropanic"
local core = require "socket"
local names = require "coropanic.socket.names"
local object = require "coropanic.socket.object"
local stream = require "coropanic.socket.stream"

co.cooperative()

local tcp = {}

--- The metatables by luasocket's classes. A socket changes its class when it connects or listens.
---@type table<string, table>
local types = {}

--- A TCP socket: a stream, and the calls that must be repeated on a socket that replaces one that could not
--- connect.
---@class coropanic.socket.tcp: coropanic.socket.stream
---@field failed boolean?  # it has failed to connect, so that its state is undefined
---@field bound table?  # the arguments of bind
---@field options table<string, table>?  # the arguments of setoption, by option

local methods = {
  receive = stream.receive, send = stream.send, dirty = stream.dirty,
  getstats = stream.getstats, setstats = stream.setstats,
}

for _, name in ipairs { "getfamily", "getoption", "getpeername", "getsockname", "setfd", "shutdown" } do
  methods[name] = object.delegate(name)
end

--- Gives our object the class that the raw object has now.
local function update_class(self, ...)
  setmetatable(self, types[self.raw.class])
  return ...
end

---@return coropanic.socket.tcp
local function wrap(raw)
  return stream.wrap(types[raw.class], raw)
end

function methods:accept()
  local client, err = object.repeat_call(self, "reading", "r", "accept")
  if not client then
    return nil, err
  end
  return wrap(client)
end

function methods:listen(...)
  return update_class(self, self.raw:listen(...))
end

--- Keeps the arguments of a successful call, and returns the call's results.
local function keep(where, key, arguments, done, ...)
  if done then
    where[key] = arguments
  end
  return done, ...
end

function methods:bind(...)
  return keep(self, "bound", table.pack(...), self.raw:bind(...))
end

methods.setsockname = methods.bind

function methods:setoption(...)
  self.options = self.options or {}
  return keep(self.options, (...), table.pack(...), self.raw:setoption(...))
end

-- Connecting ----------------------------------------------------------------------------------------------

--- Returns the addresses of a host that this socket can connect to.
---@return { family: string?, addr: string }[]?, string? err
local function addresses_of(self, host)
  local family = names.family_of(host)
  if family then
    return { { family = family, addr = host } }
  end
  local any = self.raw:getfd() < 0 -- the socket is made when the family is known
  local own = self.raw:getfamily()
  local found, err = tcp.dns.getaddrinfo(host)
  if not found then
    return nil, err
  end
  local addresses = {}
  for _, info in ipairs(found) do
    if any or own == info.family or own == info.family .. "4" then
      addresses[#addresses + 1] = info
    end
  end
  if #addresses == 0 then
    addresses[1] = { addr = host } -- luasocket will report what is wrong
  end
  return addresses
end

--- Replaces a socket that has failed to connect, because it can not be used any more (connect(2)).
---@return true? done, string? err
local function renew(self, family)
  local raw, err = (family == "inet6" and core.tcp6 or core.tcp4)()
  if not raw then
    return nil, err
  end
  local options, bound = self.options or {}, self.bound
  object.replace(self, raw)
  for _, option in pairs(options) do
    raw:setoption(table.unpack(option, 1, option.n))
  end
  if bound then
    local done
    done, err = raw:bind(table.unpack(bound, 1, bound.n))
    if not done then
      return nil, err
    end
  end
  self.failed = nil
  return true
end

---@return any? done, string? err
local function connect_to(self, address, port, deadline)
  local raw = self.raw
  local done, err = raw:connect(address, port)
  update_class(self)
  if done or err ~= "timeout" then
    return done, err
  end
  done, err = object.wait(self, "w", deadline)
  if not done then
    return nil, err or "timeout"
  end
  err = raw:getoption "error"
  if err then
    return nil, err
  end
  return true
end

--- Returns the deadline for the next of `addresses` addresses, so that there is time for the others.
local function share_of(deadline, addresses)
  return deadline and co.now() + math.max(deadline - co.now(), 0) / addresses
end

local function connect_in_task(self, host, port)
  local deadline = object.deadline_of(self)
  local addresses, err = addresses_of(self, host)
  for i, address in ipairs(addresses or {}) do
    local done = true
    if i > 1 or self.failed then
      done, err = renew(self, address.family)
    end
    if done then
      done, err = connect_to(self, address.addr, port, share_of(deadline, #addresses - i + 1))
    end
    local closed = err == "closed" and self.raw:getfd() < 0
    local over = err == "timeout" and (self.block == 0 or deadline and co.now() >= deadline)
    if done then
      return 1.0
    elseif closed or over then
      return nil, err
    end
    self.failed = true
  end
  return nil, err
end

function methods:connect(host, port)
  local in_task = object.begin(self)
  local checked = type(host) == "string" and (type(port) == "number" or type(port) == "string")
  if in_task and checked then
    return connect_in_task(self, host, port)
  end
  return update_class(self, self.raw:connect(host, port))
end

methods.setpeername = methods.connect

for _, class in ipairs { "tcp{master}", "tcp{client}", "tcp{server}" } do
  types[class] = object.new_type(methods, { class = class })
end

-- The module's functions ----------------------------------------------------------------------------------

--- luasocket's functions for names. A program that replaces these replaces our look-ups too.
tcp.dns = setmetatable({ getaddrinfo = names.getaddrinfo }, { __index = core.dns })

local function maker(make)
  return function()
    local raw, err = make()
    if not raw then
      return nil, err
    end
    return wrap(raw)
  end
end

tcp.tcp, tcp.tcp4, tcp.tcp6 = maker(core.tcp), maker(core.tcp4), maker(core.tcp6)

function tcp.bind(host, port, backlog)
  local addresses, err = { { addr = host } }, nil
  if co.current() and type(host) == "string" and host ~= "*" then
    addresses, err = tcp.dns.getaddrinfo(host)
  end
  for _, address in ipairs(addresses or {}) do
    local raw
    raw, err = core.bind(address.addr, port, backlog)
    if raw then
      return wrap(raw)
    end
  end
  return nil, err
end

function tcp.connect(host, port, local_host, local_port, family)
  local make = family == "inet6" and tcp.tcp6 or family == "inet" and tcp.tcp4 or tcp.tcp
  local self, err = make()
  if not self then
    return nil, err
  end
  local done = true
  if local_host then
    done, err = self:bind(local_host, local_port or 0)
  end
  if done then
    done, err = self:connect(host, port)
  end
  if done then
    return self
  end
  self:close()
  return nil, err
end

function tcp.connect4(host, port, local_host, local_port)
  return tcp.connect(host, port, local_host, local_port, "inet")
end

function tcp.connect6(host, port, local_host, local_port)
  return tcp.connect(host, port, local_host, local_port, "inet6")
end

return tcp
