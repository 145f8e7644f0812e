-- From what the peers measured to what is shown: costs, ratios and whether targets are met.

local statistics = {}

--- The cost of one operation: seconds, or bytes.
function statistics.cost(result)
  if result.seconds_longest then return result.seconds_longest end
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
---@return spread
function statistics.ratio(ours, theirs)
  local ratios = {}
  for i, result in ipairs(ours) do
    ratios[i] = statistics.cost(result) / statistics.cost(theirs[i])
  end
  return statistics.spread(ratios)
end

---@param results table[]
---@return spread
function statistics.costs(results)
  local costs = {}
  for i, result in ipairs(results) do costs[i] = statistics.cost(result) end
  return statistics.spread(costs)
end

local function is_for(target, size)
  if not target.sizes then return true end
  for _, other in ipairs(target.sizes) do
    if other == size then return true end
  end
  return false
end

--- The target for a size, if there is one.
---@param key "against" | "against_size" | "at_most_cost"
---@param value any  # whom it is against; nil: any
function statistics.target(workload, size, key, value)
  for _, target in ipairs(workload.targets) do
    if target[key] and (value == nil or target[key] == value) and is_for(target, size) then return target end
  end
end

--- The greatest ratio that meets a target.
function statistics.bound(target) return target.at_most or 1 / target.times_faster end

return statistics
