--- A socket as a task sees it: calls that wait, instead of callbacks.

local uv = require "luv"
local co = require "coropanic"

-- A refused client may still be sending. Closing at once would reset the connection and destroy the answer
-- on its way, so we read on for a moment (RFC 9112, section 9.6), within these bounds.
local LINGER_SECONDS = 2
local LINGER_BYTES = 4 * 1024 * 1024

---@class Stream
---@field buffer string  # received and not yet consumed
local Stream = {}
Stream.__index = Stream

--- Parks the task until `start`'s callback or the time limit, whichever is first; the later one is ignored.
---@return string? err, string? data
local function wait(self, start)
  if self.expired then
    return "ETIMEDOUT"
  end
  return co.await(function(resume)
    local function once(...)
      if self.waiter == once then
        self.waiter = nil
        resume(...)
      end
    end
    self.waiter = once
    start(once)
  end)
end

--- Sets how long the operations from here on may take together.
---@param seconds number
function Stream:limit(seconds)
  self.expired = false
  uv.update_time()
  self.timer:start(math.ceil(seconds * 1000), 0, function()
    self.expired = true
    if self.waiter then
      self.waiter("ETIMEDOUT")
    end
  end)
end

--- Waits for more bytes in `buffer`. Reading stops in between, so a fast sender is slowed down by TCP and
--- not by our memory.
---@return boolean more  # false at the end of the stream, on an error, or when the time is up
---@return string? err   # nil at the end of the stream
function Stream:fill()
  local err, chunk = wait(self, function(resume)
    local ok, reason = self.handle:read_start(resume)
    if not ok then
      resume(reason)
    end
  end)
  self.handle:read_stop()
  if not chunk then
    return false, err
  end
  self.buffer = self.buffer .. chunk
  return true
end

--- Sends all of `data`.
---@param data string
---@return boolean ok, string? err
function Stream:write(data)
  local err = wait(self, function(resume)
    local request, reason = self.handle:write(data, resume)
    if not request then
      resume(reason)
    end
  end)
  return err == nil, err
end

--- Says that nothing more will be sent, and lets the peer finish too.
function Stream:finish()
  self:limit(LINGER_SECONDS)
  wait(self, function(resume)
    if not self.handle:shutdown(resume) then
      resume() -- not connected any more
    end
  end)
  local dropped = 0
  repeat
    dropped = dropped + #self.buffer
    self.buffer = ""
  until dropped > LINGER_BYTES or not self:fill()
end

local function close(handle)
  if not handle:is_closing() then
    handle:close()
  end
end

--- Releases the socket; also good from a deferred call while the task is being cancelled. Takes no memory, of
--- which there may be none.
function Stream:close()
  self.waiter = nil
  close(self.timer)
  close(self.handle)
end

local stream = {}

--- Wraps a connected socket of luv.
---@return Stream
function stream.new(handle)
  return setmetatable({ handle = handle, timer = uv.new_timer(), buffer = "", expired = false }, Stream)
end

return stream
