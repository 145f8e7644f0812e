--- Texts for people: lines with an indent, escapes for terminals, names of chunks. The twin of kernel/text.h.

local text = {}

local byte, sub, format, find = string.byte, string.sub, string.format, string.find

text.MAX_NAME = 200

--- The size of the well-formed UTF-8 sequence at byte `i`; 0: there is none. Unicode 15, table 3-7.
function text.utf8_length(s, i)
  local a = byte(s, i)
  if a == nil then return 0 end
  if a < 0x80 then return 1 end
  if a < 0xc2 or a > 0xf4 then return 0 end
  local size = a >= 0xf0 and 4 or a >= 0xe0 and 3 or 2
  local b, c, d = byte(s, i + 1, i + size - 1)
  local low = a == 0xe0 and 0xa0 or a == 0xf0 and 0x90 or 0x80
  local high = a == 0xed and 0x9f or a == 0xf4 and 0x8f or 0xbf
  if b == nil or b < low or b > high then return 0 end
  if size > 2 and (c == nil or c < 0x80 or c > 0xbf) then return 0 end
  if size > 3 and (d == nil or d < 0x80 or d > 0xbf) then return 0 end
  return size
end
local utf8_length = text.utf8_length

--- How many bytes of a text to keep, at most `limit`, so that no sequence is cut.
function text.cut(s, limit)
  if #s <= limit then return #s end
  local at = limit
  while at > 0 and limit - at < 3 do
    local b = byte(s, at + 1)
    if b < 0x80 or b >= 0xc0 then break end
    at = at - 1
  end
  -- If no sequence starts there, the text is not UTF-8, and may be cut anywhere.
  return utf8_length(s, at + 1) > 0 and at or limit
end

--- How many bytes at `i` are safe for a terminal; 0: the first must be escaped. U+0080 to U+009F are control
--- characters too.
local function printable_length(s, i)
  local size = utf8_length(s, i)
  local a = byte(s, i)
  if size == 1 and (a < 0x20 or a == 0x7f) then return 0 end
  if size == 2 and a == 0xc2 and byte(s, i + 1) < 0xa0 then return 0 end
  return size
end

--- A text with \xNN for what is not safe for a terminal.
---@param one_line boolean  # tabs and newlines too
function text.escape(s, one_line)
  if not find(s, "[%c\127-\255]") then return s end
  local out, n, i = {}, 0, 1
  while i <= #s do
    local size = printable_length(s, i)
    local piece
    if size > 0 then
      piece = sub(s, i, i + size - 1)
    else
      size = 1
      piece = sub(s, i, i)
      if one_line or piece ~= "\t" and piece ~= "\n" then piece = format("\\x%02X", byte(piece)) end
    end
    n = n + 1
    out[n] = piece
    i = i + size
  end
  return table.concat(out)
end

--- A name, cut and escaped.
function text.name(s)
  local shown = text.cut(s, text.MAX_NAME)
  local cut = shown < #s and "..." or ""
  return text.escape(sub(s, 1, shown), true) .. cut
end

local ID_SIZE = 60 -- LUA_IDSIZE, with the zero

--- The name of a chunk as luaO_chunkid of Lua 5.4 writes it.
function text.chunk_name(source)
  local first = sub(source, 1, 1)
  if first == "=" then return sub(source, 2, ID_SIZE) end
  if first == "@" then
    local path = sub(source, 2)
    if #path < ID_SIZE then return path end
    return "..." .. sub(path, #path - (ID_SIZE - 1 - 3) + 1)
  end
  local newline = find(source, "\n", 1, true)
  local room = ID_SIZE - 1 - #'[string "' - #"..." - #'"]'
  local whole = newline == nil and #source < room
  local line = newline and sub(source, 1, newline - 1) or source
  return '[string "' .. sub(line, 1, room) .. (whole and "" or "...") .. '"]'
end

-- Lines --------------------------------------------------------------------------------------------------

--- A writer of lines: {out = pieces, indent = tabs, colour = boolean}.
function text.writer(colour) return { out = {}, indent = 0, mid_line = false, colour = colour } end

local function put_piece(w, piece)
  if piece == "" then return end
  local out = w.out
  if not w.mid_line then
    w.mid_line = true
    if w.indent > 0 then out[#out + 1] = ("\t"):rep(w.indent) end
  end
  out[#out + 1] = piece
end

--- Writes a text, in which newlines begin a new line with the indent.
function text.put(w, s)
  local from = 1
  while true do
    local newline = find(s, "\n", from, true)
    if not newline then break end
    put_piece(w, sub(s, from, newline - 1))
    w.out[#w.out + 1] = "\n"
    w.mid_line = false
    from = newline + 1
  end
  put_piece(w, sub(s, from))
end

text.BOLD_RED, text.PLAIN = "\27[1;31m", "\27[0m"

function text.put_colour(w, escape)
  if w.colour then w.out[#w.out + 1] = escape end
end

--- All that was written, without the last newlines.
function text.result(w) return (table.concat(w.out):gsub("\n+$", "")) end

return text
