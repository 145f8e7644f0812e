-- What the guard makes of its counts.

local verdicts = {}

verdicts.LIMIT = 0.03 -- growth of a hot path that needs a new baseline

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

local function judge(path, before, now)
  local verdict = { path = path, before = before, now = now, failed = true }
  if not before then
    verdict.text = "has no baseline"
  elseif not now then
    verdict.text = "is in the baseline only"
  else
    local limit = verdicts.LIMIT * before
    verdict.change = now / before - 1
    verdict.failed = now - before > limit
    verdict.text = verdict.failed and "has grown"
      or before - now > limit and "has shrunk: lower the baseline"
      or ""
  end
  return verdict
end

--- Compares instructions per operation, path by path, in the order of their names.
---@param baseline table<string, number>
---@param counted table<string, number>
---@return verdict[]
function verdicts.compare(baseline, counted)
  local list = {}
  for i, path in ipairs(sorted_names(baseline, counted)) do
    list[i] = judge(path, baseline[path], counted[path])
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
