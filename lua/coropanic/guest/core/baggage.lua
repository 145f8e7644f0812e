--- W3C Baggage: reads and writes the header and its members, by the rules of csrc/core/baggage.h. Source:
--- https://www.w3.org/TR/baggage/ section 3.

local trim = require "coropanic.guest.core.trim"
local utf8_text = require "coropanic.guest.core.utf8"

local baggage = {}

baggage.MAX_MEMBERS = 180
baggage.MAX_LENGTH = 8192

--- A token of RFC 9110.
local NAME = "^[A-Za-z0-9!#$%%&'*+%-.^_`|~]+$"

--- Printable ASCII except the blank, quotes, ",", ";" and "\"; a "]" comes first, or it would end the set.
local VALUE = "^[]-~!#-+--:<-[]*$"

--- All bytes that are encoded: those that VALUE does not accept, and "%".
local ENCODED = "[^]-~!#-$&-+--:<-[]"

---@param name string
---@return boolean  # whether it may be the name of a member
function baggage.is_name(name) return name:find(NAME) ~= nil end

--- Splits the text at the first `separator` and trims both parts. Without a separator the second is nil.
local function split(text, separator)
  local at = text:find(separator, 1, true)
  if not at then return trim(text), nil end
  return trim(text:sub(1, at - 1)), trim(text:sub(at + 1))
end

--- Returns name and value if the text is "name=value", else nil. With `bare`, a name alone will do.
local function pair(text, bare)
  local name, value = split(text, "=")
  if not baggage.is_name(name) then return nil end
  if value == nil then
    if not bare then return nil end
  elseif not value:find(VALUE) then
    return nil
  end
  return name, value
end

---@param text string
---@return boolean  # whether it may be the properties of a member: tokens, some with "=" and a value
function baggage.are_properties(text)
  local property
  repeat
    property, text = split(text, ";")
    if not pair(property, true) then return false end
  until text == nil
  return true
end

--- Returns whether two hex digits follow each "%".
---@param text string
---@return boolean
function baggage.is_encoded(text) return not text:gsub("%%%x%x", ""):find("%", 1, true) end

--- Returns the next valid member of a header's text, from `at` on. Passes over parts that are not members by
--- the grammar. Returns nil if there is no more.
---@param text string
---@param at integer  # 1 at first
---@return integer? at  # behind the member
---@return string whole  # without the blanks around it
---@return string name
---@return string value  # percent-encoded
---@return string? properties  # what follows the first ";"
function baggage.next(text, at)
  while at <= #text do
    local equals = text:find("=", at, true)
    if not equals then return nil end
    local comma = text:find(",", at, true) or #text + 1
    while comma < equals do -- what has no "=" is no member
      at = comma + 1
      comma = text:find(",", at, true) or #text + 1
    end
    local whole = trim(text:sub(at, comma - 1))
    at = comma + 1
    local first, properties = split(whole, ";")
    local name, value = pair(first, false)
    if name and (properties == nil or baggage.are_properties(properties)) then
      return at, whole, name, value, properties
    end
  end
end

--- Returns the valid members of a header's text, in order and separated by "," alone: as many as fit, and
--- never a part of one.
---@param text string
---@return string
function baggage.clean(text)
  local members, length = {}, 0
  local at, whole = baggage.next(text, 1)
  while at and #members < baggage.MAX_MEMBERS do
    local comma = #members > 0 and 1 or 0
    if length + comma + #whole <= baggage.MAX_LENGTH then
      members[#members + 1] = whole
      length = length + comma + #whole
    end
    at, whole = baggage.next(text, at)
  end
  return table.concat(members, ",")
end

local function byte_of(digits) return string.char(tonumber(digits, 16)) end

--- Decodes a value. Encoded octets that are not UTF-8 become U+FFFD, one for each maximal subpart. A "%"
--- without two hex digits after it stays as it is.
---@param value string
---@return string
function baggage.decode(value) return utf8_text.valid((value:gsub("%%(%x%x)", byte_of))) end

---@param value string
---@return string
function baggage.encode(value)
  return (value:gsub(ENCODED, function(c) return ("%%%02X"):format(c:byte()) end))
end

--- Returns whether the text is UTF-8. Values must be, before they are encoded.
---@param text string
---@return boolean
function baggage.is_utf8(text) return utf8_text.is_valid(text) end

return baggage
