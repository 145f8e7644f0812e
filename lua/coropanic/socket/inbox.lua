--- The bytes that were received and not yet returned to a caller, in pieces as they came.

local co = require "coropanic"

co.cooperative()

---@class coropanic.socket.inbox
---@field size integer      # bytes
---@field first integer     # the oldest piece
---@field last integer      # the newest piece; first - 1: there is none
---@field taken integer     # bytes of the oldest piece that are gone
---@field searched integer  # the oldest piece in which no end of a line was looked for
---@field clean integer     # bytes before that piece; they have no end of a line
local inbox = {}
inbox.__index = inbox

---@return coropanic.socket.inbox
function inbox.new()
  return setmetatable({ size = 0, first = 1, last = 0, taken = 0, searched = 1, clean = 0 }, inbox)
end

function inbox:push(piece)
  if piece ~= "" then
    self.last = self.last + 1
    self[self.last] = piece
    self.size = self.size + #piece
  end
end

--- Takes the oldest `count` bytes, which must be there.
---@return string
function inbox:take(count)
  local parts, left = {}, count
  while left > 0 do
    local piece = self[self.first]
    local part = piece:sub(self.taken + 1, self.taken + left)
    parts[#parts + 1] = part
    left = left - #part
    self.taken = self.taken + #part
    if self.taken == #piece then
      self[self.first] = nil
      self.first, self.taken = self.first + 1, 0
    end
  end
  self.size = self.size - count
  self.searched, self.clean = self.first, 0
  return table.concat(parts)
end

--- Returns the length of the first line, with its end; nil if its end has not come. Each piece is searched
--- only once, however many pieces a line has.
---@return integer?
function inbox:line_length()
  while self.searched <= self.last do
    local piece = self[self.searched]
    local skipped = self.searched == self.first and self.taken or 0
    local found = piece:find("\n", skipped + 1, true)
    if found then
      return self.clean + found - skipped
    end
    self.clean = self.clean + #piece - skipped
    self.searched = self.searched + 1
  end
  return nil
end

return inbox
