--- Text for those who take nothing but UTF-8: JSON, protobuf, drawings.

local text = {}

--- A string as it is, or with U+FFFD in the place of each byte that is not UTF-8.
---@param bytes string
---@return string
function text.valid(bytes)
  if utf8.len(bytes) then return bytes end
  local pieces, at = {}, 1
  while at <= #bytes do
    local _, bad = utf8.len(bytes, at)
    pieces[#pieces + 1] = bytes:sub(at, (bad or #bytes + 1) - 1)
    if not bad then break end
    pieces[#pieces + 1] = "\u{FFFD}"
    at = bad + 1
  end
  return table.concat(pieces)
end

return text
