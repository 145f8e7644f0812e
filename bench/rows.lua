-- From measurements to rows: our cost beside another's, their ratio, and whether a target is met.

local statistics = require "statistics"

local rows = {}

rows.OURS = "coropanic"

---@class row
---@field label string  # the workload, and which figure of it
---@field size string
---@field collector string
---@field ours string
---@field peer string
---@field theirs string
---@field ratio string
---@field spread string
---@field target string
---@field verdict string  # whether the target is met, or why there is no ratio
---@field not_measured boolean?  # there is a target and no ratio
---@field plotted spread?  # the ratio
---@field bound number?  # the greatest ratio that meets the target

local function three_digits(value)
  if value >= 100 then return ("%.0f"):format(value) end
  if value >= 10 then return ("%.1f"):format(value) end
  return ("%.2f"):format(value)
end

-- Small ratios need their digits to be told apart.
local function ratio_text(ratio) return (ratio < 0.1 and "%.4f" or "%.2f"):format(ratio) end

local function target_text(target)
  if target.times_faster then return ("%g times faster"):format(target.times_faster) end
  return ("at most %g"):format(target.at_most)
end

local function verdict(met) return met and "met" or "missed" end

-- One figure of a measurement.
local view = {}
view.__index = view

local function view_of(measurement, figure)
  return setmetatable({ measurement = measurement, workload = measurement.workload, figure = figure }, view)
end

function view:results(peer) return self.measurement.results[peer] end

---@return string  # with its unit; "none" without results
function view:cost(results)
  if not results then return "none" end
  local unit = self.workload.unit
  return three_digits(statistics.costs(results, self.figure).median * unit.per) .. " " .. unit.name
end

function view:target(key, value) return statistics.target(self.measurement, self.figure, key, value) end

function view:new_row()
  local measurement, name = self.measurement, self.workload.name
  return {
    label = self.figure == statistics.EACH and name or name .. " " .. self.figure,
    size = ("%d"):format(measurement.size),
    collector = measurement.collector == "any" and "" or measurement.collector,
    ours = self:cost(self:results(rows.OURS)),
    peer = "", theirs = "", ratio = "", spread = "", target = "",
    verdict = measurement.why[rows.OURS] or "",
  }
end

function view:set_ratio(row, theirs, target)
  local ratio = statistics.ratio(self:results(rows.OURS), theirs, self.figure)
  row.theirs = self:cost(theirs)
  row.ratio = ratio_text(ratio.median)
  row.spread = ratio_text(ratio.least) .. " to " .. ratio_text(ratio.greatest)
  row.plotted = ratio
  if target then
    row.bound = statistics.bound(target)
    row.target = target_text(target)
    row.verdict = verdict(ratio.median <= row.bound)
  end
end

function view:against_peer(peer)
  local row, theirs, target = self:new_row(), self:results(peer), self:target("against", peer)
  row.peer = peer
  row.theirs = self:cost(theirs)
  row.verdict = self.measurement.why[peer] or row.verdict
  if theirs and self:results(rows.OURS) then
    self:set_ratio(row, theirs, target)
  elseif target then
    row.target, row.not_measured = target_text(target), true
  end
  return row
end

---@param smaller table[]?  # our results at the size of the target
function view:against_size(target, smaller)
  local row = self:new_row()
  row.peer = ("%s %d"):format(rows.OURS, target.against_size)
  if smaller and self:results(rows.OURS) then
    self:set_ratio(row, smaller, target)
  else
    row.target, row.not_measured = target_text(target), true
  end
  return row
end

--- Without another to compare with, nor a target, the row has our cost alone.
function view:alone()
  local row, target, ours = self:new_row(), self:target "at_most_cost", self:results(rows.OURS)
  if target then
    local unit = self.workload.unit
    row.target = ("at most %g %s"):format(target.at_most_cost, unit.name)
    row.not_measured = not ours
    if ours then
      local cost = statistics.costs(ours, self.figure).median
      row.verdict = verdict(cost * unit.per <= target.at_most_cost)
    end
  end
  return row
end

local function results_at(measurements, collector, size)
  for _, measurement in ipairs(measurements) do
    if measurement.collector == collector and measurement.size == size then
      return measurement.results[rows.OURS]
    end
  end
end

--- The rows of one workload; its sizes may be compared with each other.
---@param measurements measurement[]  # one for each size and collector
---@return row[]
function rows.of(measurements)
  local list = {}
  for _, measurement in ipairs(measurements) do
    local workload = measurement.workload
    for _, figure in ipairs(workload.figures or { statistics.EACH }) do
      local seen = view_of(measurement, figure)
      for _, peer in ipairs(workload.peers) do list[#list + 1] = seen:against_peer(peer) end
      local target = seen:target "against_size"
      if target then
        local smaller = results_at(measurements, measurement.collector, target.against_size)
        list[#list + 1] = seen:against_size(target, smaller)
      end
      local is_compared = workload.peers[1] or target
      if seen:target "at_most_cost" or not is_compared then list[#list + 1] = seen:alone() end
    end
  end
  return list
end

--- All rows of a run, in order.
---@return row[]
function rows.all(run)
  local list, group = {}, {}
  local function flush()
    for _, row in ipairs(rows.of(group)) do list[#list + 1] = row end
    group = {}
  end
  for _, measurement in ipairs(run.measurements) do
    if group[1] and group[1].workload ~= measurement.workload then flush() end
    group[#group + 1] = measurement
  end
  flush()
  return list
end

return rows
