--- The body of a scope, a time-out or a co.with: a cancel scope whose code runs under a context, in a frame
--- of its own. It is the first half of a scope (scope.lua); a co.with has no second half. The twin of
--- scope/body.h.

local cancel = require "coropanic.guest.cancel"
local context = require "coropanic.guest.context"
local frame_stacks = require "coropanic.guest.frame_stacks"
local frames = require "coropanic.guest.frames"
local kernel = require "coropanic.guest.kernel"
local list = require "coropanic.guest.list"
local port = require "coropanic.guest.port"
local probe = require "coropanic.guest.probe"
local task = require "coropanic.guest.task"

local body = {}

---@class coropanic.guest.body : coropanic.guest.cancel_scope  # see cancel.lua
---@field under table    # binding to its context
---@field exit table     # task.on_end's: called if the task ends while the body is open
---@field saved_exit any # the exit record of the deferred call in which the body was opened
---@field outcome string # "runs", "returned", "panicked", "exited": by an exit that goes on further out,
---                      # "cancelled": by the cancellation of this cancel scope alone

--- Tells the event, with the body as its object.
function body.tell(b, kind)
  local u = port.state()
  u.counts[kind] = u.counts[kind] + 1
  if not u.wants[kind] then return end
  probe.tell(u, { kind = kind, task = b.owner, object = b, calls = kind == "scope_open" or nil })
end

--- Opens a body in the running task t. Run it at once, by unwind.run.
---@param b table  # the object that begins with the body
---@param pass_on? fun(b, reason, source)  # see cancel.lua
---@param ctx table  # the context under which it runs
---@param on_end fun(b)  # called if the task ends while the body is open
function body.open(b, pass_on, t, ctx, on_end)
  local s = frame_stacks.of(t.coroutine)
  b.under = { context = ctx, scope = b }
  b.outcome = "runs"
  b.pass_on = pass_on
  cancel.open(b, t)
  b.has_deadline = ctx.due ~= nil
  b.exit = task.on_end(t, function() return on_end(b) end)
  b.saved_exit = frames.save_exit(s)
end

--- Lets the end of the context cancel the body; cancels it now if the context has ended.
function body.bind(b)
  local ctx = b.under.context
  if context.bind(b.under) then return end
  cancel.ask(b, context.cause(ctx), context.source(ctx))
end

--- Cancels the body, and what depends on it, without a reason.
function body.cancel(b, source) cancel.ask(b, nil, source) end

local function outcome_of(s, how)
  if how == "returning" then return "returned" end
  if how == "panicking" then return "panicked" end
  return frames.is_exiting(s) and "exited" or "cancelled"
end

--- Call it when the body's frame, the innermost one, is closed. Unless the body has returned, cancels what
--- depends on it.
function body.leave(b, s, how)
  cancel.leave(b)
  frames.restore_exit(s, b.saved_exit)
  local outcome = outcome_of(s, how)
  b.outcome = outcome
  -- A cancellation may have come together with the last event that the body waited for, and not been raised.
  if outcome == "exited" or cancel.is_due(b.owner) then
    body.cancel(b, "parent")
  elseif outcome == "panicked" then
    body.cancel(b, "scope")
  end
end

--- Call it when the activation of the body is lost and its frame, the innermost one, must be closed.
function body.leave_lost(b)
  cancel.leave(b)
  body.cancel(b, "parent")
end

--- Ends a body that was left.
function body.close(b)
  cancel.close(b)
  task.off_end(b.exit)
  list.remove(b.under)
  body.tell(b, "scope_close")
end

--- For a body that has returned: raises a cancellation of the task that has come meanwhile.
function body.raise_pending(b)
  local t = b.owner
  if kernel.needs_unwinding(t) then kernel.cancel_raise(t.universe, t) end
end

return body
