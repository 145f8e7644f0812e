--- luasocket for tasks: the same functions and objects, but what would block the process parks the task
--- instead. Outside tasks everything behaves as luasocket does.

local co = require "coropanic"
local core = require "socket"

local socket = {}
for name, value in pairs(core) do
  socket[name] = value
end

-- Waiting -------------------------------------------------------------------------------------------------

---@class coropanic.socket.object
---@field raw table  # luasocket's object
---@field block number  # seconds that one wait may take, as settimeout(n, "b") has it; < 0: no limit
---@field total number  # seconds that one call may take, as settimeout(n, "t") has it; < 0: no limit
---@field polled boolean?  # the raw object does not wait; nil: its time-outs have to be set
---@field closed boolean?

--- Sets the time-outs of the raw object: none of its calls waits while tasks use it.
local function set_polled(self, polled)
  if polled ~= self.polled then
    self.polled = polled
    self.raw:settimeout(polled and 0 or self.block, "b")
    self.raw:settimeout(polled and -1 or self.total, "t")
  end
end

--- Begins a call. True: it is made in a task. Then it is a suspension point even if it will not have to wait:
--- whoever always finds something to read lets the others run, and can be cancelled.
local function in_task(self)
  local polled = co.current() ~= nil
  set_polled(self, polled)
  if polled then
    co.yield()
  end
  return polled
end

--- When a call that begins now has to end; nil: never.
local function deadline_of(self)
  return self.total >= 0 and co.now() + self.total or nil
end

--- Parks until the socket is ready.
---@param mode "r" | "w"
---@return true? ready
---@return string? err  # luasocket's: "timeout" or "closed"
local function wait(self, mode, deadline)
  local seconds = self.block >= 0 and self.block or nil
  if deadline then
    local left = math.max(deadline - co.now(), 0)
    seconds = seconds and math.min(seconds, left) or left
  end
  if self.closed then
    return nil, "closed"
  end
  local ready, err = co.wait_fd(self.raw:getfd(), mode, seconds)
  return ready and true, ready == nil and (err or "timeout") or nil
end

--- Calls a method of the raw object until it is done. It reports that it would wait by the error "timeout".
local function repeat_call(self, mode, name, ...)
  local raw = self.raw
  if not in_task(self) then
    return raw[name](raw, ...)
  end
  local deadline = deadline_of(self)
  while true do
    local results = table.pack(raw[name](raw, ...))
    if results[1] or results[2] ~= "timeout" then
      return table.unpack(results, 1, results.n)
    end
    local ready, err = wait(self, mode, deadline)
    if not ready then
      return nil, err
    end
  end
end

-- Objects -------------------------------------------------------------------------------------------------

--- What TCP and UDP sockets have in common.
local common = {}

for _, name in ipairs {
  "bind", "dirty", "getfamily", "getfd", "getoption", "getpeername", "getsockname", "getstats", "setfd",
  "setoption", "setpeername", "setsockname", "setstats", "shutdown",
} do
  common[name] = function(self, ...)
    return self.raw[name](self.raw, ...)
  end
end

function common:settimeout(seconds, mode)
  seconds = seconds or -1
  local done = self.raw:settimeout(seconds, mode) -- checks the arguments
  local total = mode and mode:sub(1, 1) ~= "b"
  self[total and "total" or "block"] = seconds
  self.polled = nil
  set_polled(self, co.current() ~= nil)
  return done
end

function common:gettimeout()
  return self.block, self.total
end

--- Tasks that wait for the socket are woken, and are given the error "closed".
function common:close()
  local fd = self.raw:getfd()
  self.closed = true
  local done, err = self.raw:close()
  if fd >= 0 then
    pcall(co.wait_fd, fd, "r", 0)
  end
  return done, err
end

local tcp, udp = setmetatable({}, { __index = common }), setmetatable({}, { __index = common })

local function tostring_raw(self)
  return tostring(self.raw)
end

local tcp_type = { __index = tcp, __tostring = tostring_raw }
local udp_type = { __index = udp, __tostring = tostring_raw }

for _, metatable in ipairs { tcp_type, udp_type } do
  metatable.__close = common.close
end

---@return coropanic.socket.object
local function wrap(metatable, raw)
  return setmetatable({ raw = raw, block = -1, total = -1, polled = false }, metatable)
end

-- TCP -----------------------------------------------------------------------------------------------------

function tcp:listen(...)
  return self.raw:listen(...)
end

function tcp:accept()
  local client, err = repeat_call(self, "r", "accept")
  if not client then
    return nil, err
  end
  return wrap(tcp_type, client)
end

--- The addresses of a host that this socket can connect to. The look-up blocks the process.
---@return { family: "inet" | "inet6", addr: string }[]?, string? err
local function addresses_of(self, host)
  local found, err = core.dns.getaddrinfo(host)
  if not found then
    return nil, err
  end
  local any = self.raw:getfd() < 0 -- a socket is made when the family is known
  local family = self.raw:getfamily()
  local addresses = {}
  for _, info in ipairs(found) do
    if any or family == info.family or family == info.family .. "4" then
      addresses[#addresses + 1] = info
    end
  end
  if #addresses == 0 then
    addresses[1] = { addr = host } -- luasocket says what is wrong
  end
  return addresses
end

--- A socket takes the family of what it was first connected to: another one has to take its place.
local function renew(self)
  self.raw:close()
  self.raw = core.tcp()
  self.polled = nil
  set_polled(self, true)
end

local function connect_to(self, address, port, deadline)
  local raw = self.raw
  local done, err = raw:connect(address, port)
  if done or err ~= "timeout" then
    return done, err
  end
  done, err = wait(self, "w", deadline)
  if not done then
    return nil, err
  end
  err = raw:getoption "error"
  if err then
    return nil, err
  end
  return 1
end

function tcp:connect(host, port)
  if not in_task(self) then
    return self.raw:connect(host, port)
  end
  local deadline = deadline_of(self)
  local addresses, err = addresses_of(self, host)
  local previous
  for _, address in ipairs(addresses or {}) do
    if previous and previous ~= address.family then
      renew(self)
    end
    previous = address.family
    local done
    done, err = connect_to(self, address.addr, port, deadline)
    if done or err == "timeout" or self.closed then
      return done, err
    end
  end
  return nil, err
end

--- Bytes after which a call that receives more lets the others run.
local CHUNK = 65536

--- Receives in pieces, which are put together once.
---@param pattern "*l" | "*a" | number
local function receive_pieces(self, pattern, prefix, deadline)
  local raw = self.raw
  local pieces, received = { prefix }, 0
  local wanted = pattern == "*a" and math.huge or type(pattern) == "number" and pattern - #prefix
  while true do
    local data, err, partial = raw:receive(wanted and math.min(wanted - received, CHUNK) or pattern)
    local piece = data or partial or ""
    pieces[#pieces + 1] = piece
    received = received + #piece
    if data and (not wanted or received == wanted) then
      return table.concat(pieces)
    elseif data then
      co.yield()
    else
      if err == "timeout" then
        local ready
        ready, err = wait(self, "r", deadline)
        err = not ready and err or nil
      elseif err == "closed" and pattern == "*a" and received > 0 then
        return table.concat(pieces) -- the end is no error once something has come
      end
      if err then
        return nil, err, table.concat(pieces)
      end
    end
  end
end

function tcp:receive(pattern, prefix)
  if not in_task(self) then
    return self.raw:receive(pattern, prefix)
  end
  local size = tonumber(pattern)
  local start = prefix == nil and "" or prefix
  local known = size or pattern == nil or pattern == "*l" or pattern == "*a"
  if not known or type(start) ~= "string" or size and size < #start then
    return self.raw:receive(pattern, prefix) -- luasocket says what is wrong
  end
  return receive_pieces(self, size or pattern or "*l", start, deadline_of(self))
end

function tcp:send(data, first, last)
  local raw = self.raw
  if not in_task(self) then
    return raw:send(data, first, last)
  end
  local deadline = deadline_of(self)
  while true do
    local sent, err, partial = raw:send(data, first, last)
    if err ~= "timeout" then
      return sent, err, partial
    end
    local ready, reason = wait(self, "w", deadline)
    if not ready then
      return nil, reason, partial
    end
    first = partial + 1
  end
end

-- UDP -----------------------------------------------------------------------------------------------------

function udp:receive(...)
  return repeat_call(self, "r", "receive", ...)
end

function udp:receivefrom(...)
  return repeat_call(self, "r", "receivefrom", ...)
end

function udp:send(...)
  return repeat_call(self, "w", "send", ...)
end

function udp:sendto(...)
  return repeat_call(self, "w", "sendto", ...)
end

-- The module's functions ----------------------------------------------------------------------------------

local function maker(make, metatable)
  return function(...)
    local raw, err = make(...)
    if not raw then
      return nil, err
    end
    return wrap(metatable, raw)
  end
end

for name, metatable in pairs { tcp = tcp_type, udp = udp_type } do
  for _, family in ipairs { "", "4", "6" } do
    socket[name .. family] = maker(core[name .. family], metatable)
  end
end

socket.bind = maker(core.bind, tcp_type)

function socket.connect(host, port, local_host, local_port, family)
  local make = family == "inet6" and socket.tcp6 or family == "inet" and socket.tcp4 or socket.tcp
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

function socket.connect4(host, port, local_host, local_port)
  return socket.connect(host, port, local_host, local_port, "inet")
end

function socket.connect6(host, port, local_host, local_port)
  return socket.connect(host, port, local_host, local_port, "inet6")
end

function socket.sleep(seconds)
  if co.current() then
    co.sleep(math.max(seconds, 0))
  else
    core.sleep(seconds)
  end
end

--- Parks until one of the sockets may be ready: a task for each waits for it, the first ends the others.
local function wait_for_any(readers, writers, seconds)
  co.scope(function(scope)
    local function watch(objects, mode)
      for _, object in ipairs(objects) do
        if object:getfd() >= 0 then
          scope:spawn(function()
            co.wait_fd(object, mode, seconds)
            scope:cancel()
          end)
        end
      end
    end
    watch(readers, "r")
    watch(writers, "w")
  end)
end

--- Adds the objects that are ready to `ready`, by number and by object, as luasocket does.
local function add_ready(ready, objects, mode)
  for _, object in ipairs(objects) do
    local read_ahead = mode == "r" and object.dirty and object:dirty()
    if read_ahead or object:getfd() >= 0 and co.wait_fd(object, mode, 0) then
      ready[#ready + 1] = object
      ready[object] = #ready
    end
  end
end

function socket.select(readers, writers, seconds)
  if not co.current() then
    return core.select(readers, writers, seconds)
  end
  readers, writers = readers or {}, writers or {}
  local deadline = seconds and seconds >= 0 and co.now() + seconds or nil
  co.yield()
  while true do
    local readable, writable = {}, {}
    add_ready(readable, readers, "r")
    add_ready(writable, writers, "w")
    local left = deadline and deadline - co.now()
    if #readable + #writable > 0 then
      return readable, writable
    elseif left and left <= 0 then
      return readable, writable, "timeout"
    elseif #readers + #writers == 0 then
      co.sleep(left or math.huge)
    else
      wait_for_any(readers, writers, left)
    end
  end
end

-- Exceptions ----------------------------------------------------------------------------------------------

--- What try raises and protect turns into results; everything else passes.
local exception = {}

function exception:__tostring()
  return tostring(self.reason)
end

--- As luasocket's; `finalizer` runs before the exception is raised, and may suspend.
---@param finalizer fun()?
function socket.newtry(finalizer)
  return function(...)
    if ... then
      return ...
    end
    if finalizer then
      pcall(finalizer)
    end
    error(setmetatable({ reason = (select(2, ...)) }, exception), 0)
  end
end

socket.try = socket.newtry()

--- An exception that has passed a frame of co.func is a record's value.
local function exception_of(raised)
  if type(raised) == "userdata" and getmetatable(raised) == "coropanic.record" then
    raised = raised.value
  end
  return getmetatable(raised) == exception and raised or nil
end

local function results_of(ok, ...)
  if ok then
    return ...
  end
  local caught = exception_of((...))
  if not caught then
    error((...), 0)
  end
  return nil, caught.reason
end

--- `fn`, but exceptions of try become `nil, reason`. Panics and cancellations pass.
---@param fn fun(...): ...
function socket.protect(fn)
  return function(...)
    return results_of(pcall(fn, ...))
  end
end

-- Installing ----------------------------------------------------------------------------------------------

--- Puts this module in luasocket's place, for modules that are required from now on.
---@return table? previous  # what was there
function socket.install()
  local previous = package.loaded.socket
  package.loaded.socket = socket
  return previous
end

return socket
