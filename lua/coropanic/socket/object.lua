--- What all sockets have in common: an object around luasocket's or luasec's, whose calls do not wait while
--- tasks use it; its time-outs, waiting, whose turn it is, and closing.

local co = require "coropanic"

local object = {}

---@class coropanic.socket.object
---@field raw userdata  # luasocket's or luasec's object
---@field block number  # seconds that one wait may take, as settimeout(n, "b") has it; < 0: no limit
---@field total number  # seconds that one call may take, as settimeout(n, "t") has it; < 0: no limit
---@field polled boolean?  # the raw object does not wait; nil: its time-outs have to be set
---@field reading any?  # the mutex of those who receive or accept; nil: nobody has yet
---@field writing any?  # the mutex of those who send

--- The metatables of our objects.
---@type table<table, boolean>
local types = {}

--- Whether a value is one of our objects.
function object.is(value)
  return type(value) == "table" and types[getmetatable(value)] == true
end

-- Waiting -------------------------------------------------------------------------------------------------

--- Sets the time-outs of the raw object.
local function set_polled(self, polled)
  if polled ~= self.polled then
    self.polled = polled
    self.raw:settimeout(polled and 0 or self.block, "b")
    self.raw:settimeout(polled and -1 or self.total, "t")
  end
end

--- Begins a call. True: it is made in a task. Then it is a suspension point even if it will not have to wait:
--- a task that always finds something to read lets the others run, and can be cancelled.
function object.begin(self)
  local polled = co.current() ~= nil
  set_polled(self, polled)
  if polled then
    co.yield()
  end
  return polled
end

--- Puts another raw object in the place of the one that was there; in a task.
function object.replace(self, raw)
  self.raw:close()
  self.raw = raw
  self.polled = nil
  set_polled(self, true)
end

--- When a call that begins now has to end; nil: never.
function object.deadline_of(self)
  return self.total >= 0 and co.now() + self.total or nil
end

--- How long a wait that begins now may take; nil: for ever.
local function limit_of(self, deadline)
  local seconds = self.block >= 0 and self.block or nil
  if deadline then
    local left = math.max(deadline - co.now(), 0)
    seconds = seconds and math.min(seconds, left) or left
  end
  return seconds
end

--- What the raw object calls it that it would have to wait, and for what. luasocket does not tell the latter.
local WANTS = { wantread = "r", wantwrite = "w" }

--- What a call that has failed with this error has to wait for before it is repeated; nil: it has failed.
---@param err string
---@param mode "r" | "w"  # what such a call waits for
---@return string? mode
function object.wanted(err, mode)
  return err == "timeout" and mode or WANTS[err]
end

--- Parks until the socket is ready.
---@param mode "r" | "w" | "rw"
---@return true? ready
---@return string? err  # "closed"; nil: the time ran out
function object.wait(self, mode, deadline)
  local fd = self.raw:getfd()
  if fd < 0 then
    return nil, "closed"
  end
  local ready, err = co.wait_fd(math.tointeger(fd), mode, limit_of(self, deadline))
  return ready and true, err
end

--- Waits until it is this call's turn. Calls that wait take turns in the order in which they came.
---@param side "reading" | "writing"
---@return any? guard  # its scope is the turn; nil: the time ran out
function object.take_turn(self, side, deadline)
  local mutex = self[side]
  if not mutex then
    mutex = co.mutex()
    self[side] = mutex
  end
  return mutex:guard(limit_of(self, deadline))
end

--- What a call returns whose time has run out before its turn came: what the raw object says.
function object.late(self, mode)
  return self.late and self.late[mode] or "timeout"
end

--- Calls a method of the raw object until it is done.
function object.repeat_call(self, side, mode, name, ...)
  if not object.begin(self) then
    return self.raw[name](self.raw, ...)
  end
  local deadline = object.deadline_of(self)
  local turn <close> = object.take_turn(self, side, deadline)
  if not turn then
    return nil, object.late(self, mode)
  end
  while true do
    local raw = self.raw
    local results = table.pack(raw[name](raw, ...))
    local wanted = not results[1] and object.wanted(results[2], mode)
    if not wanted then
      return table.unpack(results, 1, results.n)
    end
    local ready, err = object.wait(self, wanted, deadline)
    if not ready then
      results[2] = err or results[2]
      return table.unpack(results, 1, results.n)
    end
  end
end

-- Methods -------------------------------------------------------------------------------------------------

local common = {}
object.methods = common

--- Time-outs are floats, as luasocket's.
function common:settimeout(seconds, mode)
  local done = self.raw:settimeout(seconds, mode) -- checks the arguments
  local total = mode and tostring(mode):sub(1, 1) ~= "b"
  self[total and "total" or "block"] = tonumber(seconds or -1) + 0.0
  self.polled = nil
  set_polled(self, co.current() ~= nil)
  return done
end

function common:gettimeout()
  return self.block, self.total
end

function common:getfd()
  return self.raw:getfd()
end

--- Tasks that wait for the socket are woken, and are given the error "closed".
function common:close()
  local fd = self.raw:getfd()
  local results = table.pack(self.raw:close())
  if fd >= 0 then
    pcall(co.wait_fd, math.tointeger(fd), "r", 0)
  end
  return table.unpack(results, 1, results.n)
end

--- A method that the raw object has too, and that never waits.
---@param name string
function object.delegate(name)
  return function(self, ...)
    return self.raw[name](self.raw, ...)
  end
end

--- A metatable with the common methods and these; as luasocket's, its __index is a table of all methods.
---@param ... table<string, any>  # later ones override
function object.new_type(...)
  local index = {}
  for _, methods in ipairs { common, ... } do
    for name, method in pairs(methods) do
      index[name] = method
    end
  end
  local metatable = {
    __index = index,
    __close = index.close,
    __tostring = function(self)
      return tostring(self.raw)
    end,
  }
  types[metatable] = true
  return metatable
end

---@return coropanic.socket.object
function object.wrap(metatable, raw)
  return setmetatable({ raw = raw, block = -1.0, total = -1.0, polled = false }, metatable)
end

return object
