--- Cancellation: asks a task, or a cancel scope of its code, to end, and raises that at its suspension points
--- until the cancelled code has ended. The twin of kernel/cancel.h and kernel/cancel_scope.h.
---
--- A cancel scope is {state, source, reason, owner, floor, outer, pass_on, has_deadline}. The entry of a
--- task, t.entry, is its outermost one, with floor 1; inner ones are the bodies of scopes, time-outs and
--- co.with.
---   state         "open", "left", "asked", "answered", "closed": see cancel_scope.h
---   source        "explicit", "deadline", "scope", "parent", "shutdown", "interrupt": set when it was asked
---   owner, floor  the task whose code it is, and the index of its frame
---   outer         the next open one further out; nil: only the entry is
---   pass_on(c, reason, source)   of an inner one: cancels what depends on it
---   object        what observers are told of; for the entry it is the task
---   has_deadline  the context under which it runs has a deadline, which will end it

local args = require "coropanic.guest.args"
local compat = require "coropanic.guest.compat"
local frame_stacks = require "coropanic.guest.frame_stacks"
local frames = require "coropanic.guest.frames"
local kernel = require "coropanic.guest.kernel"
local port = require "coropanic.guest.port"
local probe = require "coropanic.guest.probe"
local record = require "coropanic.guest.record"
local unwind = require "coropanic.guest.unwind"

local cancel = {}

local state, isyieldable = port.state, compat.isyieldable
local WEAK = { __mode = "k" }

--- After so many raises of an exit without a suspension in between, the task is unwound by force.
cancel.MAX_RAISES = 100
kernel.MAX_RAISES = cancel.MAX_RAISES

-- Cancel scopes ------------------------------------------------------------------------------------------

function cancel.new_entry(t)
  local entry = { state = "open", source = false, owner = false, floor = 1 }
  entry.source, entry.owner = nil, t
  return entry
end

--- Opens an inner cancel scope, whose frame is about to be opened as the innermost one of the task.
---@param c table  # a new one, or the object that can be cancelled; fields as above
function cancel.open(c, t)
  local s = frame_stacks.of(t.coroutine)
  c.state, c.owner, c.floor = "open", t, s.depth + 1
  c.outer = s.innermost
  s.innermost = c
end

--- The task's innermost open inner cancel scope; nil: none.
function cancel.innermost(t)
  local s = t.coroutine.frames
  return s and s.innermost
end

--- Call it when the request to end was raised.
local function answer(c)
  if c.state ~= "asked" then return end
  c.state = "answered"
  c.owner.asked = c.owner.asked - 1
end
cancel.answer = answer

--- The code of the cancel scope has ended: nothing is raised there any more.
function cancel.leave(c)
  answer(c)
  if c.state == "open" then c.state = "left" end
end

--- Closes the innermost cancel scope of its task; or the entry, when the task ends.
function cancel.close(c)
  local s = c.owner.coroutine.frames
  if s ~= nil and s.innermost == c then s.innermost = c.outer end
  answer(c)
  c.state = "closed"
end

--- Whether it was asked to end.
function cancel.is_cancelled(c) return c.state == "asked" or c.state == "answered" end

-- Shielding ----------------------------------------------------------------------------------------------

--- The frame stack of the innermost coroutine inside the task in which anything is unwinding; nil: none.
local function find_unwinding(t)
  local c = t.top
  while c ~= t.coroutine do
    if c.frames and frames.shield(c.frames) > 1 then return c.frames end
    c = c.outer
  end
end

--- The index of the outermost frame of the task that may be exited now. While a coroutine inside it is
--- unwinding by itself, none may.
local function shield_of(t)
  if t.top ~= t.coroutine and find_unwinding(t) then return math.huge end
  local s = t.coroutine.frames
  return s and frames.shield(s) or 1
end

--- Whether a request that unwinds from frame `floor` has to wait until other unwinding is over.
function cancel.is_shielded(t, floor) return floor < shield_of(t) end

--- The task's outermost cancel scope that waits to be raised and is not shielded; nil: none.
local function find_due(t)
  if t.asked == 0 then return nil end
  local shield = shield_of(t)
  if shield == 1 and t.entry.state == "asked" then return t.entry end
  local found = nil
  local s = t.coroutine.frames
  local c = s and s.innermost
  while c ~= nil and c.floor >= shield do
    if c.state == "asked" and c.floor <= s.depth then found = c end
    c = c.outer
  end
  return found
end

--- Whether any request could be raised in the current task now.
function cancel.is_due(t) return t.asked > 0 and t.universe.hooks == 0 and find_due(t) ~= nil end

--- Whether kernel.cancel_raise would raise.
function cancel.will_raise(t)
  local s = find_unwinding(t) or t.coroutine.frames
  return s ~= nil and frames.is_exiting(s) or cancel.is_due(t)
end

-- Asking -------------------------------------------------------------------------------------------------

--- Remembers the running task as the one that asks `t` to end; the record will name it.
function cancel.note_asker(t)
  local current = state().current
  if current == nil then return end
  local u = t.universe
  if u.askers == nil then u.askers = setmetatable({}, WEAK) end
  u.askers[t] = current
end

-- The sources that policies of coropanic.resilience give.
local OF_POLICIES = { boundary = true, hedge = true, supervisor = true }

--- The source that an argument of `cancel` names; `fallback` if it is nil.
function cancel.source_of(value, fallback)
  if value == nil then return fallback end
  if type(value) ~= "string" then args.type_error(value, 2, "cancel", "string") end
  if not OF_POLICIES[value] then args.refuse(2, "cancel", ("invalid option '%s'"):format(value)) end
  return value
end

--- Asks the cancel scope's code, and what depends on it, to end. Returns false, and changes nothing, if it
--- was asked already or is closed.
---@param c table  # t.entry, or an inner cancel scope
---@param source string
---@return boolean
function cancel.ask(c, reason, source)
  local t = c.owner
  if c.state ~= "open" and c.state ~= "left" then return false end
  local is_left = c.state == "left"
  c.state, c.source = "answered", source -- until everything that depends on it was asked
  local u = t.universe
  u.counts.cancel = u.counts.cancel + 1
  if u.wants.cancel then
    local object = c == t.entry and kernel.handle(t) or c.object or c
    probe.tell(u, { kind = "cancel", task = t, object = object, extra = source })
  end
  if c.pass_on then c:pass_on(reason, source) end
  if is_left then return true end
  c.reason, c.state = reason, "asked"
  t.asked = t.asked + 1
  if t.status == "waiting" and not cancel.is_shielded(t, c.floor) then kernel.wake(t, "cancelled") end
  return true
end

--- The same for the entry of a new task, which no other code sees yet.
function cancel.ask_new(t, reason, source)
  local c = t.entry
  c.reason, c.source, c.state = reason, source, "asked"
  t.asked = t.asked + 1
end

-- Raising ------------------------------------------------------------------------------------------------

--- The record of the cancellation of a cancel scope.
---@param source? string  # nil: c.source
function cancel.make_record(c, source)
  source = source or c.source
  local u, t = c.owner.universe, c.owner
  local r = record.exit(u, c.reason, source == "deadline" and "timeout" or "cancelled", source)
  if source == "explicit" or OF_POLICIES[source] then
    r._by = c == t.entry and u.askers and u.askers[t] or false
    record.note_points(r, t)
  end
  return r
end

--- Parks the task for good: it has swallowed its exit too often. It is never resumed; its host ends it.
local function force(u, t, r)
  if t.entry.state == "asked" then r = cancel.make_record(t.entry) end
  r._forced = true
  local s = t.coroutine.frames
  if s ~= nil and s.depth > 0 then frames.begin_exit(s, r, 1) end
  answer(t.entry)
  t.raises = 0
  t.forced = r
  u.current = nil
  port.park(t, nil)
end

--- Call it before raising the exit of the current task.
function kernel.count_raise(u, t, r)
  if t.raises < cancel.MAX_RAISES then t.raises = t.raises + 1 end
  if t.raises == cancel.MAX_RAISES and isyieldable() ~= false then force(u, t, r) end
end

--- Raises in the current task: the exit that unwinds its innermost frame, or else the outermost request that
--- is not shielded. Returns if there is neither.
function kernel.cancel_raise(u, t)
  if u.hooks > 0 then return end -- they run inside the task, but were not asked to end
  local c = kernel.here()
  local inside = c ~= t.coroutine
  local unwinding = inside and find_unwinding(t) or nil
  local s = unwinding or t.coroutine.frames
  if s ~= nil and frames.is_exiting(s) then
    kernel.count_raise(u, t, s.exit)
    error(s.exit, 0)
  end
  if unwinding then return end
  local due = find_due(t)
  if due == nil then return end
  local r = cancel.make_record(due)
  kernel.count_raise(u, t, r)
  if not inside then
    answer(due)
    return unwind.exit(r, due.floor)
  end
  -- In a coroutine inside the task the request stays: it is raised again in the resumer of the coroutine, and
  -- counts as raised when it gets to the task's own (cancel.raise_outwards).
  local own = c.frames
  if own ~= nil and own.depth > 0 then frames.begin_exit(own, r, 1) end
  error(r, 0)
end

--- Raises the record of an exit that has ended a coroutine inside the task, in the code that had resumed it.
--- In the task's own coroutine the task's exit begins there.
function cancel.raise_outwards(u, r)
  local t = u.current
  if t == nil or kernel.here() ~= t.coroutine then return error(r, 0) end
  local s = t.coroutine.frames
  if s ~= nil and frames.is_exiting(s) then return error(r, 0) end
  local due = r._source and find_due(t) or nil
  if due == nil then return unwind.exit(r, 1) end
  answer(due)
  return unwind.exit(r, due.floor)
end

return cancel
