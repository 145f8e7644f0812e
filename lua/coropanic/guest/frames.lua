--- A frame stack has the frames of one coroutine, and the calls deferred in them. It is a state machine: it
--- says which call has to run next, and makes no calls itself; unwind.lua makes the calls. The twin of
--- kernel/frames.h, whose comments explain the states.
---
--- A frame stack is a table: s[1] to s[s.depth] are the open frames, and the frames behind them are kept for
--- the next ones. Deferred calls stand in arrays of the stack, those of outer frames first; up to two of
--- their arguments stand in arrays too. So neither a frame nor a deferred call makes a table.
---
--- A frame that is not in use is in state "body", and has no deferred call, record, result or object.

local compat = require "coropanic.guest.compat"

local frames = {}

local select, unpack = select, compat.unpack

--- The states: "body", "returning", "panicking", "exiting".

--- Types of frames: constants of the file that opens them. Fields, all optional:
---   shields   an exit that unwinds the frame around it does not unwind its body
---   stops     an exit that begins in its body goes on no further
---   thin      it has no deferred calls: its body's belong to the frame around it
---   leave     function(object, s, state, ...): called when the frame is closed, with its results, or the
---             record unless `state` is "returning"; returns the results of the call, or raises
---   lost      function(object, s): called when the body is gone (its coroutine was closed, or an error of
---   the
---             runtime has skipped it) and the frame, the innermost one, is about to be closed; may park.
---             That
---             of a thin frame neither suspends nor raises
frames.FUNC = { name = "func" }                          -- one call of a co.func or of co.call
frames.DEFERRED = { name = "deferred", shields = true }  -- a deferred call
frames.ENTRY = { name = "entry", shields = true }        -- of a task: its outermost frame
frames.BLOCK = { name = "block", shields = true }        -- ends a block with a call in a <close> variable

local FUNC, DEFERRED = frames.FUNC, frames.DEFERRED

local function new_frame()
  return {
    type = FUNC, state = "body", exiting = false,
    count = 0,                 -- of pending deferred calls
    record = nil,              -- of the panic or exit in flight
    n = 0, a = nil, b = nil,   -- results: their number, the first two,
    rest = nil,                -- and all of them if there are more
    object = nil, fn = nil,    -- of a deferred call: its function
  }
end

function frames.new(foreign)
  return {
    depth = 0, calls = 0,
    fns = {}, counts = {}, as = {}, bs = {}, rests = {}, serials = {},
    values = 0,        -- of the pending calls
    exit = nil,        -- the record of the exit under way
    records = 0,       -- frames that have one
    foreign = foreign, -- of a coroutine that is no task's
    innermost = nil,   -- of a task: its innermost inner cancel scope
    resetting = false, -- the thread is being closed: deferred calls in <close> variables wait for their frame
  }
end

--- Opens a frame.
function frames.push(s, type)
  local depth = s.depth + 1
  local f = s[depth]
  if f == nil then
    f = new_frame()
    s[depth] = f
  end
  s.depth = depth
  f.type = type
  -- Code that goes on although an exit unwinds it is not shielded by opening another frame.
  f.exiting = not type.shields and depth > 1 and s[depth - 1].exiting
  return f
end

local function set_record(s, f, record)
  if f.record == nil then
    if record ~= nil then s.records = s.records + 1 end
  elseif record == nil then
    s.records = s.records - 1
  end
  f.record = record
end

function frames.drop_results(f)
  if f.n == 0 then return end
  f.n, f.a, f.b, f.rest = 0, nil, nil, nil
end
local drop_results = frames.drop_results

--- Closes the innermost frame, which has no deferred calls any more.
function frames.pop(s)
  local depth = s.depth
  local f = s[depth]
  if f.record ~= nil then set_record(s, f, nil) end
  if f.n > 0 then drop_results(f) end
  f.state, f.exiting, f.object, f.fn = "body", false, nil, nil
  s.depth = depth - 1
end

--- The innermost frame that can have deferred calls; co.defer adds to that. nil: there is none.
---@return table? frame, integer index
function frames.deferring(s)
  local i = s.depth
  while i > 0 and s[i].type.thin do i = i - 1 end
  return s[i], i
end

--- Whether an exit unwinds the innermost frame.
function frames.is_exiting(s) return s.depth > 0 and s[s.depth].exiting end

--- Stores results.
function frames.set_results(f, ...)
  local n = select("#", ...)
  f.n = n
  if n <= 2 then
    f.a, f.b = ...
    f.rest = nil
  else
    f.a, f.b, f.rest = nil, nil, { ... }
  end
end

function frames.results(f)
  local n = f.n
  if n == 0 then return end
  if n == 1 then return f.a end
  if n == 2 then return f.a, f.b end
  return unpack(f.rest, 1, n)
end

--- Ends the innermost frame's body with a record, or replaces that in flight in it.
---@param state string  # "panicking" or "exiting"
function frames.unwind(s, record, state)
  local f = s[s.depth]
  set_record(s, f, record)
  f.state = state
end

--- Call it when the innermost frame's panic was recovered: the frame returns, or goes on exiting.
function frames.recovered(s)
  local f = s[s.depth]
  if f.exiting then
    set_record(s, f, s.exit)
    f.state = "exiting"
  else
    set_record(s, f, nil)
    f.state = "returning"
  end
end

-- Deferred calls -----------------------------------------------------------------------------------------

--- The most values that the pending calls of a frame stack have.
frames.MAX_VALUES = 1000000

--- Adds a deferred call to the frame f, one of the innermost that can have such.
function frames.defer(s, f, serial, fn, n, a, b, rest)
  local i = s.calls + 1
  s.calls = i
  s.fns[i], s.counts[i], s.serials[i] = fn, n, serial
  if n > 0 then
    if n <= 2 then s.as[i], s.bs[i] = a, b else s.rests[i] = rest end
  end
  s.values = s.values + 1 + n
  f.count = f.count + 1
end

--- Takes the innermost frame's newest deferred call: its function, the number of its arguments, the first
--- two, and all if there are more.
function frames.take(s)
  local i = s.calls
  local fns, as, bs, rests = s.fns, s.as, s.bs, s.rests
  local fn, n = fns[i], s.counts[i]
  local a, b, rest = as[i], bs[i], nil
  fns[i] = false
  if n > 0 then
    if n <= 2 then
      as[i], bs[i] = nil, nil
    else
      rest = rests[i]
      rests[i] = nil
    end
  end
  s.calls = i - 1
  s.values = s.values - 1 - n
  local f = s[s.depth]
  f.count = f.count - 1
  return fn, n, a, b, rest
end

--- The index of the pending call of this serial; nil: it is not pending. Calls stand in the order of their
--- serials.
local function find_serial(s, serial)
  local low, high = 1, s.calls
  local serials = s.serials
  while low < high do
    local middle = low + (high - low - (high - low) % 2) / 2
    if serials[middle] < serial then low = middle + 1 else high = middle end
  end
  return low <= s.calls and serials[low] == serial and low or nil
end

function frames.is_pending(s, serial) return find_serial(s, serial) ~= nil end

local ARRAYS = { "fns", "counts", "as", "bs", "rests", "serials" }

--- Moves that call to the innermost frame, which was just opened for it.
function frames.move(s, serial)
  local index = find_serial(s, serial)
  local last = s.calls
  local first, i = last, s.depth
  repeat -- the frame to which the call belongs
    first = first - s[i].count
    i = i - 1
  until first < index
  local owner = s[i + 1]
  for _, name in ipairs(ARRAYS) do
    local array = s[name]
    local value = array[index]
    for k = index, last - 1 do array[k] = array[k + 1] end
    array[last] = value
  end
  owner.count = owner.count - 1
  s[s.depth].count = s[s.depth].count + 1
end

-- Searching ----------------------------------------------------------------------------------------------

--- Whether the record is the panic in flight of any frame.
function frames.holds(s, record)
  if s.records == 0 then return false end
  for i = 1, s.depth do
    local f = s[i]
    if f.state == "panicking" and f.record == record then return true end
  end
  return false
end

--- The index of the outermost frame that a new exit may unwind. Frames that are already unwinding finish
--- first; only the deferred calls that they run can be exited.
function frames.shield(s)
  if s.records == 0 and s.exit == nil then return 1 end
  for i = s.depth, 1, -1 do
    local f = s[i]
    if f.exiting or f.state == "panicking" then return i + 1 end
  end
  return 1
end

--- The newest panic in flight, or nil.
function frames.in_flight(s)
  if s.records == 0 then return nil end
  for i = s.depth, 1, -1 do
    if s[i].state == "panicking" then return s[i].record end
  end
end

-- Exits --------------------------------------------------------------------------------------------------

--- Whether an exit unwinds any frame.
local function has_exit(s)
  if s.exit == nil then return false end
  for i = 1, s.depth do
    if s[i].exiting then return true end
  end
  return false
end

--- Starts an exit: it unwinds the open frames from `floor` on, or from the innermost one that stops exits.
--- There must be an open frame.
function frames.begin_exit(s, record, floor)
  s.exit = record
  local i = s.depth + 1
  repeat
    i = i - 1
    s[i].exiting = true
  until i <= floor or s[i].type.stops
end

--- Ends the innermost frame's body with the record of an exit. If none is under way, it becomes the stack's.
function frames.exit(s, record)
  if not has_exit(s) then frames.begin_exit(s, record, 1) end
  frames.unwind(s, record, "exiting")
end

--- The record of the exit under way; nil: none. Call it before code in which another exit may begin and end.
function frames.save_exit(s) return has_exit(s) and s.exit or nil end

--- Restores it after such code: the exit goes on with that record. An exit that the code has begun, and that
--- goes on, keeps its own.
function frames.restore_exit(s, record)
  if record ~= nil then
    s.exit = record
  elseif s.exit ~= nil and not has_exit(s) then
    s.exit = nil
  end
end

--- Forgets all frames and calls: the frame stack is ready for another coroutine.
function frames.clear(s)
  while s.depth > 0 do
    s[s.depth].count = 0
    frames.pop(s)
  end
  for _, name in ipairs(ARRAYS) do
    local array = s[name]
    for i = 1, s.calls do array[i] = nil end
  end
  s.calls, s.values, s.exit, s.records, s.innermost, s.resetting = 0, 0, nil, 0, nil, false
end

frames.is_deferred = function(f) return f.type == DEFERRED end

return frames
