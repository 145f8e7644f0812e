--- W3C Trace Context, level 2, section 3.3: the header tracestate, by the rules of csrc/core/traceparent.h
--- and tracestate_member.h.

local trim = require "coropanic.guest.core.trim"

local tracestate = {}

local MAX_MEMBERS = 32
local MAX_LENGTH = 512 -- a participant must propagate so much at least; we carry no more
local LONG_MEMBER = 128 -- longer ones are dropped first if space is short
local KEY_MAX, VALUE_MAX = 256, 256

--- Key and value; the latter may contain all printable ASCII but "=" (and ",").
local MEMBER = "^([a-z0-9][a-z0-9_%-*/@]*)=([ -<>-~]+)$"

local function is_member(text)
  local key, value = text:match(MEMBER)
  return key ~= nil and #key <= KEY_MAX and #value <= VALUE_MAX
end

--- Returns the next member from `at` on, without the blanks around it, and the place behind its comma.
local function next_member(text, at)
  local comma = text:find(",", at, true) or #text + 1
  return trim(text:sub(at, comma - 1)), comma + 1
end

local function drop_last_longer_than(list, length)
  for i = #list, 1, -1 do
    if #list[i] > length then return table.remove(list, i) end
  end
end

--- Joins the members, without more of them than needed: first the last of the long ones is dropped, then the
--- last of all.
local function join(list)
  local text = table.concat(list, ",")
  while #text > MAX_LENGTH do
    if not drop_last_longer_than(list, LONG_MEMBER) then table.remove(list) end
    text = table.concat(list, ",")
  end
  return text
end

--- Returns what we carry of a header's value: its members byte for byte and in order, separated by "," alone.
--- If it came more than once, the caller joins the values with "," first. Returns nil if a member breaks the
--- grammar, or there are more than 32.
---@param value string
---@return string? text
---@return integer members  # in the header, kept or not; empty ones do not count
function tracestate.parse(value)
  local list, count, at = {}, 0, 1
  while at <= #value do
    local member
    member, at = next_member(value, at)
    if member ~= "" then
      count = count + 1
      if count > MAX_MEMBERS or not is_member(member) then return nil end
      list[count] = member
    end
  end
  return join(list), count
end

--- Finds the next member `key` in a header's value, which may contain anything else. Looks from `at` on.
---@param text string
---@param key string
---@param at integer  # 1 at first
---@return string? value  # nil: there is none
---@return integer at  # behind the member
function tracestate.find(text, key, at)
  local start = key .. "="
  while at <= #text do
    local member
    member, at = next_member(text, at)
    if member:sub(1, #start) == start then return member:sub(#start + 1), at end
  end
end

--- Returns a carried state with "key=value" in front and without the former members of `key`. If there is no
--- room, others are left out as `parse` does; a 33rd too.
---@param state string
---@param key string
---@param value string
---@return string
function tracestate.put(state, key, value)
  local start = key .. "="
  local list, at = { start .. value }, 1
  while #list < MAX_MEMBERS and at <= #state do
    local member
    member, at = next_member(state, at)
    if member:sub(1, #start) ~= start then list[#list + 1] = member end
  end
  return join(list)
end

return tracestate
