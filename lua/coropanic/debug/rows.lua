--- What coropanic.debug says of one task, and how tasks wait for each other.

local json = require "coropanic.debug.json"
local text_of = require "coropanic.text"

local rows = {}

local MAX_NAME = 200 -- characters of a name and of the text of a wait

local function short(text) return text_of.cut(text_of.valid(text), MAX_NAME) end

local function is_task(value) return getmetatable(value) == "task" end

--- Returns a text for the object that a task waits on.
local function object_of(waiting_on)
  local is_list = type(waiting_on) == "table" and getmetatable(waiting_on) == nil -- objects may be tables too
  if is_list then return ("a select of %d channels"):format(#waiting_on) end
  if is_task(waiting_on) then return ('task %d "%s"'):format(waiting_on.id, waiting_on.name) end
  return tostring(waiting_on)
end

--- Describes a live task. What changes with the time alone is not in it, so that equal rows mean that nothing
--- has happened.
---@param task coropanic.task
---@param census coropanic.census
---@return coropanic.debug.row
function rows.describe(task, census)
  local waiting_on = task.waiting_on
  local row = {
    id = task.id,
    name = short(task.name),
    status = task:status(),
    daemon = task.daemon or nil,
    parent = task.parent and task.parent.id or nil,
    trace_id = task.trace_id,
    spawned_at = text_of.valid(task.spawned_at),
    where = text_of.valid(task.where or "?"),
    operation = task.operation,
    waiting_on = waiting_on ~= nil and short(object_of(waiting_on)) or nil,
    waits_for = is_task(waiting_on) and waiting_on.id or nil,
  }
  if not row.operation then return row end
  local blockers = census:blockers(task)
  if blockers[1] then row.blockers = blockers end
  return row
end

local FIELDS = {
  "name", "status", "daemon", "parent", "operation", "waiting_on", "waits_for", "where", "spawned_at",
  "trace_id", "seen_at", "blockers",
}

--- Returns a row as JSON, without the brace at the end.
---@type fun(row: coropanic.debug.row): string
rows.encode = json.writer("id", FIELDS)

local function is_same_list(a, b)
  if not a or not b or #a ~= #b then return a == b end
  for i = 1, #a do
    if a[i] ~= b[i] then return false end
  end
  return true
end

--- Whether two rows of one task would be written alike.
---@param a coropanic.debug.row
---@param b coropanic.debug.row
---@return boolean
function rows.is_same(a, b)
  for i = 1, #FIELDS - 1 do
    local name = FIELDS[i]
    if a[name] ~= b[name] then return false end
  end
  return is_same_list(a.blockers, b.blockers)
end

--- Returns the cycles among the tasks: each task waits for the next one, and the last for the first. A task
--- is in at most one of them.
---@param all coropanic.debug.row[]
---@return integer[][] cycles
function rows.cycles(all)
  local by_id, state, cycles = {}, {}, {}
  for _, row in ipairs(all) do
    by_id[row.id] = row
    if not row.blockers then state[row.id] = "done" end
  end
  for _, start in ipairs(all) do
    -- `path` holds the tasks on the way, and `next_of` the number of the blocker that is to be followed next.
    local path, next_of = {}, {}
    local row = not state[start.id] and start or nil
    while row do
      if not state[row.id] then
        state[row.id] = "on the way"
        path[#path + 1], next_of[row.id] = row.id, 1
      end
      local target = row.blockers and by_id[row.blockers[next_of[row.id]]]
      next_of[row.id] = next_of[row.id] + 1
      if target and not state[target.id] then
        row = target
      elseif target and state[target.id] == "on the way" then
        local cycle = {}
        for i = #path, 1, -1 do
          table.insert(cycle, 1, path[i])
          state[path[i]] = "done"
          if path[i] == target.id then break end
        end
        cycles[#cycles + 1] = cycle
        for _, id in ipairs(path) do state[id] = "done" end
        break
      elseif not target and next_of[row.id] > (row.blockers and #row.blockers or 0) then
        state[row.id] = "done"
        path[#path] = nil
        row = by_id[path[#path]]
      end
    end
  end
  return cycles
end

return rows
