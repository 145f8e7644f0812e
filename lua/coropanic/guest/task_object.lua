--- Tasks as scripts see them: join, await, cancel, status and fields; and co.await for callbacks. The twin of
--- csrc/lua/lib_task.c.

local args = require "coropanic.guest.args"
local cancel = require "coropanic.guest.cancel"
local frames = require "coropanic.guest.frames"
local ids = require "coropanic.guest.ids"
local kernel = require "coropanic.guest.kernel"
local list = require "coropanic.guest.list"
local port = require "coropanic.guest.port"
local record = require "coropanic.guest.record"
local task = require "coropanic.guest.task"
local unhandled = require "coropanic.guest.unhandled"
local unwind = require "coropanic.guest.unwind"

local api, HANDLE = kernel.api, kernel.HANDLE
local state = port.state

local function check_task(handle, method, ...)
  local t = kernel.test(handle)
  if t then return t end
  args.refuse_self(handle, "task", method, select("#", ...) + (handle == nil and 0 or 1))
end

-- Join and await -----------------------------------------------------------------------------------------

local function joined_object(t)
  return t.waits_on and kernel.handle(t.waits_on)
end

local function joined_text(t)
  local joined = t.waits_on
  return joined and ('%s of task %d "%s"'):format(t.wait.name, joined.id, kernel.name_of(joined))
end

local function blockers(joined) return { joined } end

local function joining(name)
  return { name = name, object = joined_object, text = joined_text, blockers = blockers, joins = true }
end

local JOIN, AWAIT = joining "join", joining "await"

--- Raises the panic of a deadlock if the wait would close a cycle; set by deadlock.lua.
---@type fun(t, wait, target)|nil
kernel.check_deadlock = nil

--- Parks until `t` has ended or the time has passed. Returns why it was woken.
local function wait_for(t, method, wait, seconds)
  local self = kernel.need(method)
  if self == t then kernel.raise("a task can not %s itself: it would wait for ever", method) end
  if seconds == nil and kernel.check_deadlock then kernel.check_deadlock(self, wait, t) end
  list.append(task.joiners(t), self)
  local reason = kernel.park(self, wait, t, seconds)
  if reason == "ready" then unhandled.arrived(t, not cancel.will_raise(self)) end
  kernel.check_wake(self)
  return reason
end

local function join_result(t)
  if t.status == "done" then return true, task.results(t) end
  unhandled.give(t, "joiner")
  return false, t.record
end

local methods = {}

function methods.join(handle, ...)
  local t = check_task(handle, "join", ...)
  local seconds = args.timeout((...), 1, "join")
  kernel.raise_pending()
  if kernel.ended(t) then return join_result(t) end
  if seconds == 0 then return false, nil end
  local reason = wait_for(t, "join", JOIN, seconds)
  if kernel.ended(t) or reason ~= "timeout" then return join_result(t) end
  return false, nil
end

--- Raises a panic because the task did not return; the task's record is the cause. If it was cancelled or
--- exited it did not panic itself; saying so is a panic of ours.
local function raise_awaited(t)
  unhandled.give(t, "joiner")
  local u = state()
  if t.status == "panicked" then error(record.raise(u, t.record, t.record._kind, 2), 0) end
  local how = t.status == "cancelled" and "was cancelled" or "called goexit"
  local r = record.raise(u, ('awaited task %d "%s" %s'):format(t.id, kernel.name_of(t), how), "panic", 2)
  r._cause = t.record
  error(r, 0)
end

function methods.await(handle, ...)
  local t = check_task(handle, "await", ...)
  if kernel.ended(t) then kernel.raise_pending() else wait_for(t, "await", AWAIT, nil) end
  if t.status == "done" then return task.results(t) end
  raise_awaited(t)
end

function methods.cancel(handle, reason, source)
  local t = check_task(handle, "cancel")
  source = cancel.source_of(source, "explicit")
  local is_live = not kernel.ended(t)
  if t.entry.state == "open" then cancel.note_asker(t) end
  cancel.ask(t.entry, reason, source)
  return is_live
end

function methods.status(handle) return check_task(handle, "status").status end

-- Fields -------------------------------------------------------------------------------------------------

local fields = {}

function fields.id(t) return t.id end
function fields.name(t) return kernel.name_of(t) end
function fields.parent(t) return t.parent and kernel.handle(t.parent) end
function fields.trace_id(t)
  return ids.trace_id(kernel.ended(t) and t.coroutine.context.own or ids.of(t.coroutine))
end
function fields.span_id(t) return ids.span_id(ids.of(t.coroutine)) end
function fields.spawned_at(t) return kernel.spawned_at(t) end
function fields.waiting_on(t) return kernel.waiting_on(t) end
function fields.operation(t) return t.status == "waiting" and t.wait.name or nil end
function fields.where(t) if not kernel.ended(t) then return kernel.where_of(t) end end
function fields.daemon(t) return t.daemon or false end
function fields.attributes(t) return t.attributes end

--- Adds a field of tasks: for other files.
function kernel.add_task_field(name, read) fields[name] = read end

function HANDLE.__index(handle, key)
  local t = check_task(handle, "__index")
  local method = methods[key]
  if method then return method end
  local read = fields[key]
  return read and read(t)
end

function HANDLE.__newindex() kernel.raise "a task's fields can not be set" end

function HANDLE.__tostring(handle)
  local t = check_task(handle, "__tostring")
  return ('task %d "%s" (%s)'):format(t.id, kernel.name_of(t), t.status)
end

-- co.await -----------------------------------------------------------------------------------------------

local CALLBACK = { name = "await" }

--- However co.await is left, its callback is told: by a thin frame around its function.
local AWAITING = { name = "await", thin = true }

local function is_awaited(callback)
  local waiting = callback.task
  if callback.given or callback.left or kernel.ended(waiting) then return false end
  if callback.parked then return waiting.status == "waiting" and waiting.waits_on == callback end
  return waiting == state().current or not cancel.will_raise(waiting)
end

local function resume_callback(callback, ...)
  if not is_awaited(callback) then return false end
  callback.given = true
  frames.set_results(callback, ...)
  if callback.parked then kernel.wake(callback.task, "ready") end
  return true
end

--- The function of co.await has returned: waits, unless it has called resume already. The results come even
--- if a cancellation has come since: that is raised at the next suspension point.
local function wait_callback(callback)
  if not callback.given then
    local self = kernel.need "await"
    callback.parked = true
    kernel.park(self, CALLBACK, callback, nil)
    if not callback.given then kernel.check_wake(self) end
  end
  return frames.results(callback)
end

local function start_callback(callback, fn)
  fn(function(...) return resume_callback(callback, ...) end)
  return wait_callback(callback)
end

function AWAITING.leave(callback, s, how, ...)
  callback.left = true
  return unwind.leave(callback, s, how, ...)
end

function AWAITING.lost(callback) callback.left = true end

function api.await(...)
  local fn = args.callable((...), 1, "await", select("#", ...))
  local t = kernel.need "await"
  local callback = { task = t, parked = false, given = false, left = false, n = 0 }
  return unwind.run(AWAITING, callback, start_callback, callback, fn)
end

return methods
