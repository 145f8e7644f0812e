-- What the guard makes of its counts.

local verdicts = {}

-- Growth of a path that needs a new baseline. Misses also depend on where malloc puts things, by some 3 % if
-- an unrelated struct changes its size; one cache line more for each switch is 8 %.
verdicts.INSTRUCTIONS_LIMIT = 0.03
verdicts.MISSES_LIMIT = 0.06

---@class verdict
---@field path string
---@field before number?
---@field now number?
---@field change number?  # part of `before`
---@field failed boolean
---@field text string

local function sorted_names(...)
  local seen, names = {}, {}
  for _, counts in ipairs { ... } do
    for name in pairs(counts) do
      if not seen[name] then names[#names + 1] = name end
      seen[name] = true
    end
  end
  table.sort(names)
  return names
end

local function judge(path, before, now, limit)
  local verdict = { path = path, before = before, now = now, failed = true }
  if not before then
    verdict.text = "has no baseline"
  elseif not now then
    verdict.text = "is in the baseline only"
  else
    local tolerated = limit * before
    verdict.change = now / before - 1
    verdict.failed = now - before > tolerated
    verdict.text = verdict.failed and "has grown"
      or before - now > tolerated and "has shrunk: lower the baseline"
      or ""
  end
  return verdict
end

--- Compares counts per operation, path by path, in the order of their names.
---@param baseline table<string, number>
---@param counted table<string, number>
---@param limit number  # the growth that is tolerated, a part of the baseline
---@return verdict[]
function verdicts.compare(baseline, counted, limit)
  local list = {}
  for i, path in ipairs(sorted_names(baseline, counted)) do
    list[i] = judge(path, baseline[path], counted[path], limit)
  end
  return list
end

--- What differs between where the baseline was counted and here; counts depend on all of it.
---@param before table<string, string>
---@param now table<string, string>
---@return string[]
function verdicts.differences(before, now)
  local list = {}
  for _, key in ipairs(sorted_names(before, now)) do
    if before[key] ~= now[key] then
      list[#list + 1] = ("%s: %s then, %s now"):format(key, before[key] or "none", now[key] or "none")
    end
  end
  return list
end

return verdicts
