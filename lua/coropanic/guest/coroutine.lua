--- co.coroutine: Lua's coroutine library, but tasks may suspend inside its coroutines; and co.instrument,
--- which replaces Lua's library by it. Also the guards in Lua's own library, which refuse to resume or close
--- a task's coroutine. The twin of csrc/lua/lib_coroutine.c, guard.c and kernel/resume.c.

local args = require "coropanic.guest.args"
local cancel = require "coropanic.guest.cancel"
local compat = require "coropanic.guest.compat"
local handler = require "coropanic.guest.handler"
local ids = require "coropanic.guest.ids"
local kernel = require "coropanic.guest.kernel"
local port = require "coropanic.guest.port"
local record = require "coropanic.guest.record"
local unwind = require "coropanic.guest.unwind"

local state, running, status = port.state, compat.running, compat.status
local create, resume, close, yield = compat.create, compat.resume, compat.close, compat.yield
local outermost = compat.outermost
local type, error, pack, unpack = type, error, compat.pack, compat.unpack

local REFUSAL = "this coroutine belongs to a task of coropanic: only its scheduler may resume or close it"
kernel.REFUSAL = REFUSAL

--- With this a parked task yields to its host's loop, if the host's tasks are parked so; nil: they are not.
local TAG = port.TAG

--- C's stack is not guarded against nested coroutines in all Luas.
local MAX_NESTED = 190
local nested = 0

--- Whether the thread is a task's, or is one in which a task waits.
local function is_refused(u, thread)
  local c = u.by[thread]
  if c and c.task then return status(thread) == "suspended" end
  c = u.others[thread]
  return c ~= nil and status(thread) == "suspended" and (c.state == "active" or c.state == "lost")
end

--- The resumer of a coroutine that has ended goes on outside it.
local function leave(u, t, c)
  while t.top ~= c do
    local inner = t.top
    t.top, inner.outer, inner.state = inner.outer, nil, "lost"
  end
  t.top, u.here = c.outer, c.outer
  c.outer, c.state = nil, "resting"
end

local function is_exit(u, err)
  local r = record.test(err)
  return r and r._exits and record.in_flight(u, r) and r
end

--- The coroutine has yielded, returned or failed, and was left.
local function finish(u, c, caller, ok, ...)
  if ok then return caller(c, true, ...) end
  local r = is_exit(u, (...))
  if r then
    if close then close(c.thread) end
    return cancel.raise_outwards(u, r)
  end
  return caller(c, false, ...)
end

--- Whether the coroutine has yielded because the task waits in it.
local function is_parked(t, c, ok, tag)
  return ok and tag == TAG and TAG ~= nil and (t.status ~= "running" or t.forced or t.trying)
    and status(outermost(c.thread)) == "suspended"
end

--- What resume has returned; nil: the task waits in the coroutine.
local function results_of(t, c, ...)
  if is_parked(t, c, ...) then return nil end
  return pack(...)
end

--- Waits on behalf of the task, which waits in the coroutine, and resumes it, until it comes back by itself.
--- A loop: Lua 5.1 keeps a level of the stack for each tail call.
local function pass_on(t, c)
  local results
  repeat
    yield(TAG)
    while c.state ~= "active" or not t.going do yield(nil, REFUSAL) end
    results = results_of(t, c, resume(outermost(c.thread)))
  until results
  return unpack(results, 1, results.n)
end

local function end_resumed(u, t, c, caller, ...)
  leave(u, t, c)
  return finish(u, c, caller, ...)
end

local function come_back(u, t, c, caller, ...)
  if is_parked(t, c, ...) then return end_resumed(u, t, c, caller, pass_on(t, c)) end
  return end_resumed(u, t, c, caller, ...)
end

local function after_nested(u, c, around, caller, ok, ...)
  nested = nested - 1
  u.here = around
  c.outer, c.state = nil, "resting"
  return finish(u, c, caller, ok, ...)
end

local function after_first(u, t, c, caller, ok, ...)
  nested = nested - 1
  return come_back(u, t, c, caller, ok, ...)
end

local function resume_coroutine(u, c, caller, ...)
  if nested >= MAX_NESTED then return caller(c, false, "C stack overflow") end
  local t = u.current
  local outer = kernel.here()
  c.outer, c.state = outer, "active"
  nested = nested + 1
  u.here = c
  if t ~= nil and t.top == outer and TAG ~= nil and compat.isyieldable() ~= false and u.hooks == 0 then
    t.top = c
    return after_first(u, t, c, caller, resume(outermost(c.thread), ...))
  end
  return after_nested(u, c, outer, caller, resume(outermost(c.thread), ...))
end

-- The library --------------------------------------------------------------------------------------------

local lib = {}

local function check_thread(thread, name)
  if type(thread) == "thread" then return thread end
  args.type_error(thread, 1, name, "coroutine", thread == nil and 0 or 1)
end

--- A new coroutine, which keeps the trace of the code that runs now, whatever code resumes it.
local function new(fn)
  local u = state()
  local c
  local thread = create(function(...)
    handler.run_start(u)
    return fn(...)
  end)
  c = kernel.coroutine_of(u, thread)
  c.context = ids.branch()
  return thread, c
end

function lib.create(fn)
  if type(fn) ~= "function" then args.type_error(fn, 1, "create", "function", fn == nil and 0 or 1) end
  return (new(fn))
end

--- Why the coroutine can't be resumed; nil: it can. A dead one may have died of an exit that the task has
--- swallowed since; a loop that resumes it meets no suspension point any more, so the exit is raised here.
local function refusal(u, thread)
  if is_refused(u, thread) then return REFUSAL end
  local how = status(thread)
  if how == "dead" then
    kernel.raise_pending()
    return "cannot resume dead coroutine"
  end
  if how ~= "suspended" then return select(2, resume(thread)) end -- each Lua has words of its own
end

local function return_resumed(_, ok, ...) return ok, ... end

function lib.resume(thread, ...)
  check_thread(thread, "resume")
  local u = state()
  local why = refusal(u, thread)
  if why then return false, why end
  return resume_coroutine(u, kernel.coroutine_of(u, thread), return_resumed, ...)
end

--- Raises the coroutine's error in the resumer. A record made of it there has the stack of the dead coroutine
--- too.
local function return_wrapped(c, ok, ...)
  if ok then return ... end
  local err = ...
  if type(err) == "string" then err = kernel.where() .. err end
  if status(c.thread) == "dead" then record.keep_inner(state(), c.thread, err, (...)) end
  if close and status(c.thread) == "dead" then
    local closed, other = close(c.thread)
    if not closed and not rawequal(other, (...)) then err = other end
  end
  return error(err, 0)
end

function lib.wrap(fn)
  if type(fn) ~= "function" then args.type_error(fn, 1, "wrap", "function", fn == nil and 0 or 1) end
  local thread, c = new(fn)
  return function(...)
    local u = state()
    local why = refusal(u, thread)
    if why then kernel.raise(why) end
    return resume_coroutine(u, c, return_wrapped, ...)
  end
end

function lib.yield(...)
  local u = state()
  local t = u.current
  if t ~= nil and kernel.here() == t.coroutine then
    kernel.raise "coroutine.yield in a task: use co.yield to let other tasks run"
  end
  return yield(...)
end

function lib.status(thread)
  check_thread(thread, "status")
  if thread == compat.outermost_running() then return "running" end
  local how = status(thread)
  return how == "suspended" and is_refused(state(), thread) and "normal" or how
end

lib.running = compat.outermost_running

function lib.isyieldable(thread)
  local t = state().current
  local asked = thread or running()
  if t ~= nil and kernel.coroutine_of(state(), asked or compat.MAIN) == t.coroutine then return false end
  if thread and coroutine.isyieldable then return coroutine.isyieldable(thread) end
  local can = compat.isyieldable()
  if can == nil then return running() ~= nil end
  return can
end

--- Closes a coroutine that is no task's, then runs the deferred calls of its open frames.
local function close_thread(thread)
  local u = state()
  local c = u.others[thread]
  local s = c and c.frames
  if s == nil or s.depth == 0 or status(thread) ~= "suspended" then return close(thread) end
  s.resetting = true
  local ok, err = close(thread)
  s.resetting = false
  local r = record.exit(u, "coroutine closed", "cancelled", "explicit")
  local other = create(unwind.close_frames)
  u.others[other] = c
  local around = u.here
  u.here = c
  local ran, how, outcome = resume(other, s, r)
  u.here = around
  if ran and how == "panicking" then handler.report(u, outcome) end
  return ok, err
end

if close then
  function lib.close(thread)
    check_thread(thread, "close")
    if is_refused(state(), thread) then return false, REFUSAL end
    return close_thread(thread)
  end
end

kernel.api.coroutine = lib

local real = coroutine

function kernel.api.instrument()
  local before = rawget(_G, "coroutine")
  package.loaded.coroutine = lib
  rawset(_G, "coroutine", lib)
  return before
end

-- Guards -------------------------------------------------------------------------------------------------

local function come_back_to(u, around, ...)
  u.here = around
  return ...
end

local function guard_resume(thread, ...)
  local u = state()
  if type(thread) ~= "thread" then return resume(thread, ...) end
  if is_refused(u, thread) then return false, REFUSAL end
  local around = u.here
  u.here = u.others[thread]
  return come_back_to(u, around, resume(thread, ...))
end

local function return_guarded(u, around, thread, ok, ...)
  u.here = around
  if ok then return ... end
  local err = ...
  if type(err) == "string" then err = kernel.where() .. err end
  if close and status(thread) == "dead" then
    local closed, other = close(thread)
    if not closed and not rawequal(other, (...)) then err = other end
  end
  return error(err, 0)
end

--- Lua's coroutine.wrap, which tells where its coroutine runs.
local function guard_wrap(fn)
  local thread = create(fn)
  return function(...)
    local u = state()
    local around = u.here
    u.here = u.others[thread]
    return return_guarded(u, around, thread, resume(thread, ...))
  end
end

local function guard_close(thread, ...)
  if type(thread) == "thread" and is_refused(state(), thread) then return false, REFUSAL end
  if type(thread) ~= "thread" then return close(thread, ...) end
  return close_thread(thread)
end

if TAG ~= nil then
  rawset(real, "resume", guard_resume)
  rawset(real, "wrap", guard_wrap)
end
if close then rawset(real, "close", guard_close) end

unwind.resume_coroutine = resume_coroutine
return lib
