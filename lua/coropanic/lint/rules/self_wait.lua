--- C111: a task that waits for itself, for its parent, or for a lock that it holds.

local effects = require "coropanic.lint.effects"
local held = require "coropanic.lint.held"
local tree = require "coropanic.lint.tree"
local values = require "coropanic.lint.values"

local rule = {
  id = "C111",
  name = "waits-for-itself",
  summary = "join or await of oneself or of the parent, or a lock taken twice in one function",
}

local WAITS = { ["task:join"] = true, ["task:await"] = true }

--- The calls that take a lock of a type.
local TAKES = {
  ["mutex:lock"] = "mutex", ["mutex:guard"] = "mutex",
  ["rwmutex:lock"] = "rwmutex", ["rwmutex:guard"] = "rwmutex",
  ["rwmutex:rlock"] = "rwmutex", ["rwmutex:rguard"] = "rwmutex",
}

local function is_endless_wait(file, call)
  return WAITS[call.path] and effects.suspends(call) and not file.effects:is_bounded(call)
end

--- The function in which `co.current()` was called, of which the task is the result.
local function home_of(value)
  return value and value.call and value.home_path == "co.current" and tree.function_of(value.call) or nil
end

--- Whose task it is that a call in this function waits for: "itself" or "its parent".
local function whose(file, call)
  local value = file.values:of(call.object)
  if not value then return nil end
  local here = tree.function_of(call.node)
  if home_of(value) == here then return "itself" end
  local owner = value.field == "parent" and file.values:of(value.object)
  return owner and home_of(owner) == here and "its parent" or nil
end

local function complain(report, at, call, of)
  report(at, ("'%s' by which the task waits for %s: %s"):format(effects.name(call.path), of,
    of == "itself" and "it raises an error" or "if the parent waits for this task, neither ever ends"))
end

--- Waits in the function of a task, for the task that this call spawns, or for the one that calls it.
local function check_spawn(file, spawn, report)
  local applied = file.values:applied_call(spawn)
  if not applied then return end
  local spawner = tree.function_of(spawn.node)
  file.effects:each_of_call(applied, function(call, at)
    if not is_endless_wait(file, call) then return end
    local value = file.values:of(call.object)
    if value.call == spawn.node then
      complain(report, at, call, "itself")
    elseif home_of(value) == spawner then
      complain(report, at, call, "its parent")
    end
  end)
end

--- The block of `local _ <close> = m:guard()`, in which it is held.
local function is_closed(node)
  local list = tree.outermost(node).parent
  local statement = list.tag == "List" and list.parent
  return statement and statement.tag == "Local" and list == statement[2] and #list == 1
    and statement[1][1].attribute == "close"
end

--- Looks for a second call that takes the same lock while this one holds it.
local function check_lock(file, lock, report)
  local variable = values.identity(lock.object)
  local is_guard = file.api.GUARDS[lock.path] or false
  if not variable or is_guard and not is_closed(lock.node) then return end
  local function is_same(call) return values.identity(call.object) == variable end
  held.walk(file, lock, {
    in_block = is_guard,
    call = function(call, at)
      if call.path == file.api.LOCKS[lock.path] and is_same(call) then return held.FREE end
      if TAKES[call.path] ~= TAKES[lock.path] or not is_same(call) then return nil end
      if effects.suspends(call) and not file.effects:is_bounded(call) then
        report(at, ("'%s' of a lock that this task holds since line %d: it waits for itself"):format(
          effects.name(call.path), lock.node.line))
      end
      return held.STOPPED
    end,
    leave = function() end,
  })
end

function rule.check(file, report)
  for _, call in ipairs(file.calls) do
    if is_endless_wait(file, call) then
      local of = whose(file, call)
      if of then complain(report, call.node, call, of) end
    end
    if file.api.SPAWNS[call.path] then check_spawn(file, call, report) end
    if TAKES[call.path] and not call.is_applied then check_lock(file, call, report) end
  end
end

return rule
