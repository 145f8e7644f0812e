--- W3C Trace Context, level 2, section 3.2: reads and writes the header traceparent, by the rules of
--- csrc/core/traceparent.h.

local trim = require "coropanic.guest.core.trim"

local traceparent = {}

local LENGTH = 55 -- of version 00, which is what we send
local KNOWN_FLAGS = 4 -- flags are below this: 1 sampled, 2 random

local FIELDS = "^([0-9a-f][0-9a-f])%-([0-9a-f]+)%-([0-9a-f]+)%-([0-9a-f][0-9a-f])"

--- Reads a header's value. Returns nil if it is invalid.
---@param value string
---@return string? trace_id  # 32 digits
---@return string span_id  # the header's parent-id, 16 digits
---@return integer flags  # 1: sampled, 2: random; unknown ones are cleared
function traceparent.parse(value)
  local text = trim(value)
  local version, trace_id, span_id, flags = text:match(FIELDS)
  if not version or version == "ff" or #trace_id ~= 32 or #span_id ~= 16 then return nil end
  -- Version 00 is exactly this long; a later version may go on after another "-".
  if #text > LENGTH and (version == "00" or text:sub(LENGTH + 1, LENGTH + 1) ~= "-") then return nil end
  if not trace_id:find "[^0]" or not span_id:find "[^0]" then return nil end
  return trace_id, span_id, tonumber(flags, 16) % KNOWN_FLAGS
end

--- Returns the value of version 00.
---@param trace_id string
---@param span_id string
---@param flags integer
---@return string
function traceparent.format(trace_id, span_id, flags)
  return ("00-%s-%s-%02x"):format(trace_id, span_id, flags % KNOWN_FLAGS)
end

return traceparent
