--- Calls the functions that scripts have set: the panic handler, the hook on_start, and observers. No error
--- of theirs stops the loop. The twin of kernel/handler.h.

local compat = require "coropanic.guest.compat"
local frame_stacks = require "coropanic.guest.frame_stacks"
local frames = require "coropanic.guest.frames"
local kernel = require "coropanic.guest.kernel"
local port = require "coropanic.guest.port"
local probe = require "coropanic.guest.probe"
local record = require "coropanic.guest.record"
local report = require "coropanic.guest.report"
local unwind = require "coropanic.guest.unwind"

local handler = {}

--- The tasks that a handler spawns at the end of a run run too. If they panic, the handler is called again
--- and may spawn again; after so many times in a row the next record is reported.
handler.MAX_DEPTH = 8

--- The exit status of a process that an unrecovered panic ends, as in Go.
local CRASH_STATUS = 2

--- An exit in a hook ends with the hook, and an exit of the code that called the hook does not unwind it.
local HOOK = { name = "hook", shields = true, stops = true, thin = true }

--- Calls a hook, in a frame of its own. All is counted here: a stack that is full may have no room for
--- the protected call itself, and then nothing counts down.
local function run_hook(u, s, fn, ...)
  if s ~= nil then frames.push(s, HOOK) end
  u.hooks = u.hooks + 1
  return fn(...)
end

--- Calls a function, protected. Returns nil, or the record of its panic.
local function call_protected(u, fn, ...)
  local s = frame_stacks.find()
  local saved, depth
  if s ~= nil then
    saved = frames.save_exit(s)
    depth = s.depth
  end
  local hooks = u.hooks
  local ok, err = compat.xpcall(run_hook, unwind.handler, u, s, fn, ...)
  u.hooks = hooks
  if s ~= nil then
    while s.depth > depth do frames.pop(s) end
    frames.restore_exit(s, saved)
  else
    -- the hook itself may have made the frame stack; then nothing in it has stopped the hook's exits
    local made = frame_stacks.find()
    for i = 1, made and made.depth or 0 do made[i].exiting = false end
  end
  if ok then return nil end
  return unwind.settle(err)
end

--- Gives a record to the panic handler: that of this run, else that of on_panic, else the default.
---@param t? table  # the task that panicked
function handler.report(u, r, t)
  u.counts.unhandled = u.counts.unhandled + 1
  local handle = t and kernel.handle(t) or nil
  if u.wants.unhandled then
    probe.tell(u, { kind = "unhandled", calls = true, task = t, object = r, extra = handle })
  end
  local fn
  local depth = t and t.aftermath or 0
  if depth < handler.MAX_DEPTH then
    if u.unhandled == "call" then fn = u.unhandled_fn elseif u.unhandled == "report" then fn = u.on_panic end
  end
  if fn then
    local outer = u.aftermath
    if u.finishing then u.aftermath = depth + 1 end
    local failure = call_protected(u, fn, r, handle)
    u.aftermath = outer
    if failure then
      report.write(failure)
      fn = nil
    end
  end
  if not fn then report.write(r) end
  if u.unhandled == "crash" then (port.exit or os.exit)(CRASH_STATUS) end
end

--- Calls a function of a script. If it panics, the record is reported with the task.
function handler.call(u, t, fn, ...)
  local failure = call_protected(u, fn, ...)
  -- an exit of the task in which the hook runs is not reported
  if failure and not failure._exits then handler.report(u, failure, t) end
end

--- Calls the hook on_start in the coroutine whose function is about to begin.
function handler.run_start(u)
  if not u.on_start then return end
  local failure = call_protected(u, u.on_start)
  if failure then handler.report(u, failure) end
end

kernel.handler = handler
record.handler = handler
return handler
