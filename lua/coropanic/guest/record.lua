--- The panic record: the account of one panic (docs/panic-record.md lists the fields that scripts see). The
--- twin of kernel/record.h. Capturing walks the stack once and makes no text; the rest is made when a script
--- or report asks for it (record_fields.lua).
---
--- A record is a table whose own fields begin with "_". Those that every panic needs are set from the
--- beginning, so that reading them does not call __index:
---   _value _kind _seq _time       what was raised, and when; _time in nanoseconds
---   _task _status _ids            the task (false: none), its status, the trace ids of its code
---   _link _chain                  the record that this one replaced; how many were replaced
---   _cause                        the record of the awaited task, or that was raised again
---   _exits _source                an exit: recover does not stop it; the source of a cancellation
---   _recovered _forced            see record.h
---   _stacks                       what capture has found
---   _parked _cycle _suppressed _points _by   details that only some have
---   _message _cache               made when needed

local compat = require "coropanic.guest.compat"
local frames = require "coropanic.guest.frames"
local ids = require "coropanic.guest.ids"
local kernel = require "coropanic.guest.kernel"
local port = require "coropanic.guest.port"
local probe = require "coropanic.guest.probe"

local record = {}

local getinfo, running = compat.getinfo, compat.running
local is_ours = kernel.is_ours
local type, rawget, setmetatable, floor = type, rawget, setmetatable, math.floor
local find, gsub = string.find, string.gsub
local wall = port.wall or os.time

--- Bounds of one record. Everything beyond a bound is counted, never silently dropped.
record.FRAMES_INNER, record.FRAMES_OUTER = 40, 20
record.DEEP_STACK = 16384
record.MAX_STACKS, record.MAX_CHAIN, record.MAX_ANCESTORS, record.MAX_PARKED = 8, 16, 32, 100
record.MAX_POINTS = 16
local FRAMES_MAX = record.FRAMES_INNER + record.FRAMES_OUTER

--- The metatable of records; record_object.lua fills it.
record.META = { __metatable = "coropanic.record", __name = "coropanic.record" }
local META = record.META
local MARK = {}

--- The record that a value is; nil for any other value.
function record.test(value)
  return type(value) == "table" and rawget(value, "_mark") == MARK and value or nil
end
local test = record.test

--- Whether this task raises the record for the first time; false for one that was recovered, or that another
--- task raised, and that is raised again.
function record.in_flight(u, r)
  return not r._recovered and r._task == (u.current or false)
end

-- The stack ----------------------------------------------------------------------------------------------

-- A stack is {info, ...}: what getinfo tells of each activation, from the inside outwards; `omitted` and
-- `omitted_after` if it was too deep. A record has one, then those of the coroutines around it.

local WHAT = "nfl"

--- The number of activations of a stack, of which `first` exist. `at(level)` is getinfo of an activation.
local function count_levels(at, first)
  local low, high = first, first * 2
  while high < 4 * record.DEEP_STACK and at(high, "l") do low, high = high, high * 2 end
  while high - low > 1 do
    local middle = floor((low + high) / 2)
    if at(middle, "l") then low = middle else high = middle end
  end
  return high
end

--- The stack is deeper than can be kept: keeps both ends. It begins at `level`.
local function keep_outer(stack, at, level)
  local count = count_levels(at, level + FRAMES_MAX)
  local outermost = at(count - 1, "S")
  while outermost and is_ours(outermost.source) do -- and the call of xpcall on it
    count = count - 1
    outermost = at(count - 1, "S")
    if outermost and outermost.what == "C" then
      count = count - 1
      outermost = at(count - 1, "S")
    end
  end
  local levels = count - level
  if levels <= FRAMES_MAX then return end
  for i = #stack, record.FRAMES_INNER + 1, -1 do stack[i] = nil end
  stack.omitted_after = record.FRAMES_INNER
  if levels > record.DEEP_STACK then
    stack.omitted = levels - record.FRAMES_INNER
    return
  end
  stack.omitted = levels - FRAMES_MAX
  local n = record.FRAMES_INNER
  for from = count - record.FRAMES_OUTER, count - 1 do
    n = n + 1
    stack[n] = at(from, WHAT)
  end
end

--- Captures the stack of a thread that does not run.
---@param first? integer  # the innermost level to capture; 0 if it is not given
local function capture_thread(thread, first)
  local stack = {}
  first = first or 0
  for i = 1, FRAMES_MAX + 1 do
    local info = getinfo(thread, first + i - 1, WHAT)
    if info == nil then return stack end
    stack[i] = info
  end
  keep_outer(stack, function(level, what) return getinfo(thread, level, what) end, first)
  return stack
end

--- A stack that is too deep is read from a coroutine of its own, because it may just have overflown. There
--- the levels are those of a thread that does not run. Lua 5.1 can't read its main thread so.
local function capture_deep(stack, level)
  local thread = running()
  if thread == nil then
    local function at(from, what)
      -- above capture_here, whose levels `from` counts, are: this function, count_levels, keep_outer,
      -- capture_deep
      local info = getinfo(from + (what == "l" and 4 or 3), what)
      return info
    end
    keep_outer(stack, at, level)
    return
  end
  -- above capture_here are: resume, at level 0, and capture_deep
  local reader = compat.create(function()
    keep_outer(stack, function(from, what) return getinfo(thread, from + 1, what) end, level)
  end)
  compat.resume(reader)
end

local dumpstack
if compat.is_jit then
  local ok, profile = pcall(require, "jit.profile")
  dumpstack = ok and profile.dumpstack or nil
end

--- record.dumpstack(STACK_FORMAT, STACK_LINES) is the running stack as one text, at a fifth of the cost of
--- getinfo for each activation: for each two columns, the function and the line (see record_frames.lua).
--- nil: this Lua has no such texts.
record.dumpstack, record.STACK_FORMAT, record.STACK_LINES = dumpstack, "pf\tl\n", FRAMES_MAX + 1
local STACK_FORMAT, STACK_LINES = record.STACK_FORMAT, record.STACK_LINES

--- A stack's text -> {stack}, shared by all records that have it, which are many where code panics again and
--- again; false: the text would not tell all, as of a deeper stack, or of a chunk whose name is its text.
local seen, seen_count = {}, 0
local MAX_SEEN = 64

local function remember(text)
  local _, lines = gsub(text, "\n", "")
  local stacks = lines <= FRAMES_MAX and not find(text, "[string]", 1, true) and { { text = text } }
  if seen_count == MAX_SEEN then seen, seen_count = {}, 0 end
  seen[text], seen_count = stacks, seen_count + 1
  return stacks
end

--- Captures the running stack from `level` on; 1: the caller of the function that calls this.
local function capture_here(level)
  local stack = {}
  local at = level + 2
  for i = 1, FRAMES_MAX + 1 do
    local info = getinfo(at, WHAT)
    if info == nil then return stack end
    stack[i] = info
    at = at + 1
  end
  capture_deep(stack, level + 2)
  return stack
end

--- Adds the stacks around a thread: in Lua 5.1 those around a protected call, then those of the coroutines
--- that have resumed this one.
local function add_outer(stacks, c, thread)
  local below = kernel.below
  while c ~= nil and #stacks < record.MAX_STACKS do
    while below and thread and below[thread] and #stacks < record.MAX_STACKS do
      thread = below[thread]
      stacks[#stacks + 1] = thread == running() and capture_here(2) or capture_thread(thread)
    end
    c = c.outer
    thread = c and c.thread
    if c ~= nil and type(thread) == "thread" and #stacks < record.MAX_STACKS then
      stacks[#stacks + 1] = thread == running() and capture_here(2) or capture_thread(thread)
    end
  end
end

--- Keeps the stack of a coroutine that has died of an error; a record that is made of this error by its
--- resumer begins with that stack.
---@param died_of any  # what the error was in the coroutine, into which it may have come from one further in
function record.keep_inner(u, thread, err, died_of)
  local inner = u.inner
  local stacks = inner ~= nil and rawequal(inner.err, died_of) and inner.stacks or {}
  if #stacks < record.MAX_STACKS then stacks[#stacks + 1] = capture_thread(thread) end
  u.inner = { err = err, stacks = stacks }
end

-- Making -------------------------------------------------------------------------------------------------

local OVERFLOW = "C stack overflow"

--- Lua's message about nested C calls, with what nests.
local function explain(value)
  if type(value) ~= "string" or value:sub(-#OVERFLOW) ~= OVERFLOW then return value end
  return value
    .. ": co.scope, co.with_timeout, co.call, pcall and the like nest too deep (Lua allows about 190)"
end

local function has_points(t)
  if t.joiners and t.joiners.next ~= t.joiners then return true end
  local ancestor = t.parent
  for _ = 1, record.MAX_ANCESTORS do
    if ancestor == nil then return false end
    if ancestor.status == "waiting" then return true end
    ancestor = ancestor.parent
  end
  return false
end

local function add_point(points, t, relation)
  local point = kernel.describe_wait(t)
  point.task, point.relation = point.name, relation
  points[#points + 1] = point
end

--- The waits of the task's ancestors and awaiters.
function record.note_points(r, t)
  if not has_points(t) then return end
  local points, ancestors = {}, {}
  local ancestor = t.parent
  for _ = 1, record.MAX_ANCESTORS do
    if ancestor == nil or #points == record.MAX_POINTS then break end
    if ancestor.status == "waiting" then
      ancestors[ancestor] = true
      add_point(points, ancestor, "parent")
    end
    ancestor = ancestor.parent
  end
  local awaiters = 0
  local joiners = t.joiners
  local node = joiners and joiners.next
  while node and node ~= joiners and awaiters < record.MAX_POINTS do
    if not ancestors[node] then
      awaiters = awaiters + 1
      add_point(points, node, "awaiter")
    end
    node = node.next
  end
  r._points = points
end

--- Cuts the chain of a record after its MAX_CHAIN newest links.
local function trim_chain(r)
  for _ = 1, record.MAX_CHAIN do
    r = r._link
    if not r then return end
  end
  r._link = false
end

local function new(u, value, kind, stacks)
  local seq = u.next_record + 1
  u.next_record = seq
  local c = kernel.here()
  local t = u.current
  local r = setmetatable({
    _mark = MARK, _value = value, _kind = kind, _seq = seq, _time = wall(), _task = t or false,
    _status = t and t.status, _ids = ids.of(c), _link = false, _chain = 0, _exits = false,
    _recovered = false, _stacks = stacks,
  }, META)
  local s = c.frames
  local replaced = s and s.records > 0 and frames.in_flight(s)
  if replaced then
    r._link, r._chain = replaced, replaced._chain + 1
    if r._chain > record.MAX_CHAIN then trim_chain(r) end
  end
  local raised = type(value) == "table" and test(value)
  if raised then
    r._value = raised._value
    if r._link ~= raised then r._cause = raised end
  elseif value == nil then
    r._value = nil
  end
  if t ~= nil and kind ~= "cancelled" then record.note_points(r, t) end
  return r
end

local function with_outer(stack, thread)
  local stacks = { stack }
  local c = kernel.here()
  if c.outer or kernel.below then add_outer(stacks, c, thread or c.thread) end
  return stacks
end

local function tell(u, r, kind)
  u.counts[kind] = u.counts[kind] + 1
  if u.wants[kind] then
    local t = u.current
    probe.tell(u, { kind = kind, calls = true, task = t, object = r, extra = t and kernel.handle(t) })
  end
end

--- Counts the panic, and tells observers of it.
function record.tell(u, r) return tell(u, r, "panic") end

--- The same when the panic is recovered.
function record.tell_recover(u, r) return tell(u, r, "recover") end

--- Whether a record of this kind is of a panic, and not of a task that was to end.
local function is_panic(kind) return kind ~= "goexit" and kind ~= "cancelled" and kind ~= "timeout" end

--- The record of a value that a function of the API raises in the code that has called it. Call it in that
--- function itself.
---@param level? integer  # of that code; 1: the caller of the function that calls this
---@param text? string  # the stack's, if this Lua has such, from dumpstack(STACK_FORMAT, STACK_LINES)
function record.raise(u, value, kind, level, text)
  local stacks
  if dumpstack then
    text = text or dumpstack(STACK_FORMAT, STACK_LINES)
    stacks = seen[text]
    if stacks == nil then stacks = remember(text) end
  end
  if not stacks then
    stacks = with_outer(capture_here((level or 1) + 1))
  elseif kernel.here().outer then
    stacks = with_outer(stacks[1])
  end
  local r = new(u, explain(value), kind, stacks)
  if is_panic(kind) then record.tell(u, r) end
  return r
end

--- The same for an exit: observers hear nothing of it.
function record.exit(u, value, kind, source)
  local r = new(u, value, kind, with_outer(capture_here(1)))
  r._exits = true
  if source then r._source = source end
  return r
end

--- The record of a value without a stack of its own.
---@param thread? thread  # whose stack to capture: one that does not run
function record.make(u, value, kind, thread)
  local stacks = thread and with_outer(capture_thread(thread), thread) or {}
  local r = new(u, explain(value), kind, stacks)
  if is_panic(kind) then record.tell(u, r) end
  return r
end

--- "memory" for Lua's error for want of it, else "error".
function record.kind_of_error(err) return err == "not enough memory" and "memory" or "error" end

local load_functions = { [load] = true, [loadfile] = true, [dofile] = true }
if rawget(_G, "loadstring") then load_functions[rawget(_G, "loadstring")] = true end
local CATCHERS = { [pcall] = true, [xpcall] = true }

--- Whether Lua's `load`, or the like, will catch the error and return it: in some Luas its parser has no
--- message handler of its own, so ours is called.
local function is_caught_by_load(stack, err)
  for i = 1, #stack do
    local fn = stack[i].func
    if load_functions[fn] then
      if i > 1 and stack[i - 1].func ~= error then return fn == load end
      return type(err) == "string" and (err:sub(1, #OVERFLOW) == OVERFLOW
        or err:find("reader function must return a string", 1, true) ~= nil)
    end
    if CATCHERS[fn] then return false end
  end
  return false
end

--- The record of an error, for the message handler of a protected call; call it there. Returns the error as
--- it is if Lua itself will catch it.
---@param thread? thread  # the coroutine that has died of the error; nil: the stack of the running one stands
---@param first? integer  # the innermost level of that coroutine to capture
function record.of_error(u, err, thread, first)
  local stack
  if first == -1 then stack = {} else stack = thread and capture_thread(thread, first) or capture_here(2) end
  local inner = u.inner
  local stacks
  if inner and rawequal(inner.err, err) then
    stacks = with_outer(stack, thread)
    for i = #inner.stacks, 1, -1 do table.insert(stacks, 1, inner.stacks[i]) end
  else
    if is_caught_by_load(stack, err) then return err end
    stacks = with_outer(stack, thread)
  end
  u.inner = nil
  local r = new(u, explain(err), record.kind_of_error(err), stacks)
  r._api = true
  record.tell(u, r)
  return r
end

-- LuaJIT leaves a message handler a few slots of a stack that has overflowed, too few to make a record. There
-- another coroutine makes it, which has a stack of its own. It can't look at the main thread's.

local function make_deep(err, thread)
  while true do
    local r = record.of_error(port.state(), err, thread, thread and 2 or -1)
    err, thread = compat.yield(r)
  end
end

--- A coroutine that is resumed with an error and the thread whose stack is full (nil: the main thread), and
--- yields the record.
function record.new_deep_maker()
  return compat.create(make_deep)
end

return record
