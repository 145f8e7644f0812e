--- Makes texts valid for formats that take only UTF-8: JSON, protobuf, drawings.

local portable = require "coropanic.portable"

local utf8_len, utf8_offset = portable.utf8_len, portable.utf8_offset

local text = {}

local REPLACEMENT = "\239\191\189" -- U+FFFD

--- Returns the string with U+FFFD in place of each byte that is not UTF-8.
---@param bytes string
---@return string
function text.valid(bytes)
  if utf8_len(bytes) then return bytes end
  local pieces, at = {}, 1
  while at <= #bytes do
    local _, bad = utf8_len(bytes, at)
    pieces[#pieces + 1] = bytes:sub(at, (bad or #bytes + 1) - 1)
    if not bad then break end
    pieces[#pieces + 1] = REPLACEMENT
    at = bad + 1
  end
  return table.concat(pieces)
end

--- Returns valid text that is safe for a terminal: control characters, U+0080 to U+009F too, become \xNN.
---@param valid string
---@return string
function text.printable(valid)
  local function escape(bytes)
    return (bytes:gsub(".", function(c) return ("\\x%02X"):format(c:byte()) end))
  end
  return (valid:gsub("%c", escape):gsub("\194[\128-\159]", escape))
end

--- Returns at most `limit` characters of valid text.
---@param valid string
---@param limit integer
---@return string
function text.cut(valid, limit)
  -- A character has at least one byte, so most texts need not be counted.
  if #valid <= limit or utf8_len(valid) <= limit then return valid end
  return valid:sub(1, utf8_offset(valid, limit - 2) - 1) .. "..."
end

return text
