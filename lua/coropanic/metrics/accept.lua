--- Chooses the form of an exposition by the header Accept of the request (RFC 9110, section 12.5.1).

local accept = {}

local OPENMETRICS = { "1.0.0", "0.0.1" } -- the versions, which are the same to us

-- The most media ranges that are read of one header.
local MAX_RANGES = 64

--- Returns the parts of `text` between separators that stand in no quoted string.
local function split(text, separator)
  local parts, from, quoted = {}, 1, false
  local at = 1
  while at <= #text do
    local c = text:sub(at, at)
    if quoted and c == "\\" then
      at = at + 1
    elseif c == '"' then
      quoted = not quoted
    elseif c == separator and not quoted then
      parts[#parts + 1] = text:sub(from, at - 1)
      from = at + 1
    end
    at = at + 1
  end
  parts[#parts + 1] = text:sub(from)
  return parts
end

local function trim(text) return text:match "^[ \t]*(.-)[ \t]*$" end

--- Reads one media range. Returns nil if it is none.
---@return { kind: string, version: string?, q: number }?
local function range_of(text)
  local parts = split(text, ";")
  local kind = trim(parts[1]):lower()
  if not kind:find "^[^/%s]+/[^/%s]+$" then return nil end
  local range = { kind = kind, q = 1 }
  for i = 2, #parts do
    local name, value = trim(parts[i]):match "^([^=%s]+)=(.*)$"
    name = name and name:lower()
    if name == "q" then
      local q = value:find "^[01]%.?%d*$" and tonumber(value)
      range.q = q and math.min(q, 1) or 0
    elseif name == "version" then
      range.version = value:match '^"(.*)"$' or value
    end
  end
  return range
end

local function ranges_of(header)
  local ranges = {}
  for i, text in ipairs(split(header, ",")) do
    if i > MAX_RANGES then break end
    ranges[#ranges + 1] = range_of(text)
  end
  return ranges
end

--- Returns the quality of a media type by the most specific range that it matches, and how specific that is:
--- 0 none, 1 any type, 2 any subtype, 3 the type, 4 with its version.
local function quality_of(ranges, kind, version)
  local quality, specific = 0, 0
  for _, range in ipairs(ranges) do
    local rank = 0
    if range.kind == kind and range.version == version then
      rank = 4
    elseif range.kind == kind and range.version == nil then
      rank = 3
    elseif range.kind == kind:match "^[^/]+" .. "/*" then
      rank = 2
    elseif range.kind == "*/*" then
      rank = 1
    end
    if rank > specific or (rank == specific and rank > 0 and range.q > quality) then
      quality, specific = range.q, rank
    end
  end
  return quality, specific
end

--- Returns the form that the client prefers: OpenMetrics only if it names it, because others read it with
--- errors; text also for clients that say nothing, or refuse all that there is.
---@param header string?
---@return "openmetrics" | "text" form
---@return string content_type
function accept.choose(header)
  local ranges = ranges_of(header or "")
  local form, version, best = "text", "0.0.4", quality_of(ranges, "text/plain", "0.0.4")
  local best_rank = 0
  for _, candidate in ipairs(OPENMETRICS) do
    local quality, rank = quality_of(ranges, "application/openmetrics-text", candidate)
    if rank >= 3 and quality > 0 and (quality > best or (quality == best and best_rank == 0)) then
      form, version, best, best_rank = "openmetrics", candidate, quality, rank
    end
  end
  if form == "text" then return form, "text/plain; version=0.0.4; charset=utf-8" end
  return form, ("application/openmetrics-text; version=%s; charset=utf-8"):format(version)
end

return accept
