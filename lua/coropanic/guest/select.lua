--- Waiting on several channels at once. A waiting select stands in the queue of each of its channels; waking
--- it takes it out of all of them. The twin of sync/select.h. Source of the semantics: the Go language
--- specification, "Select statements".

local args = require "coropanic.guest.args"
local chan = require "coropanic.guest.chan"
local kernel = require "coropanic.guest.kernel"
local list = require "coropanic.guest.list"
local port = require "coropanic.guest.port"

local test, append, remove = chan.test, list.append, list.remove
local below = port.order or function(n) return math.random(n) - 1 end
local rawget, type = rawget, type

--- The most cases of one select.
local MAX_CASES = 65535

--- The most channels that the text of one select names.
local MAX_SHOWN = 4

-- A case, as found: in the arrays of a selection, its `channels`, as scripts see them (false: it is never
-- ready), and the `values` of those that send, marked in `sends`.

local function refuse_case(case, i)
  return args.type_error(case, i + 1, "select", "channel or {channel, value}")
end

--- Notes the case number i.
local function check_case(s, i, case)
  if case == nil then
    s.channels[i], s.states[i], s.sends[i] = false, false, false
    return
  end
  local c = test(case)
  if c ~= nil then
    s.channels[i], s.states[i], s.sends[i] = case, c, false
    return
  end
  if type(case) ~= "table" then return refuse_case(case, i) end
  local channel = rawget(case, 1)
  c = test(channel)
  if c == nil and channel ~= nil then
    return refuse_case(case, i)
  end
  if c ~= nil and c.owned then return args.refuse(i + 1, "select", chan.OWNED) end
  s.channels[i], s.states[i], s.sends[i], s.values[i] = channel or false, c or false, true, rawget(case, 2)
end

local function is_ready(s, i)
  local c = s.states[i]
  if not c then return false end
  if s.sends[i] then return chan.can_send(c) end
  return chan.can_receive(c)
end

--- One of the ready cases, each with the same probability; 0: none is ready. (Algorithm R of Vitter 1985, for
--- one place.)
local function choose(s)
  local chosen, ready = 0, 0
  for i = 1, s.count do
    if is_ready(s, i) then
      ready = ready + 1
      if ready == 1 or below(ready) == 0 then chosen = i end
    end
  end
  return chosen
end

--- Sends or receives for the chosen case.
local function finish(s, i)
  local c = s.states[i]
  if s.sends[i] then
    chan.send_now(c, s.values[i])
    return i
  end
  local _, value, ok = chan.receive_now(c)
  return i, value, ok
end

-- Waiting ------------------------------------------------------------------------------------------------

--- The queue in which the case waits; nil: it is never ready.
local function queue_of(s, i)
  local c = s.states[i]
  return c and (s.sends[i] and c.senders or c.receivers) or nil
end

--- Several cases are for one channel, of which the first in its queue is served: puts all cases into the
--- queues again, in random order. (Durstenfeld's shuffle of the cases.)
local function shuffle(s)
  local cases = s.cases
  for i = 1, s.count do remove(cases[i]) end
  for left = s.count, 1, -1 do
    local at = below(left) + 1
    cases[at], cases[left] = cases[left], cases[at]
    local queue = queue_of(s, cases[left].which)
    if queue then append(queue, cases[left]) end
  end
end

--- Puts the cases into the queues of their channels.
local function enter_queues(s, t)
  local cases, repeated = {}, false
  s.task, s.cases = t, cases
  for i = 1, s.count do
    local entry = { selection = s, which = i, given = s.values[i] }
    cases[i] = entry
    local queue = queue_of(s, i)
    if queue then
      repeated = repeated or queue.prev.selection == s
      append(queue, entry)
    end
  end
  if repeated then shuffle(s) end
end

local function leave(t)
  local s = t.waits_on
  if s == nil then return end
  local cases = s.cases
  for i = 1, s.count do remove(cases[i]) end
end

--- The channels that the task waits for; nil: it waits no longer.
local function channels_of(t)
  local s = t.waits_on
  if s == nil then return nil end
  local result = {}
  for i = 1, s.count do
    if s.channels[i] then result[#result + 1] = s.channels[i] end
  end
  return result
end

--- `select of channel (unbuffered), channel (0 of 3 buffered)`
local function text_of(t)
  local channels = channels_of(t)
  if channels == nil then return nil end
  if #channels == 0 then return "select of nothing" end
  local shown = {}
  for i = 1, math.min(#channels, MAX_SHOWN) do shown[i] = tostring(channels[i]) end
  return "select of " .. table.concat(shown, ", ") .. (#channels > MAX_SHOWN and ", ..." or "")
end

local WAIT = { name = "select", object = channels_of, text = text_of, leave = leave }

local function wait(s, seconds)
  local t = kernel.need "select"
  enter_queues(s, t)
  local reason = kernel.park(t, WAIT, s, seconds)
  local value = t.given
  t.given = nil
  if reason ~= "ready" and reason ~= "closed" then
    kernel.check_wake(t)
    return 0
  end
  local fired = s.fired
  if not s.sends[fired] then return fired, value, reason == "ready" end
  if reason == "closed" then return chan.raise_closed() end
  return fired
end

function kernel.api.select(seconds, ...)
  seconds = args.timeout(seconds, 1, "select")
  local count = select("#", ...)
  if count > MAX_CASES then return kernel.raise "too many cases" end
  local s = { count = count, channels = {}, states = {}, sends = {}, values = {} }
  local cases = { ... }
  for i = 1, count do check_case(s, i, cases[i]) end
  kernel.raise_pending()
  local chosen = choose(s)
  if chosen ~= 0 then return finish(s, chosen) end
  if seconds == 0 then return 0 end
  return wait(s, seconds)
end
