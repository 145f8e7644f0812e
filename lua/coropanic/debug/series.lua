--- The last samples of what the program does, one a second, for coropanic.debug: how many tasks there are,
--- how long they wait for their turn, how much memory Lua has.

local co = require "coropanic"
local json = require "coropanic.debug.json"

local series = {}

series.MAX = 120 -- samples
series.SECONDS = 1 -- between two of them

local NAMES = { "t", "tasks", "ready", "switches", "delay_p99_us", "memory_kb", "panics" }

---@class coropanic.debug.series
---@field columns table<string, number[]>  # by name; all have as many samples
---@field count integer  # of samples that were ever taken
local Series = {}
Series.__index = Series

function series.new()
  local columns = {}
  for _, name in ipairs(NAMES) do columns[name] = json.list {} end
  return setmetatable({ columns = columns, count = 0, before = nil }, Series)
end

--- Returns the delay that 99 of 100 turns since `before` did not exceed, to a factor of two, in microseconds.
local function percentile(delay, before)
  local counts, all, highest = {}, 0, 0
  for power, count in pairs(delay.buckets) do
    local new = count - (before and before.buckets[power] or 0)
    counts[power], all = new, all + new
    if new > 0 and power > highest then highest = power end
  end
  local beyond = 0
  for power = highest, 1, -1 do
    beyond = beyond + (counts[power] or 0)
    if beyond > all / 100 then return 2 ^ power / 1000 end
  end
  return 0
end

--- Takes a sample, unless the last one was taken less than a second ago. What is counted by the second begins
--- with the first call, so the second one has the first sample.
function Series:sample()
  local now, before = co.now(), self.before
  local passed = before and now - before.now
  if passed and passed >= 0 and passed < 0.9 * series.SECONDS then return end
  local stats, kept = co.stats(), co.accounting()
  local taken = { now = now, wall = before and before.wall or os.time() - now, stats = stats, kept = kept }
  if passed and passed < 0 then before, taken.wall = nil, os.time() - now end -- another run's clock
  self.before = taken
  if not before then return end
  local point = {
    t = taken.wall + now, tasks = stats.live, ready = stats.ready, panics = stats.panics,
    switches = (stats.switches - before.stats.switches) / passed, memory_kb = collectgarbage "count",
    -- JSON has null for what is no number: nobody has counted delays.
    delay_p99_us = kept and percentile(kept.delay, before.kept and before.kept.delay) or 0 / 0,
  }
  self.count = self.count + 1
  for _, name in ipairs(NAMES) do
    local column = self.columns[name]
    if #column == series.MAX then table.remove(column, 1) end
    column[#column + 1] = point[name]
  end
end

--- Returns the samples as JSON: a list for each name.
---@return string
function Series:encode() return json.encode(self.columns) end

--- Returns the last sample as JSON; nil: there is none.
---@return string?
function Series:last()
  if self.count == 0 then return nil end
  local point = {}
  for _, name in ipairs(NAMES) do point[name] = self.columns[name][#self.columns[name]] end
  return json.encode(point)
end

--- Samples until nobody has asked for so long that all samples would be old.
---@param asked_at fun(): number  # the time of the last question
function Series:watch(asked_at)
  if pcall(co.accounting, true) then co.defer(co.accounting, false) end -- the guest has none
  while co.now() - asked_at() <= series.MAX * series.SECONDS do
    self:sample()
    co.sleep(series.SECONDS)
  end
end

return series
