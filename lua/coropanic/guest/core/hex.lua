--- Lower-case hexadecimal, the form of ids in W3C Trace Context (csrc/core/hex.h).

local hex = {}

local digits_of, byte_of = {}, {}
for i = 0, 255 do
  local byte, digits = string.char(i), ("%02x"):format(i)
  digits_of[byte], byte_of[digits] = digits, byte
end

---@param bytes string
---@return string digits
function hex.encode(bytes) return (bytes:gsub(".", digits_of)) end

--- Returns nil if there is anything but pairs of 0-9 and a-f.
---@param digits string
---@return string? bytes
function hex.decode(digits)
  if #digits % 2 ~= 0 or digits:find "[^0-9a-f]" then return nil end
  return (digits:gsub("..", byte_of))
end

return hex
