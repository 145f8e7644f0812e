--- Channels as in Go, but for values of any type, nil included. A send gives the value straight to a task
--- that waits for it, or puts it into the buffer. The twin of sync/chan.h. Source of the semantics: the Go
--- language specification, and runtime/chan.go of Go.

local args = require "coropanic.guest.args"
local compat = require "coropanic.guest.compat"
local kernel = require "coropanic.guest.kernel"
local list = require "coropanic.guest.list"
local object = require "coropanic.guest.object"

local chan = {}

local first, append, wake, park = list.first, list.append, kernel.wake, kernel.park
local getmetatable, setmetatable = compat.getmetatable, setmetatable

---@class coropanic.guest.chan
---@field senders table    # list of waiters: tasks, which wait for this channel alone, and cases of a select
---                        # (select.lua), each of which has a `selection`. Their value is `given`
---@field receivers table  # the same; a value that is handed over becomes the task's `given`
---@field room integer     # the capacity
---@field buffer table     # a ring of `room` slots
---@field head integer     # the slot of the oldest value
---@field count integer    # values in the buffer
---@field is_closed boolean
---@field owned boolean    # its owner alone closes the channel, scripts may not

local OWNED = "only its owner closes this channel, and nothing is sent on it"
chan.OWNED = OWNED

-- Objects ------------------------------------------------------------------------------------------------

-- Scripts see a channel's table itself, where `#` works on tables; else a userdata. The table of a channel
-- does not refer to its userdata, or neither would ever be garbage: these Luas have no ephemeron tables.

local methods = {}
local CHANNEL = object.type("channel", methods)

local has_length = #setmetatable({}, { __len = function() return 1 end }) == 1
local to_table = setmetatable({}, { __mode = "k" })
local prototype

--- The channel of a value; nil if it is none.
local test
if has_length then
  function test(value)
    if getmetatable(value) == CHANNEL then return value end
  end
else
  prototype = newproxy(true) -- luacheck: ignore
  local meta = getmetatable(prototype)
  for key, value in pairs(CHANNEL) do meta[key] = value end
  CHANNEL = meta
  function test(value) return to_table[value] end
end
chan.test = test

--- Makes a channel, as scripts see it.
---@param owner? any  # lives as long as the channel
function chan.new(room, owner)
  local c = {
    senders = list.new(), receivers = list.new(),
    room = room, buffer = {}, head = 1, count = 0, is_closed = false,
    owned = owner ~= nil, owner = has_length and owner or false,
  }
  if has_length then return setmetatable(c, CHANNEL) end
  local proxy = newproxy(prototype) -- luacheck: ignore
  to_table[proxy] = c
  if owner ~= nil then debug.setfenv(proxy, { owner }) end -- luacheck: ignore
  return proxy
end

local function check(self, method)
  return test(self) or args.refuse_self(self, "channel", method, self == nil and 0 or 1)
end

--- The same; raises if only its owner may use it so.
local function check_own(self, method)
  local c = check(self, method)
  if c.owned then kernel.raise("'%s' on a context's done channel: %s", method, OWNED) end
  return c
end

-- Sending and receiving ----------------------------------------------------------------------------------

--- Wakes the task of a waiter, one of those in the channel's lists.
local function wake_waiter(waiter, reason)
  local selection = waiter.selection
  if selection == nil then return wake(waiter, reason) end
  selection.fired = waiter.which
  return wake(selection.task, reason)
end

--- Gives the value to the waiting receiver.
local function hand_over(waiter, value)
  local selection = waiter.selection
  local t = selection and selection.task or waiter
  t.given = value
  return wake_waiter(waiter, "ready")
end

--- The value of the waiting sender, which is woken.
local function take_from(waiter)
  local value = waiter.given
  wake_waiter(waiter, "ready")
  return value
end

function chan.raise_closed() return kernel.raise_kind("panic", "send on closed channel") end

local function put(c, value)
  local slot = c.head + c.count
  if slot > c.room then slot = slot - c.room end
  c.buffer[slot] = value
  c.count = c.count + 1
end

--- Sends, if that is possible now; returns whether it was. Panics if the channel is closed.
local function send_now(c, value)
  if c.is_closed then return chan.raise_closed() end
  local receiver = first(c.receivers)
  if receiver ~= nil then
    hand_over(receiver, value)
    return true
  end
  if c.count >= c.room then return false end
  put(c, value)
  return true
end
chan.send_now = send_now

local function take(c)
  local buffer, head = c.buffer, c.head
  local value = buffer[head]
  buffer[head] = nil
  local count = c.count - 1
  c.count = count
  if count == 0 or head == c.room then c.head = 1 else c.head = head + 1 end
  return value
end

--- Receives, if that is possible now: true, the value and true, or true, nil and false if the channel is
--- closed and drained. Else false.
local function receive_now(c)
  local sender = first(c.senders)
  if c.count > 0 then
    local value = take(c)
    if sender ~= nil then put(c, take_from(sender)) end
    return true, value, true
  end
  if sender ~= nil then return true, take_from(sender), true end
  if c.is_closed then return true, nil, false end
  return false
end
chan.receive_now = receive_now

function chan.can_receive(c) return c.count > 0 or c.is_closed or first(c.senders) ~= nil end

function chan.can_send(c) return c.count < c.room or c.is_closed or first(c.receivers) ~= nil end

--- Closes the channel and wakes every task that waits in it. Harmless if it is closed.
function chan.close(c)
  c.is_closed = true
  local waiter = first(c.receivers)
  while waiter ~= nil do
    wake_waiter(waiter, "closed")
    waiter = first(c.receivers)
  end
  waiter = first(c.senders)
  while waiter ~= nil do
    wake_waiter(waiter, "closed")
    waiter = first(c.senders)
  end
end

-- Waiting ------------------------------------------------------------------------------------------------

--- The channel as scripts see it, on the stack of the task that waits.
local function object_of(t) return t.channel end

local SEND = { name = "send", object = object_of }
local RECEIVE = { name = "receive", object = object_of }

--- Parks the running task in one of the channel's lists.
local function wait_in(self, c, queue, wait, value, name)
  local t = kernel.need(name)
  t.channel, t.given = self, value
  append(queue, t)
  local reason = park(t, wait, c)
  value = t.given
  t.channel, t.given = nil, nil
  if reason ~= "ready" and reason ~= "closed" then kernel.check_wake(t) end
  return reason, value
end

function methods.send(self, value)
  local c = check_own(self, "send")
  kernel.raise_pending()
  while not send_now(c, value) do
    local reason = wait_in(self, c, c.senders, SEND, value, "send")
    if reason == "ready" then return end
    if reason == "closed" then return chan.raise_closed() end
  end
end

--- Receives: the value and true, or nil and false at the end.
local function receive(self, c, name)
  kernel.raise_pending()
  while true do
    local now, value, ok = receive_now(c)
    if now then return value, ok end
    local reason
    reason, value = wait_in(self, c, c.receivers, RECEIVE, nil, name)
    if reason == "ready" then return value, true end
    if reason == "closed" then return nil, false end
  end
end

function methods.recv(self) return receive(self, check(self, "recv"), "recv") end

function methods.try_send(self, value) return send_now(check_own(self, "try_send"), value) end

function methods.try_recv(self)
  local now, value, ok = receive_now(check(self, "try_recv"))
  if not now then return nil, false, "empty" end
  if not ok then return nil, false, "closed" end
  return value, true
end

function methods.close(self)
  if self == nil then return kernel.raise_kind("panic", "close of nil channel") end
  local c = check_own(self, "close")
  if c.is_closed then return kernel.raise_kind("panic", "close of closed channel") end
  chan.close(c)
end

function methods.capacity(self) return check(self, "capacity").room end

function methods.iter(self)
  local c = check(self, "iter")
  return function()
    local value, ok = receive(self, c, "iter")
    if ok and value == nil then
      return kernel.raise "'iter' met a nil in the channel: use 'recv', which tells it from the end"
    end
    return value
  end
end

function CHANNEL.__len(self) return check(self, "__len").count end

function CHANNEL.__tostring(self)
  local c = check(self, "__tostring")
  local ending = c.is_closed and ", closed" or ""
  if c.room == 0 then return ("channel (%s%s)"):format(c.owned and "done" or "unbuffered", ending) end
  return ("channel (%d of %d buffered%s)"):format(c.count, c.room, ending)
end

--- Whether a number is an integer: where Lua has integers, only one of those is.
local function is_integer(value)
  return type(value) == "number" and value % 1 == 0 and compat.is_integer(value)
end

function kernel.api.chan(room)
  if room == nil then return chan.new(0) end
  if not is_integer(room) then args.type_error(room, 1, "chan", "integer") end
  if room < 0 then args.refuse(1, "chan", "a capacity from 0 expected, got a negative number") end
  return chan.new(room)
end

return chan
