--- Receives from and sends to a stream of bytes: luasocket's TCP connection or luasec's TLS connection.

local co = require "coropanic"
local inbox = require "coropanic.socket.inbox"
local object = require "coropanic.socket.object"

co.cooperative()

local begin, wait, wanted_by = object.begin, object.wait, object.wanted
local deadline_of, take_turn, late = object.deadline_of, object.take_turn, object.late

---@class coropanic.socket.stream: coropanic.socket.object
---@field inbox coropanic.socket.inbox  # received, but not returned yet: read ahead, or by a cancelled call
---@field broken string?  # an error that came after the bytes in the inbox
---@field unsent string?  # the rest of a TLS record, which must be sent before anything else
---@field record integer?  # the bytes sent as one TLS record; nil: there are no records

local stream = {}

-- Receiving -----------------------------------------------------------------------------------------------

--- After so many bytes a call that receives or sends more lets the other tasks run.
local CHUNK = 65536

--- The bytes read at once in search of the end of a line: as many as luasocket's own buffer has.
local READ_AHEAD = 8192

--- Returns the pattern: "l", "a", or a number of bytes without the prefix. nil: it is wrong, and luasocket
--- will report it.
---@return "l" | "a" | number?, string? prefix
local function parse(pattern, prefix)
  local kind = type(prefix)
  if kind ~= "string" and kind ~= "nil" and kind ~= "number" then
    return nil
  end
  prefix = prefix == nil and "" or tostring(prefix)
  local size = tonumber(pattern)
  if size and size >= 0 then
    return math.max(size == math.huge and size or math.floor(size) - #prefix, 0), prefix
  elseif pattern == nil then
    return "l", prefix
  elseif type(pattern) == "string" and not size then
    return pattern:match "^%*([la])", prefix
  end
end

--- luasocket removes all carriage returns of a line, even those inside it.
local function without_returns(text)
  return (text:gsub("\r", ""))
end

--- Returns the bytes in the inbox that match the pattern; nil if more must come, and the error if none will.
local function match(self, what)
  local box = self.inbox
  if what == "l" then
    local length = box:line_length()
    return length and without_returns(box:take(length):sub(1, -2))
  elseif what == "a" then
    -- The end of the stream is no error if some bytes have come.
    if self.broken == "closed" and box.size > 0 then
      self.broken = nil
      return box:take(box.size)
    end
  elseif box.size >= what and box.size > 0 then
    return box:take(what)
  end
end

--- Returns the results of a call that fails. The bytes received so far go with them, and to no later call.
local function fail(self, what, prefix, err)
  local box = self.inbox
  local part = box:take(box.size)
  self.broken = nil
  return nil, err, prefix .. (what == "l" and without_returns(part) or part)
end

--- Sends the rest of a TLS record, as far as that is possible without waiting.
---@return string? mode  # what it must wait for; nil: nothing is left
---@return string? err  # why it can't be sent any more
local function push_unsent(self)
  if not self.unsent then
    return nil
  end
  local sent, err, partial = self.raw:send(self.unsent)
  local mode = not sent and wanted_by(err, "w")
  self.unsent = mode and self.unsent:sub(math.tointeger(partial) + 1) or nil
  return mode or nil, not sent and not mode and err or nil
end

--- Returns what a task that receives must wait for. A cancelled sender may have left a TLS record half sent.
--- If no other task is sending, this one sends the rest: the peer may answer only when it has the whole
--- record.
local function what_to_wait_for(self, mode)
  if self.unsent and not self.writing:locked() then
    local pending = push_unsent(self)
    return pending and pending ~= mode and "rw" or mode
  end
  return mode
end

--- Reads the available bytes into the inbox.
---@return string? mode  # what must be waited for before more can be read
local function fill(self, what)
  local box = self.inbox
  -- A call that asks for 0 bytes waits until some are there.
  local count = what == "l" and READ_AHEAD or what == "a" and CHUNK
    or math.min(math.max(what - box.size, 1), CHUNK)
  local data, err, partial = self.raw:receive(count)
  box:push(data or partial)
  local mode = not data and wanted_by(err, "r") or nil
  if not data and not mode then
    self.broken = err
  end
  return mode, err
end

local function receive_in_task(self, what, prefix)
  local deadline = deadline_of(self)
  local turn <close> = take_turn(self, "reading", deadline)
  if not turn then
    return nil, late(self, "r"), prefix
  end
  local found = match(self, what)
  while not found do
    local mode, reason
    if not self.broken then
      mode, reason = fill(self, what)
      found = match(self, what)
    end
    if found then
      break
    elseif self.broken then
      return fail(self, what, prefix, self.broken)
    elseif mode then
      local ready, err = wait(self, what_to_wait_for(self, mode), deadline)
      if not ready then
        return fail(self, what, prefix, err or reason)
      end
    else
      co.yield()
    end
  end
  return prefix .. found, nil, nil
end

--- Receives outside tasks, where luasocket waits. The bytes in the inbox come first.
local function receive_blocking(self, what, prefix, pattern)
  local found = match(self, what)
  if found then
    return prefix .. found, nil, nil
  elseif self.broken then
    return fail(self, what, prefix, self.broken)
  end
  local box = self.inbox
  local kept = box:take(box.size)
  local start = prefix .. (what == "l" and without_returns(kept) or kept)
  local data, err, partial = self.raw:receive(pattern, start)
  if what == "a" and err == "closed" and kept ~= "" then
    return partial, nil, nil
  end
  return data, err, partial
end

--- Like luasocket's receive. If a call is cancelled, the bytes that it had received stay in the inbox for the
--- next one.
function stream:receive(pattern, prefix)
  local in_task = begin(self)
  local what, start = parse(pattern, prefix)
  if not what then
    return self.raw:receive(pattern, prefix) -- it reports what is wrong
  elseif what == 0 and start ~= "" then
    return start, nil, nil
  end
  return (in_task and receive_in_task or receive_blocking)(self, what, start, pattern)
end

function stream:dirty()
  return self.inbox.size > 0 or self.broken ~= nil or self.raw:dirty()
end

--- Bytes still in the inbox do not count as received.
function stream:getstats()
  local received, sent, age = self.raw:getstats()
  return received - self.inbox.size, sent, age
end

function stream:setstats(received, sent, age)
  return self.raw:setstats(tonumber(received) and received + self.inbox.size or received, sent, age)
end

-- Sending -------------------------------------------------------------------------------------------------

--- Returns a position in a text as luasocket counts it: from the end if it is negative.
local function position(value, default, size)
  local n = tonumber(value == nil and default or value)
  if not n then
    return nil
  end
  n = n >= 0 and math.floor(n) or math.ceil(n)
  return n < 0 and size + n + 1 or n
end

--- Waits until the TLS record that an earlier call has begun is sent.
---@return string? err  # nil: it is sent
local function finish_record(self, deadline)
  while self.unsent do
    local mode, failure = push_unsent(self)
    if failure then
      return failure
    elseif mode then
      local ready, err = wait(self, mode, deadline)
      if not ready then
        return err or late(self, mode)
      end
    end
  end
end

local function send_in_task(self, data, first, last)
  local deadline = deadline_of(self)
  local turn <close> = take_turn(self, "writing", deadline)
  if not turn then
    return nil, late(self, "w"), first - 1.0
  end
  local err = finish_record(self, deadline)
  while not err and first <= last do
    local stop = math.min(last, first + (self.record or CHUNK) - 1)
    local sent, reason, partial = self.raw:send(data, first, stop)
    local mode = not sent and wanted_by(reason, "w")
    first = math.tointeger(sent or partial) + 1
    if mode and self.record then
      -- OpenSSL has encrypted all of it, and must get the same bytes again: they are as good as sent.
      self.unsent = data:sub(first, stop)
      first = stop + 1
      err = finish_record(self, deadline)
    elseif mode then
      local ready, failure = wait(self, mode, deadline)
      err = not ready and (failure or reason) or nil
    elseif not sent then
      err = reason
    elseif first <= last then
      co.yield()
    end
  end
  if err then
    return nil, err, first - 1.0
  end
  return first - 1.0, nil, nil
end

--- Like luasocket's send. Calls send one after the other, in the order in which they came.
function stream:send(data, first, last)
  local in_task = begin(self)
  local size = (type(data) == "string" or type(data) == "number") and #tostring(data)
  local from = size and position(first, 1, size)
  local to = size and position(last, -1, size)
  if not in_task or not from or not to then
    push_unsent(self)
    return self.raw:send(data, first, last)
  end
  return send_in_task(self, tostring(data), math.max(from, 1), math.min(to, size))
end

stream.push_unsent = push_unsent

--- Makes a stream, which has some fields more than other sockets.
---@return coropanic.socket.stream
function stream.wrap(metatable, raw)
  local self = object.wrap(metatable, raw)
  self.inbox = inbox.new()
  return self
end

return stream
