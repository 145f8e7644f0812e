--- Decides which traces are sampled, by the rules of csrc/core/sampling.h.

local floor = math.floor

local sampling = {}

local TWO_28 = 2 ^ 28

---@class coropanic.guest.sampler
---@field kind "always" | "never" | "ratio" | "parent"
---@field root? "always" | "never" | "ratio"  # of "parent": for traces that begin here
---@field ratio? number  # from 0 to 1, of "ratio"

--- Whether the trace's randomness, its right-most 56 bits, is at least (1 - ratio) * 2^56. Numbers of 56 bits
--- are compared in halves, because a double has 53.
local function is_within(ratio, trace_id)
  local threshold = (1 - ratio) * 2 ^ 56
  local high = floor(threshold / TWO_28)
  local low = floor(threshold - high * TWO_28)
  local random_high = tonumber(trace_id:sub(-14, -8), 16)
  if random_high ~= high then return random_high > high end
  return tonumber(trace_id:sub(-7), 16) >= low
end

local function decide(sampler, kind, trace_id)
  if kind == "ratio" then return is_within(sampler.ratio, trace_id) end
  return kind == "always"
end

--- Returns whether a trace that begins here with this id is sampled.
---@param sampler coropanic.guest.sampler
---@param trace_id string  # 32 digits
---@return boolean
function sampling.decide_root(sampler, trace_id)
  local kind = sampler.kind
  return decide(sampler, kind == "parent" and sampler.root or kind, trace_id)
end

--- Returns whether a trace that came in is sampled.
---@param sampler coropanic.guest.sampler
---@param trace_id string
---@param was_sampled boolean  # what its flag says
---@return boolean
function sampling.decide(sampler, trace_id, was_sampled)
  if sampler.kind == "parent" then return was_sampled end
  return decide(sampler, sampler.kind, trace_id)
end

return sampling
