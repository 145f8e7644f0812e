--- Random programs of senders, receivers and selects, which are cancelled, run out of time and have their
--- channels closed, each in a random order of tasks. Whatever happens: what was sent is received exactly
--- once, in the order in which its sender sent it, everybody is served, and nobody is left in a queue.

local co = require "coropanic"
local helpers = require "spec.helpers"

local SEEDS = helpers.seeds(4000)

--- One program: its channels, and what became of the messages.
local Program = {}
Program.__index = Program

function Program.new(seed, totals)
  local self = setmetatable({
    random = helpers.random(seed),
    channels = {},
    numbers = {},    -- channel -> its index in `channels`
    closed = {},     -- channel -> true
    messages = {},
    sent = {},       -- message -> how often its sender was told that it was sent
    received = {},   -- message -> how often it was received
    newest = {},     -- receiver, channel, sender -> number of the newest message
    tasks = {},
    totals = totals, -- what all programs did, so that none of it is left out
  }, Program)
  for i = 1, 1 + self.random(2) do
    local channel = co.chan(self.random(4) - 1)
    self.channels[i], self.numbers[channel] = channel, i
  end
  return self
end

function Program:count(what)
  self.totals[what] = (self.totals[what] or 0) + 1
end

function Program:any_channel()
  return self.channels[self.random(#self.channels)]
end

--- Another one than `channel`.
function Program:other_channel(channel)
  local other
  repeat
    other = self:any_channel()
  until other ~= channel
  return other
end

--- A time-out: none, not to wait at all, or a short time.
function Program:any_timeout()
  local timeouts = { nil, 0, 0.001, 0.003 }
  return timeouts[self.random(4)]
end

function Program:note_sent(message)
  self:count "sent"
  self.sent[message] = (self.sent[message] or 0) + 1
end

function Program:note_received(receiver, channel, message)
  self:count "received"
  self.received[message] = (self.received[message] or 0) + 1
  local key = ("%s %d %s"):format(receiver, self.numbers[channel], message.sender)
  assert(message.number > (self.newest[key] or 0), "out of order")
  self.newest[key] = message.number
end

-- What tasks do ------------------------------------------------------------------------------------------

--- The ways to send: each sends the message once, or does not.
local senders = {
  function(self, _, message)
    self:any_channel():send(message)
    self:note_sent(message)
  end,
  function(self, _, message)
    if self:any_channel():try_send(message) then
      self:note_sent(message)
    end
    co.yield()
  end,
  function(self, _, message)
    local first = self:any_channel()
    local which = co.select(self:any_timeout(), { first, message }, { self:other_channel(first), message })
    if which == 0 then
      self:count "time-outs"
    else
      self:note_sent(message)
    end
  end,
  function(self, name, message)
    local out = self:any_channel()
    local into = self:other_channel(out)
    local which, value, ok = co.select(self:any_timeout(), { out, message }, nil, into, { out, message })
    if which == 1 or which == 4 then
      self:note_sent(message)
    elseif ok then
      self:note_received(name, into, value)
    end
  end,
}

function Program:send_messages(name, count)
  for number = 1, count do
    local message = { sender = name, number = number }
    table.insert(self.messages, message)
    local ok, record = co.pcall(senders[self.random(#senders)], self, name, message)
    if not ok then
      assert(record.value == "send on closed channel", tostring(record))
      self:count "sends on closed channels"
    end
    if self.random(4) == 1 then
      co.sleep(0.001)
    end
  end
end

--- The ways to receive: each returns whether it received, and the channel if that is closed and drained.
local receivers = {
  function(self, name)
    local channel = self:any_channel()
    local message, ok = channel:recv()
    if not ok then
      return channel
    end
    self:note_received(name, channel, message)
  end,
  function(self, name)
    local channel = self:any_channel()
    local message, ok, why = channel:try_recv()
    if ok then
      self:note_received(name, channel, message)
    end
    co.yield()
    return why == "closed" and channel
  end,
  function(self, name)
    local channel = self:any_channel()
    for message in channel:iter() do
      self:note_received(name, channel, message)
      if self.random(3) == 1 then
        return
      end
    end
    return channel
  end,
  function(self, name)
    local channels = { self:any_channel(), self:any_channel(), self:any_channel() }
    local which, message, ok = co.select(self:any_timeout(), table.unpack(channels))
    if ok then
      self:note_received(name, channels[which], message)
    elseif which > 0 then
      return channels[which]
    end
    self:count(which == 0 and "time-outs" or "selects")
    co.yield()
  end,
}

--- Receives until every channel is closed and drained.
function Program:receive_messages(name)
  local drained, count = {}, 0
  while count < #self.channels do
    local channel = receivers[self.random(#receivers)](self, name)
    if channel and not drained[channel] then
      drained[channel] = true
      count = count + 1
    end
  end
end

-- The program --------------------------------------------------------------------------------------------

function Program:start()
  local function add(...)
    table.insert(self.tasks, co.spawn(...))
  end
  for i = 1, 1 + self.random(4) do
    add(self.send_messages, self, "sender " .. i, 4 + self.random(8))
  end
  for i = 1, self.random(4) do
    add(self.receive_messages, self, "receiver " .. i)
  end
end

function Program:close(channel)
  if not self.closed[channel] then
    self.closed[channel] = true
    channel:close()
    self:count "closes"
  end
end

--- Cancels tasks and closes channels while the others go on.
function Program:disturb()
  for _ = 1, self.random(6) do
    co.sleep(self.random(3) / 1000)
    local what = self.random(4)
    if what == 1 then
      self.tasks[self.random(#self.tasks)]:cancel()
    elseif what == 2 then
      self:close(self:any_channel())
    end
  end
end

--- Everybody is to end: by closing all channels, or by cancelling all tasks.
function Program:finish()
  if self.random(2) == 1 then
    for _, channel in ipairs(self.channels) do
      self:close(channel)
    end
  else
    for _, task in ipairs(self.tasks) do
      task:cancel()
    end
  end
  for _, task in ipairs(self.tasks) do
    local ok, record = task:join(1000)
    assert(ok or record, "a task was not served")
    assert(ok or record.kind == "cancelled", tostring(record))
    self:count(task:status())
  end
end

function Program:drain()
  for _, channel in ipairs(self.channels) do
    while true do
      local message, ok, why = channel:try_recv()
      if not ok then
        assert(why == (self.closed[channel] and "closed" or "empty"), "not " .. why)
        break
      end
      self:note_received("main", channel, message)
    end
    assert(#channel == 0)
  end
end

--- A channel whose queues are empty takes as many values as its buffer has room for.
function Program:check_queues()
  for _, channel in ipairs(self.channels) do
    if not self.closed[channel] then
      for i = 1, channel:capacity() do
        assert(channel:try_send(i), "no room")
      end
      assert(not channel:try_send "one more", "a receiver is left in the queue")
      for i = 1, channel:capacity() do
        assert(channel:recv() == i)
      end
      assert(select(3, channel:try_recv()) == "empty", "a sender is left in the queue")
    end
  end
end

function Program:check_messages()
  for _, message in ipairs(self.messages) do
    assert(self.sent[message] == self.received[message],
      ("message %d of %s: sent %s times, received %s times"):format(
        message.number, message.sender, self.sent[message] or 0, self.received[message] or 0))
  end
end

local function run_program(seed, totals)
  local program = Program.new(seed, totals)
  program:start()
  program:disturb()
  program:finish()
  program:drain()
  program:check_queues()
  program:check_messages()
end

describe("a random program of channels", function()
  it(("loses and doubles nothing, under each of %d seeds"):format(SEEDS), function()
    local totals = {}
    for seed = 1, SEEDS do
      local ok, err = pcall(co.run_with, { seed = seed, clock = "virtual" }, run_program, seed, totals)
      assert.is_true(ok, ("seed %d: %s"):format(seed, tostring(err)))
    end
    for _, what in ipairs {
      "sent", "received", "time-outs", "selects", "sends on closed channels", "closes", "done", "cancelled",
    } do
      assert.is_true((totals[what] or 0) > SEEDS / 2, ("%s: %s"):format(what, totals[what]))
    end
    assert.equal(totals.sent, totals.received)
  end)
end)
