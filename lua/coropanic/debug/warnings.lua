--- What coropanic.debug warns of: cycles of waits, cancelled tasks that nobody has looked at, tasks that are
--- far older than others of their kind, and deadlocks that co.order has foretold.

local co = require "coropanic"
local json = require "coropanic.debug.json"
local leaks = require "coropanic.debug.leaks"
local text_of = require "coropanic.text"

local warnings = {}

-- A task may have leaked if it waits, and is so many times as old as most tasks of the same place.
local TIMES_MEDIAN = 10
local MIN_AGE = 30 -- seconds
local MIN_SIBLINGS = 4

local function cycles_of(found, cycles)
  for _, cycle in ipairs(cycles) do
    found[#found + 1] = {
      kind = "cycle", tasks = json.list(cycle),
      text = #cycle == 1 and ("task %d waits for itself"):format(cycle[1])
        or ("%d tasks wait for each other"):format(#cycle),
    }
  end
end

local function lost_of(found, ended)
  local ids = {}
  for _, one in ipairs(ended) do
    if one.lost then ids[#ids + 1] = one.id end
  end
  if #ids == 0 then return end
  found[#found + 1] = {
    kind = "lost", tasks = json.list(ids), text = ("%d cancelled, and nobody looked"):format(#ids),
  }
end

--- The ids of tasks that are much older than most of their place. Ages are from when they were first listed.
local function old_ones(rows, now)
  local by_place, old = {}, {}
  for _, row in ipairs(rows) do
    local ages = by_place[row.spawned_at] or {}
    by_place[row.spawned_at] = ages
    ages[#ages + 1] = now - row.seen_at
  end
  for _, ages in pairs(by_place) do table.sort(ages) end
  for _, row in ipairs(rows) do
    local ages = by_place[row.spawned_at]
    local median = ages[(#ages + 1) // 2]
    local age = now - row.seen_at
    local is_old = #ages >= MIN_SIBLINGS and age > MIN_AGE and age > TIMES_MEDIAN * median
    if is_old and row.status == "waiting" and not row.daemon then old[#old + 1] = row.id end
  end
  return old
end

local MAX_DETAILS = 100

local function leaks_of(found, rows, now)
  local leaked, texts = leaks.found(), {}
  local ids, is_known = json.list {}, {}
  for _, one in ipairs(leaked) do ids[#ids + 1], is_known[one.task] = one.task, true end
  if #ids > 0 then texts[1] = ("%d that nothing can wake"):format(#ids) end
  local old = 0
  for _, id in ipairs(old_ones(rows, now)) do
    if not is_known[id] then ids[#ids + 1], old = id, old + 1 end
  end
  if old > 0 then texts[#texts + 1] = ("%d waiting far longer than others of their place"):format(old) end
  if #ids == 0 then return end
  for i = #leaked, MAX_DETAILS + 1, -1 do leaked[i] = nil end
  found[#found + 1] = {
    kind = "leak", tasks = ids, text = table.concat(texts, ", "),
    leaked = leaked[1] and json.list(leaked) or nil,
  }
end

local MAX_FORETOLD = 16 -- the last ones
local MAX_TEXT = 2000 -- characters

local function foretold_of(one)
  local objects, tasks, is_known = {}, json.list {}, {}
  for _, step in ipairs(one.steps) do
    objects[#objects + 1] = text_of.cut(text_of.valid(step.wants), 60)
    if not is_known[step.task] then tasks[#tasks + 1], is_known[step.task] = step.task, true end
  end
  return {
    kind = "order", tasks = tasks, text = "possible deadlock: " .. table.concat(objects, ", "),
    detail = text_of.cut(text_of.valid(one.text), MAX_TEXT),
  }
end

local function add_foretold(found)
  local order = co.order { start = false } -- it may be off
  if order:stats().warnings == 0 then return end
  local all = order:warnings()
  for i = math.max(#all - MAX_FORETOLD, 0) + 1, #all do found[#found + 1] = foretold_of(all[i]) end
end

---@param made coropanic.debug.state
---@param cycles integer[][]
---@param now number
---@return { kind: "cycle"|"lost"|"leak"|"order", text: string, tasks: integer[], leaked: table[]?,
---detail: string? }[]
function warnings.find(made, cycles, now)
  local found = {}
  cycles_of(found, cycles)
  lost_of(found, made.ended)
  leaks_of(found, made.rows, now)
  add_foretold(found)
  return found
end

return warnings
