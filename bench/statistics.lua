-- From what the peers measured to what is shown: costs, ratios and whether targets are met.

local statistics = {}

-- What is shown of a run: "each", the cost of one operation in seconds or bytes, or one of the other figures
-- that its result has, `seconds_<figure>`.
statistics.EACH = "each"

---@param figure string?  # nil: "each"
function statistics.cost(result, figure)
  if figure and figure ~= statistics.EACH then return result["seconds_" .. figure] end
  return (result.seconds or result.bytes) / result.operations
end

---@class spread
---@field median number
---@field least number
---@field greatest number

---@param values number[]
---@return spread
function statistics.spread(values)
  local sorted = table.move(values, 1, #values, 1, {})
  table.sort(sorted)
  local middle = (#sorted + 1) // 2
  local median = #sorted % 2 == 1 and sorted[middle] or (sorted[middle] + sorted[middle + 1]) / 2
  return { median = median, least = sorted[1], greatest = sorted[#sorted] }
end

--- Of ours to theirs, round by round: what disturbs a round disturbs both.
---@param ours table[]  # results
---@param theirs table[]
---@param figure string?
---@return spread
function statistics.ratio(ours, theirs, figure)
  local ratios = {}
  for i, result in ipairs(ours) do
    ratios[i] = statistics.cost(result, figure) / statistics.cost(theirs[i], figure)
  end
  return statistics.spread(ratios)
end

---@param results table[]
---@param figure string?
---@return spread
function statistics.costs(results, figure)
  local costs = {}
  for i, result in ipairs(results) do costs[i] = statistics.cost(result, figure) end
  return statistics.spread(costs)
end

local function is_for(target, measurement, figure)
  if measurement.collector == "stopped" or (target.figure or statistics.EACH) ~= figure then return false end
  local size = measurement.size
  if not target.sizes then return true end
  for _, other in ipairs(target.sizes) do
    if other == size then return true end
  end
  return false
end

--- The target of a figure of a measurement, if there is one.
---@param key "against" | "against_size" | "at_most_cost"
---@param value any  # whom it is against; nil: any
function statistics.target(measurement, figure, key, value)
  for _, target in ipairs(measurement.workload.targets) do
    local is_it = target[key] and (value == nil or target[key] == value)
    if is_it and is_for(target, measurement, figure) then return target end
  end
end

--- The greatest ratio that meets a target.
function statistics.bound(target) return target.at_most or 1 / target.times_faster end

return statistics
