--- UTF-8 for Luas without the library utf8, and stricter than that: no surrogates, nothing beyond U+10FFFF
--- (Unicode 15, table 3-7).

local utf8_text = {}

local REPLACEMENT = "\239\191\189" -- U+FFFD

--- The size of the sequences that begin with a byte, and the bounds of their second byte; all others are
--- 80 to BF.
local function form_of(first)
  if first < 0x80 then return 1 end
  if first < 0xc2 or first > 0xf4 then return 0 end
  local size = first < 0xe0 and 2 or first < 0xf0 and 3 or 4
  if first == 0xe0 then return size, 0xa0, 0xbf end
  if first == 0xed then return size, 0x80, 0x9f end
  if first == 0xf0 then return size, 0x90, 0xbf end
  if first == 0xf4 then return size, 0x80, 0x8f end
  return size, 0x80, 0xbf
end

--- Returns the length of the sequence at `at`, or of its longest valid beginning, at least 1 (Unicode calls
--- it a maximal subpart), and whether the sequence is whole.
local function subpart_length(text, at)
  local size, low, high = form_of(text:byte(at))
  local length = 1
  while length < size do
    local byte = text:byte(at + length)
    if not byte or byte < low or byte > high then break end
    low, high = 0x80, 0xbf
    length = length + 1
  end
  return length, length == size
end

--- The number of characters from `at` on (1 if nil), as utf8.len: nil and the first place that is not UTF-8.
---@param text string
---@param at integer?
---@return integer? count
---@return integer? bad
function utf8_text.len(text, at)
  local count = 0
  at = at or 1
  while at <= #text do
    local length, whole = subpart_length(text, at)
    if not whole then return nil, at end
    count, at = count + 1, at + length
  end
  return count
end

--- The place of the character number `n`, from 1, of valid text, as utf8.offset.
---@param text string
---@param n integer
---@return integer?
function utf8_text.offset(text, n)
  local at = 1
  while n > 1 and at <= #text do
    at, n = at + subpart_length(text, at), n - 1
  end
  return n == 1 and at or nil
end

---@param text string
---@return boolean
function utf8_text.is_valid(text)
  local at = text:find "[\128-\255]"
  while at and at <= #text do
    local length, whole = subpart_length(text, at)
    if not whole then return false end
    at = at + length
  end
  return true
end

--- Returns the text with U+FFFD in place of each maximal subpart that is not UTF-8.
---@param text string
---@return string
function utf8_text.valid(text)
  if utf8_text.is_valid(text) then return text end
  local pieces, at = {}, 1
  while at <= #text do
    local length, whole = subpart_length(text, at)
    pieces[#pieces + 1] = whole and text:sub(at, at + length - 1) or REPLACEMENT
    at = at + length
  end
  return table.concat(pieces)
end

return utf8_text
