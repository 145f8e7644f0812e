--- Counts of the last seconds, in ten slots: what is older than the window is forgotten a tenth at a time. A
--- window never holds more than ten slots, however many events there are.

local co = require "coropanic"

if require "coropanic.resilience.cooperates" then co.cooperative() end

local window = {}
window.__index = window

local SLOTS = 10

--- Makes a window over the last `seconds`, for counts with these names.
---@param seconds number
---@param names string[]
function window.new(seconds, names)
  local self = setmetatable({ width = seconds / SLOTS, names = names, slots = {}, last = -math.huge }, window)
  self:clear()
  return self
end

--- Forgets everything.
function window:clear()
  self.totals = {}
  for _, name in ipairs(self.names) do self.totals[name] = 0 end
  for i = 1, SLOTS do self.slots[i] = false end
end

local function forget(self, index)
  for name, count in pairs(self.slots[index] or {}) do self.totals[name] = self.totals[name] - count end
  self.slots[index] = false
end

-- Makes the slot of the present time the last one, and forgets those that are then older than the window.
local function move(self, now)
  local number = math.floor(now / self.width)
  if number - self.last >= SLOTS then
    self:clear()
  else
    for i = self.last + 1, number do forget(self, i % SLOTS + 1) end
  end
  self.last = math.max(self.last, number)
end

--- Adds one to the count.
---@param now number  # seconds, which never go back
function window:add(now, name)
  move(self, now)
  local index = self.last % SLOTS + 1
  local slot = self.slots[index]
  if not slot then
    slot = {}
    self.slots[index] = slot
  end
  slot[name] = (slot[name] or 0) + 1
  self.totals[name] = self.totals[name] + 1
end

--- Returns the count within the window.
---@return integer
function window:count(now, name)
  move(self, now)
  return self.totals[name]
end

return window
