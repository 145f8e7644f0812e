--- Makes the calls that frame stacks ask for (frames.lua). Each is protected, and may suspend. The twin of
--- kernel/unwind.h, and of the part of kernel/panic.h that needs the stack. Reports do not show this file's
--- functions.

local compat = require "coropanic.guest.compat"
local frame_stacks = require "coropanic.guest.frame_stacks"
local frames = require "coropanic.guest.frames"
local kernel = require "coropanic.guest.kernel"
local port = require "coropanic.guest.port"
local record = require "coropanic.guest.record"

local unwind = {}

local state, running, here = port.state, compat.running, kernel.here
local select, unpack, error, type = select, compat.unpack, error, type
local getinfo, getlocal, getmetatable = compat.getinfo, compat.getlocal, compat.getmetatable
local raw_xpcall, raw_pcall = compat.raw_xpcall, compat.pcall
local FUNC, DEFERRED, BLOCK = frames.FUNC, frames.DEFERRED, frames.BLOCK
local frames_of, find_frames = frame_stacks.of, frame_stacks.find
local is_record = record.test

-- Protected calls ----------------------------------------------------------------------------------------

--- The message handler of every protected call of the runtime: returns the record of the raised value, while
--- the stack still stands.
---@param thread? thread  # in Lua 5.1: the coroutine of the protected call, which has died of the error
local function handler(err, thread)
  local r = is_record(err)
  -- If a frame further out is unwinding with this record, raising it again is a panic of its own, as in Go.
  if r and record.in_flight(state(), r) then
    local s = find_frames()
    if s == nil or not frames.holds(s, r) then return r end
  end
  r = record.of_error(state(), err, thread)
  return r -- no tail call: of_error counts the activations
end

--- LuaJIT: the error for which the handler has begun to make a record. It is still there afterwards if that
--- was too much for a stack that has overflowed: then the protected call returns any slot of the stack as the
--- error.
local interrupted

if compat.is_jit then
  local DEEP_LEVEL = 1000
  local usual, resume, status = handler, compat.resume, compat.status
  local maker = record.new_deep_maker()

  --- The stack may have overflowed: what this function calls, and needs itself, is little.
  function handler(err)
    if type(err) ~= "string" then return usual(err) end
    interrupted = err
    local r
    if getinfo(DEEP_LEVEL, "l") then
      local _
      _, r = resume(maker, err, running())
      if status(maker) ~= "suspended" then maker = record.new_deep_maker() end
    end
    interrupted = nil
    return r or usual(err)
  end
end

local protected, call_closing

--- Functions of ours that are pcall to user code.
local catchers = {}
function unwind.catches(fn) catchers[fn] = true end

--- The activation at a level of a stack, from 0; for the function that calls the one that calls this.
local function info_at(thread, level)
  if thread then return getinfo(thread, level, "Sf") end
  return getinfo(level + 3, "Sf")
end

--- Whether the activation is only a part of how a protected call is made.
local function is_passage(info)
  return info.what == "C" or info.what == "tail" or info.source == compat.SOURCE or info.func == protected
end

local MAX_LEVELS = 1000
--- In Lua 5.1 the handler runs in the coroutine around the dead one, which has these levels more: getinfo,
--- info_at, meets_frame, the handler.
local OUR_LEVELS = 4

--- Whether an error that is raised here comes to a frame of the runtime before user code catches it. The
--- message handler of that frame would have been called at the raise, had no call_closing been between.
local function meets_frame(thread)
  local level, is_protected = 0, false -- whether what comes next further out has made a protected call
  for _ = 1, MAX_LEVELS do
    local info = info_at(thread, level)
    level = level + 1
    if info == nil then
      thread = kernel.below and kernel.below[thread or running()]
      if thread == nil then return false end
      level, is_protected = thread == running() and OUR_LEVELS or 0, true
    elseif info.func == raw_xpcall or info.func == compat.pcall then
      is_protected = true
    elseif is_protected and not is_passage(info) then
      if info.func ~= call_closing then return kernel.is_ours(info.source) and not catchers[info.func] end
      is_protected = false
    end
  end
  return true
end

--- The message handler of a call without a frame of its own: an error that user code catches further out is
--- left as it is.
local function closing_handler(err, thread)
  if meets_frame(thread) then return handler(err, thread) end
  return err
end

--- The coroutines of pcall itself: what these begin with is called by user code.
local plain = setmetatable({}, { __mode = "k" })

--- protected(fn, handler, ...) is xpcall, through which code may suspend.
if compat.yields_in_pcall then
  protected = compat.xpcall
else
  local below = kernel.below

  local function enter(thread)
    local u, outer, c = state(), running(), here()
    below[thread] = outer
    if u.by[outer] then u.by[thread] = c else u.others[thread] = c end
    c.thread = thread
  end

  local function leave(thread)
    local u, outer = state(), below[thread]
    local c = u.by[thread] or u.others[thread]
    if c then c.thread = outer end
    u.by[thread], u.others[thread] = nil, nil
  end

  function protected(fn, message_handler, ...)
    if running() == nil then return compat.xpcall(fn, message_handler, ...) end
    return compat.call_in_coroutine(fn, message_handler, enter, leave, ...)
  end

  local function enter_plainly(thread)
    plain[thread] = true
    return enter(thread)
  end

  --- The same in a coroutine, for pcall itself.
  function unwind.protected_plainly(fn, message_handler, ...)
    return compat.call_in_coroutine(fn, message_handler, enter_plainly, leave, ...)
  end
end
unwind.protected, unwind.handler = protected, handler

--- LuaJIT's error where a stack overflows in compiled code: it calls no message handler then.
local NO_ROOM = "error in error handling"

--- The record of an error that a protected call has returned; the handler may have failed.
local function settle(err)
  local r = is_record(err)
  if r then return r end
  if interrupted ~= nil then
    err, interrupted = interrupted, nil
  elseif err == NO_ROOM and compat.is_jit then
    err = "stack overflow: LuaJIT has left no room to look at the stack"
  end
  return record.make(state(), err, record.kind_of_error(err), nil)
end
unwind.settle = settle

-- Running frames -----------------------------------------------------------------------------------------

local function end_with_error(s, err)
  local r = settle(err)
  if r._exits then
    frames.exit(s, r)
  else
    frames.unwind(s, r, "panicking")
    -- A deferred call in a <close> variable recovered it on the way here.
    if r._recovered then frames.recovered(s) end
  end
end

--- A frame has returned to the innermost one, which the same call of drive runs.
local function return_to(s)
  local f = s[s.depth]
  if f.state == "body" then
    -- Its activation is gone, so there is nowhere to return to.
    frames.unwind(s, s.exit, "exiting")
  elseif f.state == "panicking" and f.record._recovered then
    frames.recovered(s)
  end
end

--- Whether the innermost frame is a deferred call that was unwound by force while its frame was unwinding
--- already. Then that unwinding goes on, and its record says what happened.
local function is_cut_short(s)
  local f, outer = s[s.depth], s[s.depth - 1]
  if f.type ~= DEFERRED or f.state ~= "exiting" then return false end
  if outer.state ~= "exiting" and outer.state ~= "panicking" then return false end
  if not f.record._forced then return false end
  outer.record._forced = true
  return true
end

--- The innermost frame is done, and the same call of drive runs the frame below it: passes its outcome on.
local function merge_outcome(s)
  local f = s[s.depth]
  local how, r = f.state, f.record
  if how == "returning" or is_cut_short(s) then
    frames.pop(s)
    return_to(s)
  else
    frames.pop(s)
    frames.unwind(s, r, how)
  end
end

--- Slots of the stack that a deferred call needs at least, with what calls it.
local ROOM = 200
local NOTHING = {}

--- The frame unwinds. If the stack has overflowed and still has no room, so that a deferred call would be
--- taken and could not run, raises the record again: the next protected call further out runs it.
local function check_room(f)
  local r = f.record
  local value = r and r._value
  if type(value) ~= "string" or not value:find("stack overflow", 1, true) then return end
  if not compat.pcall(unpack, NOTHING, 1, ROOM) then error(r, 0) end
end

--- Calls the innermost frame's newest deferred call in a frame of its own, and ends that frame's body.
local function call_deferred(s)
  local outer = s[s.depth]
  if outer.state == "panicking" then check_room(outer) end
  local fn, n, a, b, rest = frames.take(s)
  local f = frames.push(s, DEFERRED)
  f.fn = fn
  local depth = s.depth
  local ok, err
  if n == 0 then
    ok, err = protected(fn, handler)
  elseif n == 1 then
    ok, err = protected(fn, handler, a)
  elseif n == 2 then
    ok, err = protected(fn, handler, a, b)
  else
    ok, err = protected(fn, handler, unpack(rest, 1, n))
  end
  if ok and s.depth == depth and f.count == 0 and not f.exiting then
    frames.pop(s)
    return_to(s)
  elseif not ok then
    if s[s.depth].state == "body" then end_with_error(s, err) end
  elseif f.exiting then -- a pcall further in swallowed the exit
    frames.unwind(s, s.exit, "exiting")
  else
    f.state = "returning"
  end
end

--- Runs the frame stack from the innermost frame, whose body has ended, down to the frame `base`, and closes
--- that. Returns its state, then its results, or the record.
local function drive(s, base)
  while true do
    local f = s[s.depth]
    if f.count > 0 then
      call_deferred(s)
    else
      if f.type.lost and (s.depth > base or f.type.thin) then f.type.lost(f.object, s) end
      if s.depth > base then
        merge_outcome(s)
      elseif f.state == "returning" then
        local n, a, b, rest = f.n, f.a, f.b, f.rest
        frames.pop(s)
        if n == 0 then return "returning" end
        if n == 1 then return "returning", a end
        if n == 2 then return "returning", a, b end
        return "returning", unpack(rest, 1, n)
      else
        local how, r = f.state, f.record
        frames.pop(s)
        return how, r
      end
    end
  end
end
unwind.drive = drive

--- Ends the body of the frame `base` as a protected call has ended it, and runs the frame stack down to it.
local function finish_body(s, base, ok, ...)
  local f = s[s.depth]
  if not ok then
    if f.state == "body" then end_with_error(s, (...)) end
  elseif f.exiting then -- a pcall further in swallowed the exit
    frames.unwind(s, s.exit, "exiting")
  else
    frames.set_results(f, ...)
    f.state = "returning"
  end
  return drive(s, base)
end
unwind.finish_body = finish_body

local function return_or_raise(how, ...)
  if how == "returning" then return ... end
  return error((...), 0)
end

--- The frame has returned, with one deferred call. Most do, so this is without the loop of drive, which
--- LuaJIT does not compile as a part of the caller.
local function finish_one(s, base, f, ...)
  frames.set_results(f, ...)
  f.state = "returning"
  call_deferred(s)
  if s.depth == base and f.count == 0 and f.state == "returning" then
    local n, a, b, rest = f.n, f.a, f.b, f.rest
    frames.pop(s)
    if n == 0 then return end
    if n == 1 then return a end
    if n == 2 then return a, b end
    return unpack(rest, 1, n)
  end
  return return_or_raise(drive(s, base))
end

--- A function in a frame of its own has ended.
local function after_func(s, base, ok, ...)
  if ok and s.depth == base then
    local f = s[base]
    if not f.exiting then
      local count = f.count
      if count == 0 then
        s.depth = base - 1
        return ...
      end
      if count == 1 then return finish_one(s, base, f, ...) end
    end
  end
  return return_or_raise(finish_body(s, base, ok, ...))
end

--- Opens a frame of a function, when more has to be looked at.
local function open_func()
  local s = frames_of(here())
  frames.push(s, FUNC)
  return s, s.depth
end

--- The function that co.func returns.
local function make_func(fn)
  return function(...)
    local s = here().frames
    if s ~= nil and s.exit == nil then
      local base = s.depth + 1
      local f = s[base]
      if f ~= nil then
        s.depth = base
        f.type = FUNC
        return after_func(s, base, protected(fn, handler, ...))
      end
    end
    local base
    s, base = open_func()
    return after_func(s, base, protected(fn, handler, ...))
  end
end

--- co.call without its checks.
function unwind.call(fn, ...)
  local s, base = open_func()
  return after_func(s, base, protected(fn, handler, ...))
end

--- A frame of another type has ended. A thin one has no outcome but that of its call.
local function after_body(s, base, kind, object, ok, ...)
  if kind.thin then
    if s.depth > base then -- frames further in have lost their bodies
      return kind.leave(object, s, finish_body(s, base, ok, ...))
    end
    frames.pop(s)
    if ok then return kind.leave(object, s, "returning", ...) end
    local r = settle((...))
    return kind.leave(object, s, r._exits and "exiting" or "panicking", r)
  end
  return kind.leave(object, s, finish_body(s, base, ok, ...))
end

--- Calls fn(...) in a frame of this type, whose value is `object`. The type must have `leave`.
---@param kind table  # see frames.lua
function unwind.run(kind, object, fn, ...)
  local s = frames_of(here())
  frames.push(s, kind).object = object
  local base = s.depth
  return after_body(s, base, kind, object, protected(fn, handler, ...))
end

local function after_closing(s, base, kind, object, ok, ...)
  if s.depth > base then -- frames further in have lost their bodies
    return kind.leave(object, s, finish_body(s, base, ok, ...))
  end
  frames.pop(s)
  return kind.leave(object, s, ok and "returning" or "panicking", ...)
end

--- Calls fn(...) without a frame of its own: an error passes unchanged. However the call ends, calls
--- kind.leave(object, s, state, ...) with the results, or with the raised value, or kind.lost(object, s).
---@param kind table  # a thin type of frames
function unwind.call_closing(kind, object, fn, ...)
  local s = frames_of(kernel.here())
  frames.push(s, kind).object = object
  return after_closing(s, s.depth, kind, object, protected(fn, closing_handler, ...))
end
call_closing = unwind.call_closing

--- For a type's `leave`: returns the results, or raises the record.
function unwind.leave(_, _, how, ...) return return_or_raise(how, ...) end

--- Moves the deferred call of a handle to a frame of its own, which ends as the block ends: with the block's
--- error in flight, so that recover works, or returning. If the call recovers, the error still unwinds to the
--- frame, which finds it recovered and returns to its caller, as in Go.
local function close_deferred(handle, err)
  local s = find_frames()
  -- While a task's coroutine is closed nothing can suspend; the task's frame runs the call just afterwards.
  if s == nil or s.resetting or not frames.is_pending(s, handle.serial) then return end
  local r = is_record(err)
  local panicking = r and record.in_flight(state(), r) and not r._exits
  frames.push(s, BLOCK)
  frames.move(s, handle.serial)
  if panicking then frames.unwind(s, r, "panicking") else s[s.depth].state = "returning" end
  local how, outcome = drive(s, s.depth)
  if how ~= "returning" then error(outcome, 0) end
end

--- Runs the deferred calls of a coroutine that is no task's, whose body is gone: it was closed. The body of
--- another coroutine.
---@param r table  # the record of the exit
function unwind.close_frames(s, r)
  frames.begin_exit(s, r, 1)
  frames.unwind(s, r, "exiting")
  return drive(s, 1)
end

-- The API ------------------------------------------------------------------------------------------------

local api = kernel.api

--- Raises unless argument `arg` can be called.
local function check_function(value, arg, name)
  if type(value) == "function" then return end
  local meta = getmetatable(value)
  if type(meta) == "table" and rawget(meta, "__call") ~= nil then return end
  kernel.raise("bad argument #%d to '%s' (function expected, got %s)", arg, name, kernel.type_name(value))
end

--- The same with "no value" for an argument that was not given.
local function check_first(count, value, name)
  if count == 0 then kernel.raise("bad argument #1 to '%s' (function expected, got no value)", name) end
  check_function(value, 1, name)
end
unwind.check_function, unwind.check_first = check_function, check_first

function api.func(...)
  local fn = ...
  check_first(select("#", ...), fn, "func")
  return make_func(fn)
end

function api.call(fn, ...)
  if type(fn) ~= "function" then check_function(fn, 1, "call") end
  local s, base = open_func() -- as in make_func, with more checks
  return after_func(s, base, protected(fn, handler, ...))
end

--- The frame of the running code; raises if none is open.
local function check_frame(name)
  local c = here()
  local s = c.frames or c.task and frames_of(c)
  local f = s and frames.deferring(s)
  if f == nil then
    kernel.raise("co.%s outside any frame: call it in a task, or in a function made by co.func or called by "
      .. "co.call", name)
  end
  return s, f
end

local HANDLE = compat.has_close and {
  __name = "coropanic.deferred", __metatable = "coropanic.deferred",
  __close = close_deferred,
}

function api.defer(fn, ...)
  if type(fn) ~= "function" then check_function(fn, 1, "defer") end
  local s, f = check_frame "defer"
  local n = select("#", ...)
  if s.values + 1 + n > frames.MAX_VALUES then
    kernel.raise("too many deferred calls are pending: they and their arguments are at most %d values",
      frames.MAX_VALUES)
  end
  local u = state()
  local serial = u.last_serial + 1
  u.last_serial = serial
  local handle = HANDLE and setmetatable({ serial = serial }, HANDLE)
  -- once the call is registered nothing can fail any more
  if n <= 2 then
    local a, b = ...
    frames.defer(s, f, serial, fn, n, a, b)
  else
    frames.defer(s, f, serial, fn, n, nil, nil, { ... })
  end
  if handle then return handle end
end

local dumpstack, STACK_FORMAT, STACK_LINES = record.dumpstack, record.STACK_FORMAT, record.STACK_LINES

function api.panic(value)
  -- here, since each further activation on the stack makes the text dearer
  local text = dumpstack and dumpstack(STACK_FORMAT, STACK_LINES)
  return error(record.raise(state(), value, "panic", nil, text), 0)
end

--- Raises a panic of another kind: "deadlock", ...
function kernel.raise_kind(kind, value)
  return error(record.raise(state(), value, kind), 0)
end

--- Raises the record as an exit, which recover does not stop: the deferred calls of all frames from `floor`
--- on run. Floor 1 ends the task too.
function unwind.exit(r, floor)
  local s = frames_of(here())
  if s.depth > 0 then frames.begin_exit(s, r, floor) end
  return error(r, 0)
end

function api.goexit()
  local u = state()
  local r = record.exit(u, nil, "goexit")
  local t = u.current
  if t ~= nil and here() == t.top and u.hooks == 0 then kernel.count_raise(u, t, r) end
  return unwind.exit(r, 1)
end

local function after_pcall(ok, ...)
  if ok then return true, ... end
  local r = settle((...))
  if r._exits then return error(r, 0) end
  return false, r
end

function api.pcall(fn, ...)
  if type(fn) ~= "function" then check_function(fn, 1, "pcall") end
  return after_pcall(protected(fn, handler, ...))
end

--- The frame whose deferred call is running; raises if there is none.
local function check_deferring_frame(name)
  local s = find_frames()
  local f, i
  if s ~= nil then f, i = frames.deferring(s) end
  if f == nil or i < 2 or f.type ~= DEFERRED then kernel.raise("co.%s outside a deferred call", name) end
  return s[i - 1]
end

function api.results() return frames.results(check_deferring_frame "results") end

function api.set_results(...)
  local f = check_deferring_frame "set_results"
  if f.type == BLOCK then
    kernel.raise("co.set_results at the end of a block: only the end of a frame has results, so do not hold "
      .. "this deferred call in a <close> variable")
  end
  frames.set_results(f, ...)
end

-- Recover ------------------------------------------------------------------------------------------------

-- A deferred function stands on xpcall, and that on call_deferred; a function of co.func stands on xpcall and
-- the function that make_func has made. In Lua 5.1, where xpcall passes no arguments on, functions of
-- compat.lua stand between; or it is the first function of a coroutine, whose caller is the frame that runs
-- it.

local FUNC_LINE = getinfo(make_func(print), "S").linedefined
local COMPAT = getinfo(compat.call_in_coroutine, "S").source

--- What runs the function at `level` (1: the caller of this function): "deferred", "func", or nil; and the
--- function of ours that does.
local function driver_of(level)
  local at = level + 2
  local info = getinfo(at, "Sf")
  if info == nil then
    local thread = running()
    return kernel.below and kernel.below[thread] and not plain[thread] and "base" or nil
  end
  if info.func ~= raw_xpcall and info.source ~= COMPAT then return nil end
  repeat
    at = at + 1
    info = getinfo(at, "Sf")
  until info == nil or info.func ~= raw_xpcall and info.source ~= COMPAT and info.what ~= "tail"
    and info.func ~= protected
  if info == nil or info.source ~= kernel.UNWIND then return nil end
  if info.func == call_deferred then return "deferred", info.func end
  if info.func == api.call or info.linedefined == FUNC_LINE then return "func", info.func end
  return nil
end

local HAS_TAIL_FLAG = compat.has_tail_flag

--- The function that a callable value stands for.
local function function_of(fn)
  if type(fn) == "function" then return fn end
  local meta = getmetatable(fn)
  return type(meta) == "table" and rawget(meta, "__call")
end

--- Whether the function at `level` (1: the caller of this function) was called as a tail of the function that
--- the runtime has called. Lua 5.1 shows that as a level of its own. LuaJIT does not show it; then the
--- functions are compared.
local function is_tail_call(level, s, wrapper)
  if HAS_TAIL_FLAG then return getinfo(level + 1, "t").istailcall end
  local f = s[s.depth]
  local expected
  if f.type == DEFERRED then
    expected = function_of(f.fn)
  elseif wrapper ~= nil and wrapper ~= api.call then
    local _, fn = debug.getupvalue(wrapper, 1)
    for i = 1, 20 do
      local name, value = debug.getupvalue(wrapper, i)
      if name == "fn" then fn = value end
      if name == nil or name == "fn" then break end
    end
    expected = function_of(fn)
  end
  return expected ~= nil and getinfo(level + 1, "f").func ~= expected
end

--- The index of the frame of the function that has called recover; nil: a helper has called it. A deferred
--- recover counts as called by the function that has deferred it, once that has returned. Call it from
--- recover itself.
local function find_caller(s)
  local top = s.depth
  local f = s[top]
  if f.type == DEFERRED and f.fn == api.recover and driver_of(2) then
    return top > 1 and s[top - 1].state == "returning" and top - 1 or nil
  end
  local driver, wrapper = driver_of(3)
  if driver == nil or is_tail_call(3, s, wrapper) then return nil end
  return top
end

--- The record of the panic that recover sees: of the frame in which the caller of recover is a deferred call.
--- A deferred function may be one of co.func, whose frame stands on that of the call.
local function panicking_at(s, index)
  if s[index].type == FUNC and index > 1 and s[index - 1].type == DEFERRED then
    local called = s[index - 1].fn
    if type(called) == "function" and getinfo(called, "S").source == kernel.UNWIND then index = index - 1 end
  end
  if index < 2 or s[index].type ~= DEFERRED then return nil end
  local f = s[index - 1]
  return f.state == "panicking" and f.record or nil
end

function api.recover()
  local s = find_frames()
  if s == nil or s.records == 0 or s.depth < 2 then return nil end
  local f = s[s.depth]
  local index
  -- the usual case: the deferred function itself, which stands on xpcall and call_deferred; the first local
  -- variable of that is s, which no code of others has
  local ok, _, owner = raw_pcall(getlocal, 5, 1)
  if ok and owner == s and f.type == DEFERRED and getinfo(2, "f").func == f.fn then
    index = s.depth
  else
    index = find_caller(s)
  end
  local r = index and panicking_at(s, index)
  if not r or r._recovered then return nil end
  r._recovered = true
  record.tell_recover(state(), r)
  return r._value, r
end

return unwind
