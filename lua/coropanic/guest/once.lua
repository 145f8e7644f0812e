--- co.once: a function that runs to its end only once, in the first call. The twin of csrc/lua/lib_once.c.
--- Model: Go's sync.OnceValues.
---
---   new ── called ──▶ running ── returns ──▶ done
---    ▲                   │  └─── panics ───▶ panicked
---    └── its caller is cancelled, exits, or its coroutine is closed

local args = require "coropanic.guest.args"
local compat = require "coropanic.guest.compat"
local kernel = require "coropanic.guest.kernel"
local list = require "coropanic.guest.list"
local object = require "coropanic.guest.object"
local port = require "coropanic.guest.port"
local record = require "coropanic.guest.record"
local unwind = require "coropanic.guest.unwind"
local waitlist = require "coropanic.guest.waitlist"

local pack, unpack = compat.pack, compat.unpack

---@class coropanic.guest.once
---@field tasks table     # see waitlist.lua: the tasks that called while it runs
---@field state string
---@field fn function|false   # until it has run
---@field outcome any          # done: a table of the results; panicked: the record
---@field runner table|false   # running: the task that runs it; false: the main program

local methods = {}
local ONCE = object.type("once", methods)
local check = object.checker(ONCE)
local WAIT, KIND = waitlist.way "once", {}

function ONCE.__tostring(o)
  if o.state == "new" then return "once (not called)" end
  if o.state ~= "running" then return ("once (%s)"):format(o.state) end
  if not o.runner then return "once (running in the main program)" end
  return ("once (running in task %d)"):format(o.runner.id)
end

-- The first call -----------------------------------------------------------------------------------------

--- Ends the run. If the state is "new", the first waiting task that runs calls the function.
local function end_run(o, state, outcome)
  o.state, o.runner, o.outcome = state, false, outcome or false
  if state ~= "new" then o.fn = false end
  waitlist.wake_all(o, "ready")
end

--- The frame of the first call. Deferred calls are not its own: they belong to the frame around it.
local FRAME = { name = "once", thin = true }

function FRAME.leave(o, s, how, ...)
  if how == "returning" then
    end_run(o, "done", pack(...))
  elseif how == "panicking" then
    end_run(o, "panicked", (...))
  else
    end_run(o, "new")
  end
  return unwind.leave(o, s, how, ...)
end

--- The coroutine of the first call was closed.
function FRAME.lost(o) end_run(o, "new") end

-- Every call ---------------------------------------------------------------------------------------------

local function wait_for_run(o)
  if o.runner == (kernel.current() or false) then
    return kernel.raise_kind("deadlock", "once called by its own function: it would wait for itself")
  end
  return waitlist.wait(o, waitlist.check "once", WAIT, nil, "once")
end

local function call(o, ...)
  while o.state == "running" do wait_for_run(o) end
  if o.state == "new" then
    o.state, o.runner = "running", kernel.current() or false
    return unwind.run(FRAME, o, o.fn, ...)
  end
  if o.state == "panicked" then return error(record.raise(port.state(), o.outcome, o.outcome._kind), 0) end
  return unpack(o.outcome, 1, o.outcome.n)
end

--- o(...) and o:call(...). It is a suspension point only if it has to wait for another call.
function methods.call(self, ...) return call(check(self, "call"), ...) end
ONCE.__call = methods.call

function methods.done(self)
  local state = check(self, "done").state
  return state == "done" or state == "panicked"
end

function kernel.api.once(...)
  local fn = ...
  args.callable(fn, 1, "once", select("#", ...))
  local o = { tasks = list.new(), kind = KIND, state = "new", fn = fn, outcome = false, runner = false }
  return setmetatable(o, ONCE)
end
