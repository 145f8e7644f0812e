--- The common part of all sockets: an object around luasocket's or luasec's, whose calls do not wait while
--- tasks use it. It has the time-outs, the waiting, the turns of concurrent calls, and the closing.

local co = require "coropanic"

co.cooperative()

local object = {}

---@class coropanic.socket.object
---@field raw userdata  # luasocket's or luasec's object
---@field block number  # seconds that one wait may take, as settimeout(n, "b") has it; < 0: no limit
---@field total number  # seconds that one call may take, as settimeout(n, "t") has it; < 0: no limit
---@field polled boolean?  # true: the raw object never waits; nil: its time-outs have to be set
---@field reading any?  # the mutex of tasks that receive or accept; nil: not made yet
---@field writing any?  # the mutex of tasks that send

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

--- Begins a call. Returns true in a task. There the call is a suspension point even if it will not have to
--- wait, so that a task that always finds something to read lets the others run and can be cancelled.
function object.begin(self)
  local polled = co.current() ~= nil
  set_polled(self, polled)
  if polled then
    co.yield()
  end
  return polled
end

--- Call it in a task: closes the raw object and uses another one instead.
function object.replace(self, raw)
  self.raw:close()
  self.raw = raw
  self.polled = nil
  set_polled(self, true)
end

--- Returns the deadline of a call that begins now; nil: never.
function object.deadline_of(self)
  return self.total >= 0 and co.now() + self.total or nil
end

--- Returns how long a wait that begins now may take; nil: for ever.
local function limit_of(self, deadline)
  local seconds = self.block >= 0 and self.block or nil
  if deadline then
    local left = math.max(deadline - co.now(), 0)
    seconds = seconds and math.min(seconds, left) or left
  end
  return seconds
end

--- The raw object's errors for "would have to wait". luasocket's does not tell for what.
local WANTS = { wantread = "r", wantwrite = "w" }

--- Returns what a call that has failed with this error must wait for before it is repeated; nil: the error is
--- final.
---@param err string
---@param mode "r" | "w"  # what such a call usually waits for
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

--- Waits for this call's turn. Calls take turns in the order in which they came.
---@param side "reading" | "writing"
---@return any? guard  # the turn lasts until it is closed; nil: the time ran out
function object.take_turn(self, side, deadline)
  local mutex = self[side]
  if not mutex then
    mutex = co.mutex()
    self[side] = mutex
  end
  return mutex:guard(limit_of(self, deadline))
end

--- Returns the error of a call whose time ran out before its turn: the same as the raw object's.
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

--- Keeps time-outs as floats, as luasocket does.
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

--- Closes the socket. Tasks that wait for it are woken, and get the error "closed".
function common:close()
  local fd = self.raw:getfd()
  local results = table.pack(self.raw:close())
  if fd >= 0 then
    pcall(co.wait_fd, math.tointeger(fd), "r", 0)
  end
  return table.unpack(results, 1, results.n)
end

--- Makes a method that calls the raw object's, which never waits.
---@param name string
function object.delegate(name)
  return function(self, ...)
    return self.raw[name](self.raw, ...)
  end
end

--- Makes a metatable with the common methods and the given ones. Its __index is a table of all methods, as
--- luasocket's is.
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
