--- The generator of trace ids and the sampler, of which a Lua state has one each: co.trace.use and
--- co.trace.sampler choose them.

local core = require "coropanic.guest.core"
local kernel = require "coropanic.guest.kernel"
local port = require "coropanic.guest.port"

local generator = {}

local sampling = core.sampling

--- Why there is no id (trace_why_none in kernel/trace.c).
local REASONS = {
  ["clock back"] = "no trace id: the clock was set back by more than the generator puts up with",
  ["clock out"] = "no trace id: the clock is outside the time that the generator's ids have room for",
  ["not leased"] = "no trace id: the machine id is not leased any more; call co.trace.use again, with "
    .. "another generator or, in a task, with a new lease",
  ["ahead of lease"] = "no trace id: the clock is ahead of what the machine id is leased for",
  ["forked"] = "no trace id: the machine id is the parent process's; call co.trace.use here too",
}

--- Nanoseconds since 1970: an integer where Lua has such, or else as exact as a double is.
generator.wall_ns = port.wall or function() return os.time() * 1000000000 end

local function now_ms() return math.floor(generator.wall_ns() / 1e6) end

--- Blocks the process, as Lua has no way to sleep.
local function pause(ms)
  local until_ms = now_ms() + ms
  local deadline = port.now() + ms / 1000
  while now_ms() < until_ms and port.now() < deadline do end
end

--- The library reads the system's clock by itself.
local ids = core.ids.new(port.random, not core.is_native and { now_ms = now_ms, pause = pause } or nil)
generator.ids = ids

--- The lease of the machine id, by port.now; infinite: it is not leased.
generator.leased_until = math.huge

---@type coropanic.guest.sampler
generator.sampler = { kind = "parent", root = "always" }

--- Whether the flags of a new trace are known without its id, and nobody can tell when the id was made: then
--- it need not be made before somebody reads it.
function generator.is_lazy()
  local sampler = generator.sampler
  return ids.kind == "random" and sampler.kind ~= "ratio" and sampler.root ~= "ratio"
end

--- Makes a trace id; raises if there is none.
---@return string
function generator.trace_id()
  local id, reason
  if ids.kind == "snowflake" and port.now() >= generator.leased_until then
    reason = "not leased"
  else
    id, reason = ids:next()
  end
  return id or kernel.raise(REASONS[reason])
end

---@return string
function generator.span_id() return ids:span_id() end

--- The flags of a trace that begins with this id: random (W3C level 2), and sampled if the sampler says so.
---@return integer
function generator.root_flags(trace_id)
  return sampling.decide_root(generator.sampler, trace_id) and 3 or 2
end

--- The flags of a trace that came in with these flags.
---@return integer
function generator.continued_flags(trace_id, flags)
  local sampled = sampling.decide(generator.sampler, trace_id, flags % 2 == 1)
  return flags - flags % 2 + (sampled and 1 or 0)
end

return generator
