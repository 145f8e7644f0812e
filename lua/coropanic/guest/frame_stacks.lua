--- The frame stacks of coroutines: made when a coroutine opens its first frame, and used again for others.

local frames = require "coropanic.guest.frames"
local kernel = require "coropanic.guest.kernel"

local frame_stacks = {}

local here = kernel.here

--- Frame stacks at rest.
local pool, pooled = {}, 0
local MAX_POOLED = 1024

--- The frame stack of a coroutine; a task's begins with its entry.
function frame_stacks.of(c)
  local s = c.frames
  if s ~= nil then return s end
  if pooled > 0 then
    s = pool[pooled]
    pooled = pooled - 1
    s.foreign = c.foreign
  else
    s = frames.new(c.foreign)
  end
  c.frames = s
  if c.task ~= nil then frames.push(s, frames.ENTRY) end
  return s
end

--- Gives a task's frame stack back; no code runs in its frames any more. Thin frames are closed: scopes end
--- with the task by themselves.
function frame_stacks.release(c)
  local s = c.frames
  if s == nil then return end
  while s.depth > 1 do
    local f = s[s.depth]
    local object = f.object
    f.count = 0
    if f.type.thin and f.type.lost then f.type.lost(object, s) end
    frames.pop(s)
  end
  c.frames = nil
  frames.clear(s)
  if pooled < MAX_POOLED then
    pooled = pooled + 1
    pool[pooled] = s
  end
end

--- The frame stack of the running code; nil if it has none yet.
function frame_stacks.find() return here().frames end

return frame_stacks
