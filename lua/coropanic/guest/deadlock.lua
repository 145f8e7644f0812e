--- Finds tasks that wait for each other for ever, when the last of them is about to park: follows from each
--- task to those that it waits for. (The deadlock of a whole run, where no task can wake another, is found by
--- the host's loop.) The twin of kernel/deadlock.h. Source: Coffman, Elphick and Shoshani 1971, the circular
--- wait condition.

local cancel = require "coropanic.guest.cancel"
local kernel = require "coropanic.guest.kernel"
local record = require "coropanic.guest.record"

local deadlock = {}

--- Longer cycles, and cycles behind more members of scopes, are not found here but as the deadlock of the
--- run.
local MAX_CYCLE = 100
local MAX_STEPS = 10000

--- Whether a deadline ends the wait: that of any cancel scope around it, the task's entry included.
local function has_time_out(t)
  local c = cancel.innermost(t)
  while c ~= nil do
    if c.has_deadline then return true end
    c = c.outer
  end
  return t.entry.has_deadline
end

--- Whether only the awaited event itself can end the task's wait: no time-out and no deadline does.
function deadlock.waits_for_ever(t)
  return t.status == "waiting" and not t.timed and not has_time_out(t)
end

local reaches

--- Whether any task that can end such a wait for `target` waits for the task that the search began with.
local function target_reaches(s, wait, target)
  if wait.blockers == nil then return false end
  for _, t in ipairs(wait.blockers(target)) do
    if reaches(s, t) then return true end
  end
  return false
end

function reaches(s, t)
  if t == s.path[1] then return true end
  local length = #s.path
  if length == MAX_CYCLE or s.steps == MAX_STEPS or not deadlock.waits_for_ever(t) then return false end
  s.steps = s.steps + 1
  s.path[length + 1] = t
  if target_reaches(s, t.wait, t.waits_on) then return true end
  s.path[length + 1] = nil
  return false
end

--- "deadlock: task 2 "a" waits for task 3 "b", which waits for task 2 "a""
local function text_of(path)
  local words = {}
  for i = 1, #path + 1 do
    local t = path[i] or path[1]
    local before = i == 1 and "deadlock: " or i == 2 and " waits for " or ", which waits for "
    words[i] = ('%stask %d "%s"'):format(before, t.id, kernel.name_of(t))
  end
  return table.concat(words)
end

--- The record of a deadlock panic if the running task would close a cycle by waiting for `target` without a
--- time-out; nil: it would not.
---@param target any  # it will be the task's `waits_on`
function deadlock.find(t, wait, target)
  if has_time_out(t) then return nil end
  local search = { path = { t }, steps = 0 }
  if not target_reaches(search, wait, target) then return nil end
  t.wait, t.waits_on = wait, target
  local cycle = {}
  for i, member in ipairs(search.path) do cycle[i] = kernel.describe_wait(member) end
  local r = record.raise(t.universe, text_of(search.path), "deadlock")
  r._cycle = cycle
  t.waits_on = nil
  return r
end

--- The same, but raises the panic.
function deadlock.check(t, wait, target)
  local r = deadlock.find(t, wait, target)
  if r ~= nil then return error(r, 0) end
end

kernel.check_deadlock = deadlock.check

return deadlock
