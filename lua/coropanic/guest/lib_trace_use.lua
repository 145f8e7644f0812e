--- co.trace.use: chooses the generator of trace ids. The twin of csrc/lua/lib_trace_use.c.

local args = require "coropanic.guest.args"
local generator = require "coropanic.guest.generator"
local kernel = require "coropanic.guest.kernel"
local options = require "coropanic.guest.options"
local port = require "coropanic.guest.port"
local trace = require "coropanic.guest.lib_trace"
local unwind = require "coropanic.guest.unwind"

local ids = generator.ids

--- 2024-01-01T00:00:00Z: snowflakes then last until 2093.
local DEFAULT_EPOCH_MS, LATEST_EPOCH_MS = 1704067200000, 2 ^ 48
local DEFAULT_WAIT_MS, DEFAULT_BORROW_MS, DEFAULT_DRIFT_MS = 100, 10000, 500
local LAST_MACHINE = 1023

--- A wall clock that shows more is as good as broken.
local LATEST_MS = 2 ^ 52

--- Calls of co.trace.use so far, and the one whose generator is used.
local uses, in_use = 0, 0

local held -- the lease of the machine id that is used; nil: it is not leased

-- Leases -------------------------------------------------------------------------------------------------

--- Sets the limits of the lease in the generator.
local function apply(lease)
  generator.leased_until = lease.until_time
  ids:lease_to(lease.to_ms)
end

--- hold([seconds, [to]]): see docs/trace-ids.md.
local function new_hold(lease)
  return function(seconds, to)
    if seconds == nil then
      lease.asked = port.now()
    else
      args.seconds(seconds, 1, "hold")
      lease.to_ms = to == nil and math.huge or args.integer(to, 2, "hold", "to", 0, LATEST_MS)
      lease.until_time = seconds > 0 and (lease.asked or port.now()) + seconds or -math.huge
      lease.asked = nil
    end
    if held == lease then
      apply(lease)
      lease.last_ms = ids:last_ms()
    end
    if lease.last_ms then return not lease.over, lease.last_ms end
    return not lease.over
  end
end

--- Ends the lease, because another generator, machine id or lease is used from now on.
---@param last_ms integer?  # what ids:last_ms returned before the change
local function end_lease(last_ms)
  if not held then return end
  held.last_ms, held.over = last_ms, true
  held = nil
end

-- The generators -----------------------------------------------------------------------------------------

--- Makes the generator use the machine id, without a lease; or raises and changes nothing.
local function use_machine(machine, o)
  local last_ms = ids:last_ms()
  local refusal = ids:use_snowflake(machine, o.epoch_ms, o.policy, o.tolerance_ms)
  if refusal == "taken" then
    kernel.raise("co.trace.use: machine id %d is used by another Lua state of this process, or by the "
      .. "process that it was forked from", machine)
  elseif refusal then
    kernel.raise("co.trace.use: option 'epoch': machine id %d has made ids since another epoch in this "
      .. "process; with %.0f they would not be in order", machine, o.epoch_ms)
  end
  generator.leased_until = math.huge
  end_lease(last_ms)
end

--- Raises unless what the lease function has returned is an integer from 0 to `high`.
local function check_returned(value, high, expected)
  if type(value) == "number" and value % 1 == 0 and value >= 0 and value <= high then return value end
  local got = type(value) == "number" and tostring(value) or type(value)
  kernel.raise("co.trace.use: option 'lease': the function returned %s, not %s", got, expected)
end

--- The lease function has returned.
local function after_lease(lease, machine, last_ms)
  check_returned(machine, LAST_MACHINE, "a machine id, an integer from 0 to 1023")
  if last_ms ~= nil then check_returned(last_ms, LATEST_MS, "the unix millisecond of the last id") end
  if in_use > lease.use then
    kernel.raise "co.trace.use: another call has chosen the generator while this one waited for its lease"
  end
  local before = ids.kind
  use_machine(machine, lease.options)
  if last_ms ~= nil then ids:start_behind(last_ms) end
  held, in_use = lease, lease.use
  apply(lease)
  return before
end

--- The call of a lease function, without a frame of its own.
local CALL = { name = "lease", thin = true }

function CALL.leave(lease, _, how, ...)
  lease.over = true -- unless the call succeeds
  if how ~= "returning" then return error((...), 0) end
  local before = after_lease(lease, ...)
  lease.over = false
  return before
end

function CALL.lost(lease) lease.over = true end

local function begin_lease(fn, o)
  uses = uses + 1
  local lease = { options = o, use = uses, until_time = -math.huge, to_ms = math.huge, over = false }
  return unwind.call_closing(CALL, lease, fn, new_hold(lease))
end

local SNOWFLAKE_NAMES = { machine = true, lease = true, epoch = true, on_clock_back = true, tolerance = true }
local POLICIES = { "wait", "borrow", "error" }

local function use_snowflake(given)
  args.options(given, 2, "use", SNOWFLAKE_NAMES)
  local lease = args.option(given, 2, "use", "lease", "function")
  local machine = options.integer(given, 2, "use", "machine", 0, LAST_MACHINE, nil)
  if (machine == nil) == (lease == nil) then
    args.refuse(2, "use", "for a snowflake either option 'machine' or option 'lease' expected")
  end
  local policy = options.word(given, 2, "use", "on_clock_back", POLICIES)
  local tolerance_ms = policy == "borrow" and DEFAULT_BORROW_MS or DEFAULT_WAIT_MS
  local o = {
    policy = policy,
    tolerance_ms = options.milliseconds(given, 2, "use", "tolerance", tolerance_ms),
    epoch_ms = options.integer(given, 2, "use", "epoch", 0, LATEST_EPOCH_MS, DEFAULT_EPOCH_MS),
  }
  if lease then return begin_lease(lease, o) end
  local before = ids.kind
  use_machine(machine, o)
  uses = uses + 1
  in_use = uses
  return before
end

local NO_NAMES, HLC_NAMES = {}, { max_drift = true }
local KINDS = { random = true, uuid7 = true, snowflake = true, hlc = true }

function trace.use(...)
  local kind, given = ...
  if type(kind) ~= "string" then args.type_error(kind, 1, "use", "string", select("#", ...)) end
  if not KINDS[kind] then args.refuse(1, "use", '"random", "uuid7", "snowflake" or "hlc" expected') end
  if given == nil then given = {} end
  if kind == "snowflake" then return use_snowflake(given) end
  args.options(given, 2, "use", kind == "hlc" and HLC_NAMES or NO_NAMES)
  local max_drift_ms = options.milliseconds(given, 2, "use", "max_drift", DEFAULT_DRIFT_MS)
  local before, last_ms = ids.kind, ids:last_ms()
  ids["use_" .. kind](ids, max_drift_ms)
  end_lease(last_ms)
  ids:give_back()
  uses = uses + 1
  in_use = uses
  return before
end

return trace
