--- The guest's kernel: coroutines, the running task, and how tasks wait and are woken. The twin of
--- kernel/coroutine.h, task.h and wait.h. Other files build on this one:
---
---   compat, list, universe, port                      below it
---   probe.lua          the stream of events           text.lua, record.lua   panic records
---   frames.lua, frame_stacks.lua    frame stacks      unwind.lua   the calls that they ask for: func, call,
---   cancel.lua         cancellation, cancel scopes                 defer, recover, frames of other types
---   task.lua           spawn, the end of a task       unhandled.lua, handler.lua   who hears of a panic
---
--- Objects:
---   a coroutine  {thread, frames, task, outer, top, state, context}: frames.lua has its frame stack
---   a task       {id, name, status, coroutine, wait, waits_on, wake, ...}: new_task in task.lua lists the
---                fields. Scripts see its handle, kernel.handle(t); kernel.test(value) goes back.
---
--- A way to wait is a constant table, the twin of kernel/wait.h. All but `name` may be missing:
---   name               "receive": the suspension point, in reports and in task.operation
---   verb               used in "<verb> of <object>"; else `name`
---   object(t)          the object that the task waits for, for task.waiting_on; nil: none
---   text(t)            a text about the wait; nil: it waits no longer
---   leave(t)           takes the task, which is woken or ends, out of its queues; harmless if it is in none;
---                      without it the task itself is a node of one list (list.lua)
---   left_unserved(x)   a task has left its `waits_on`, x, without being served: serve those behind it
---   blockers(x)        an array of the tasks that can end a wait for x
---   gave_way(t)        whether the ready task only let others run
---   reads, joins, from_outside   as in wait.h

local compat = require "coropanic.guest.compat"
local list = require "coropanic.guest.list"
local port = require "coropanic.guest.port"
local probe = require "coropanic.guest.probe"

local kernel = {}

local state, running, MAIN = port.state, compat.running, compat.MAIN
local isyieldable = compat.isyieldable
local getinfo = compat.getinfo
local error, type, rawget, tostring, setmetatable = error, type, rawget, tostring, setmetatable
local huge = math.huge

--- The module's table: what `require "coropanic"` returns.
kernel.api = {}

-- Errors -------------------------------------------------------------------------------------------------

-- "@.../coropanic/": chunks of the guest and its hosts begin so.
local ROOT = getinfo(1, "S").source:match "^(.*)guest[/\\]kernel%.lua$" or "=?"
local GUEST, HOST = ROOT .. "guest", ROOT .. "host"
local FACADE = port.name and ROOT .. port.name .. ".lua" -- coropanic.nginx
kernel.UNWIND = GUEST .. getinfo(1, "S").source:match "[/\\]kernel%.lua$":gsub("kernel", "unwind")

-- Chunks in which the host waits, by name.
local SOURCES = port.sources or {}

--- Whether a chunk's name is that of one of our files, or of one that works for us.
function kernel.is_ours(source)
  return source:sub(1, #GUEST) == GUEST or source:sub(1, #HOST) == HOST or SOURCES[source] == true
    or source == FACADE
end
local is_ours = kernel.is_ours

--- `file:line: ` of the innermost function that is not ours; "" for a C function or none.
local function where()
  local level = 2
  while true do
    local info = getinfo(level, "Sl")
    if info == nil then return "" end
    if not is_ours(info.source) and info.what ~= "tail" then
      return info.currentline > 0 and ("%s:%d: "):format(info.short_src, info.currentline) or ""
    end
    level = level + 1
  end
end
kernel.where = where

--- Raises a plain error, at the place in user code that called us. With arguments, `message` is a format.
function kernel.raise(message, ...)
  if select("#", ...) > 0 then message = message:format(...) end
  return error(where() .. message, 0)
end

--- A name for the value's type: its __name, its Lua type.
function kernel.type_name(value)
  local meta = compat.getmetatable(value)
  local name = type(meta) == "table" and rawget(meta, "__name")
  return type(name) == "string" and name or type(value)
end

-- Coroutines ---------------------------------------------------------------------------------------------

--- In Lua 5.1: the coroutine of a protected call -> the thread that waits for it. nil: protected calls have
--- no coroutines of their own.
kernel.below = not compat.yields_in_pcall and compat.below or nil

--- Makes the coroutine of a thread that is no task's; it is not the universe's main thread unless said.
local function make_coroutine(u, thread, is_main)
  local c = { thread = false, top = false, frames = false, state = "resting", foreign = false }
  c.thread, c.top, c.frames, c.foreign = thread, c, nil, not is_main
  if is_main then u.by[thread] = c else u.others[thread] = c end
  return c
end

--- The coroutine of a thread that is no task's; made if it is not known.
function kernel.coroutine_of(u, thread)
  return u.by[thread] or u.others[thread] or make_coroutine(u, thread)
end

--- The coroutine whose code runs, found by its thread; made if it is not known.
local function find_running(u)
  local thread, is_main = running()
  local key = thread or MAIN
  return u.by[key] or u.others[key] or make_coroutine(u, key, is_main or thread == nil)
end

local here_in
if port.exact then
  here_in = find_running
else
  -- LuaJIT does not compile coroutine.running, so u.here is kept up to date instead: by the loop, and by the
  -- functions that resume coroutines (coroutine.lua). nil: the coroutine has needed nothing yet.
  function here_in(u)
    local c = u.here
    if c ~= nil then return c end
    c = find_running(u)
    u.here = c
    return c
  end
end

--- The coroutine whose code runs; made if it is not known.
function kernel.here() return here_in(state()) end

-- Tasks --------------------------------------------------------------------------------------------------

--- The running task; nil outside tasks.
function kernel.current() return state().current end

local ENDED = { done = true, panicked = true, cancelled = true, exited = true }

--- Whether the task has ended.
function kernel.ended(t) return ENDED[t.status] == true end

function kernel.name_of(t) return t.name or "task " .. t.id end

--- The place where the task was spawned, "file.lua:12"; "?" if that is no code of Lua.
function kernel.spawned_at(t)
  local site = t.site
  if type(site) == "table" then
    site = kernel.site_text(site)
    t.site = site
  end
  return site or "?"
end

--- Whether a function is ours. To ask for its source costs more than all else here.
local OURS = setmetatable({}, { __mode = "k" })

local function is_our_function(fn)
  local ours = OURS[fn]
  if ours == nil then
    ours = is_ours(getinfo(fn, "S").source)
    OURS[fn] = ours
  end
  return ours
end

--- `file:line` of what kernel.site has returned.
function kernel.site_text(site)
  return ("%s:%d"):format(getinfo(site.func, "S").short_src, site.currentline)
end

--- {func, currentline} of the innermost function that is not ours in the coroutines that have resumed the
--- running one.
local function site_around()
  local c = here_in(state()).outer
  while c ~= nil and type(c.thread) == "thread" do
    local level = 1 -- 0 is the `resume` in which it waits
    local info = getinfo(c.thread, level, "fl")
    while info do
      if info.currentline > 0 and not is_our_function(info.func) then return info end
      level = level + 1
      info = getinfo(c.thread, level, "fl")
    end
    c = c.outer
  end
end

--- {func, currentline} of the innermost function of the running code that is not ours, from `level` on; nil:
--- there is none.
---@param is_outside? boolean  # none of ours is there: of closures that are made anew nobody remembers that
function kernel.site(level, is_outside)
  level = level + 1
  while true do
    local info = getinfo(level, "fl")
    if info == nil then return site_around() end
    if info.currentline > 0 and (is_outside or not is_our_function(info.func)) then return info end
    level = level + 1
  end
end

--- Whether a value is an object of the API, made of a table: plain data shows its type alone.
local OBJECTS = setmetatable({}, { __mode = "k" })
function kernel.is_object(value) return OBJECTS[compat.getmetatable(value)] or false end

--- Makes the metatable of a type of objects, hidden from scripts.
---@param name string  # "mutex"
function kernel.new_type(name, methods, metamethods)
  local meta = metamethods or {}
  meta.__index, meta.__name, meta.__metatable = meta.__index or methods, "coropanic." .. name, name
  OBJECTS[meta] = true
  return meta
end

--- The task as scripts see it. The metatable is made by task_object.lua.
kernel.HANDLE = { __metatable = "task", __name = "coropanic.task" }
local HANDLE = kernel.HANDLE

function kernel.handle(t)
  local handle = t.handle or t.weak_handle and t.weak_handle[1]
  if handle == nil then
    handle = setmetatable({ ["\0task"] = t }, HANDLE)
    if t.weak_handle then t.weak_handle[1] = handle else t.handle = handle end
  end
  return handle
end

--- The task of a handle; nil for any other value.
function kernel.test(value)
  return type(value) == "table" and compat.getmetatable(value) == HANDLE and rawget(value, "\0task") or nil
end

-- Suspending ---------------------------------------------------------------------------------------------

--- Whether a cancellation or exit may have to be raised at the task's next suspension point.
local function needs_unwinding(t)
  if t.asked > 0 then return true end
  local s = t.coroutine.frames
  return s ~= nil and s.depth > 0 and s[s.depth].exiting
end
kernel.needs_unwinding = needs_unwinding

--- Raises what is due; set by cancel.lua.
kernel.cancel_raise = nil

--- Why the running code can't suspend; set by obstacle.lua.
kernel.refuse_suspension = nil

--- In Lua 5.1 a metamethod can't yield, and nothing tells that the running code is in one but that a yield
--- fails. So the host lets the task yield before anything is done for its wait.
---@param name string
local function try_to_yield(t, name)
  t.trying = name
  port.try(t)
  t.trying = nil
end

local YIELD_ERROR = "attempt to yield across metamethod/C-call boundary"

--- The error of a try that has failed says what could not suspend, and where.
function compat.explain(err, thread)
  local t = state().current
  if t == nil or t.trying == nil or err ~= YIELD_ERROR then return err end
  local name, place = t.trying, kernel.place_in(thread)
  t.trying = nil
  return ("%s'%s' can not suspend here: a metamethod is in the way; do this before or after it")
    :format(place and place .. ": " or "", name)
end

--- The running task. Raises unless its code may suspend here; then raises the pending cancellation, if any,
--- as every suspension point does.
---@param name string  # the API function, for the message
function kernel.need(name)
  local u = state()
  local t = u.current
  local can = isyieldable()
  local is_here = t ~= nil and here_in(u) == t.top and (running() or MAIN) == t.top.thread
  if not is_here or can == false or u.hooks > 0 then
    kernel.refuse_suspension(u, t, name)
  end
  if can == nil and port.try ~= nil then try_to_yield(t, name) end
  if needs_unwinding(t) then kernel.cancel_raise(u, t) end
  return t
end

--- Raises the pending cancellation, if any, if the running code is a task's; for operations that may not have
--- to suspend.
function kernel.raise_pending()
  local u = state()
  local t = u.current
  if t ~= nil and needs_unwinding(t) and here_in(u) == t.top then kernel.cancel_raise(u, t) end
end

--- Takes a task out of all its queues. Returns the object that it waited for; nil: none any more.
local function leave_queues(t)
  local left = t.waits_on
  if t.wait.leave and t.status ~= "ready" then t.wait.leave(t) else list.remove(t) end
  t.waits_on = nil
  return left
end

--- A task that ends while it waits leaves its queues, and those behind it are served.
function kernel.leave_unserved(t)
  if t.status == "running" then
    t.waits_on = nil
    return
  end
  local left = leave_queues(t)
  if left ~= nil and t.wait.left_unserved then t.wait.left_unserved(left) end
end

--- Makes a waiting task ready.
---@param reason? string  # "ready" (nil), "timeout", "cancelled", "deadlock", "closed", "abandoned"
function kernel.wake(t, reason)
  reason = reason or "ready"
  local left = leave_queues(t)
  t.status, t.wake = "ready", reason
  local u = t.universe
  if u.wants.wake then
    probe.tell(u, { kind = "wake", task = t, object = kernel.handle(t), extra = reason })
  end
  port.wake(t)
  if reason ~= "ready" and left ~= nil and t.wait.left_unserved then t.wait.left_unserved(left) end
end

--- Parks the running task, which kernel.need has returned: put it into its queues before. Returns why it was
--- woken: see kernel.wake. Does not raise the cancellation: kernel.check_wake does.
---@param wait table  # the way to wait
---@param waits_on any  # what it waits for: t.waits_on
---@param seconds? number  # nil, or infinity: for ever
---@return string reason
function kernel.park(t, wait, waits_on, seconds)
  local u = t.universe
  if seconds == huge then seconds = nil end
  t.wait, t.waits_on, t.status, t.timed = wait, waits_on, "waiting", seconds ~= nil
  t.raises = 0
  if seconds ~= nil then
    u.counts.timer = u.counts.timer + 1
    if u.wants.timer then
      local at = port.now() + seconds
      probe.tell(u, { kind = "timer", task = t, object = kernel.handle(t), extra = at })
    end
  end
  u.current = nil
  port.park(t, seconds)
  u.current = t
  if t.status == "waiting" then -- nobody has woken it: the host's time has passed
    leave_queues(t)
    t.wake = "timeout"
  end
  t.status, t.timed = "running", false
  return t.wake
end

local DEADLOCK = "all tasks are asleep - deadlock!"

--- Call it after a wait: raises the cancellation or deadlock with which the task was woken.
function kernel.check_wake(t)
  if needs_unwinding(t) then kernel.cancel_raise(t.universe, t) end
  if t.wake == "deadlock" then
    t.wake = "ready"
    kernel.raise_kind("deadlock", DEADLOCK)
  end
end

--- kernel.park and kernel.check_wake.
function kernel.wait(t, wait, waits_on, seconds)
  local reason = kernel.park(t, wait, waits_on, seconds)
  if reason == "deadlock" or needs_unwinding(t) then kernel.check_wake(t) end
  return reason
end

compat.interpreted(kernel.need, kernel.park, kernel.wait, kernel.check_wake)

-- Waits, described ---------------------------------------------------------------------------------------

--- The wait of a task that has not waited yet.
kernel.NO_WAIT = { name = "nothing" }

--- The object that the task waits for: the joined task, a lock, ..., or a name; nil: it does not wait.
function kernel.waiting_on(t)
  if t.status ~= "waiting" then return nil end
  local object = t.wait.object and t.wait.object(t)
  if object == nil then return t.wait.name end
  return object
end

--- The same as a text: "sleep", `join of task 3 "reader"`.
function kernel.waiting_text(t)
  local wait = t.wait
  local text
  if wait.text then
    text = wait.text(t)
  elseif wait.object then
    local object = wait.object(t)
    if object ~= nil then text = (wait.verb or wait.name) .. " of " .. tostring(object) end
  end
  return text or wait.name
end

--- The place of the innermost function of a thread that is not ours; nil: there is none.
function kernel.place_in(thread)
  local level = 0
  while true do
    local info = getinfo(thread, level, "Sl")
    if info == nil then return nil end
    if info.currentline > 0 and not is_ours(info.source) then
      return ("%s:%d"):format(info.short_src, info.currentline)
    end
    level = level + 1
  end
end

--- Where a live task stands: "file:line" of its innermost Lua function; "?".
function kernel.where_of(t)
  if ENDED[t.status] then return "?" end
  local c = t.top
  while c ~= nil do
    local thread = c.thread
    while type(thread) == "thread" do
      local place = compat.status(thread) ~= "dead" and kernel.place_in(thread)
      if place then return place end
      thread = kernel.below and kernel.below[thread]
    end
    c = c.outer
  end
  return "?"
end

--- {id, name, operation, waiting_on, where, spawned_at} of a waiting task.
function kernel.describe_wait(t)
  return {
    id = t.id, name = kernel.name_of(t), operation = t.wait.name, waiting_on = kernel.waiting_text(t),
    where = kernel.where_of(t), spawned_at = kernel.spawned_at(t),
  }
end

--- The live tasks, in the order of their ids.
function kernel.each(u)
  local result, n = {}, 0
  local t = u.first
  while t ~= nil do
    n = n + 1
    result[n] = t
    t = t.after
  end
  return result
end

return kernel
