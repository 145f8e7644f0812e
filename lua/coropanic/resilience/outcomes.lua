--- Calls a function in a frame that always tells how the call has ended: the one way in which policies watch
--- a call, so that no permit is lost.

local co = require "coropanic"

if require "coropanic.resilience.cooperates" then co.cooperative() end

local outcomes = {}

local pcall, call, defer = co.pcall, co.call, co.defer

-- The call was unwound: its task was cancelled, or has called co.goexit, or its coroutine was closed.
local function abandoned(watch)
  if watch.has_ended then return end
  watch.has_ended = true
  watch:ended "cancelled"
end

local function finish(watch, ok, ...)
  watch.has_ended = true
  if ok then
    watch:ended "ok"
    return ...
  end
  watch:ended("failed", (...))
  error(..., 0) -- the same record
end

local function watched(watch, fn, ...)
  defer(abandoned, watch)
  return finish(watch, pcall(call, fn, ...))
end

--- Calls `fn(...)` in a frame of its own, and once `watch:ended(outcome, record)`, with "ok", "failed" or
--- "cancelled", and with the record if it has failed. Returns or raises as `fn`.
---@param watch table
function outcomes.call(watch, fn, ...) return call(watched, watch, fn, ...) end

return outcomes
