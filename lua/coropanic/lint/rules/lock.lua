--- C105: a lock that stays locked when the task is cancelled while it holds it.

local effects = require "coropanic.lint.effects"
local held = require "coropanic.lint.held"
local tree = require "coropanic.lint.tree"
local values = require "coropanic.lint.values"

local rule = {
  id = "C105",
  name = "lock-without-deferred-unlock",
  summary = "a lock that is held across a suspension or return without a deferred unlock",
}

local function is_release(file, call, lock)
  return call.path == file.api.LOCKS[lock.path] and values.identity(call.object) == lock.variable
end

--- Whether a deferred call gives the lock back at the end of the function.
local function is_deferred(file, lock)
  local found = false
  for _, call in ipairs(file.calls) do
    if call.path == "co.defer" and tree.function_of(call.node) == lock.fn then
      local applied = file.values:applied_call(call)
      if applied then
        file.effects:each_of_call(applied, function(inner)
          found = found or is_release(file, inner, lock)
        end)
      end
    end
  end
  return found
end

--- How many calls of the file give the lock back, and whether one of them is in the function itself.
local function releases(file, lock)
  local count, is_here = 0, false
  for _, call in ipairs(file.calls) do
    if is_release(file, call, lock) then
      count = count + 1
      is_here = is_here or tree.function_of(call.node) == lock.fn
    end
  end
  return count, is_here
end

--- Whether the object is only used by its methods, so that no other code can have it.
local function is_private(variable)
  if variable.parameter then return false end
  for _, use in ipairs(variable.uses) do
    local parent = use.parent
    if parent.tag ~= "Invoke" or parent[1] ~= use then return false end
  end
  return true
end

--- Whether a call leads to one that gives the lock back.
local function leads_to_release(file, call, lock)
  local does = false
  file.effects:each_of_call(call, function(inner)
    does = is_release(file, inner, lock)
    return does and "stop" or nil
  end)
  return does
end

--- These catch a cancellation, too, so that the release behind them is reached.
local CATCHES = { ["pcall"] = true, ["xpcall"] = true }

--- What the lock is held across: the call or the return, and where; nil if nothing certain.
local function crossing(file, lock)
  local found, where
  held.walk(file, lock.call, {
    call = function(call, at)
      if is_release(file, call, lock) then return held.FREE end
      if CATCHES[call.path] then return leads_to_release(file, call, lock) and held.UNSURE or held.SKIP end
      local is_again = call.path == lock.path and values.identity(call.object) == lock.variable
      if is_again then return held.UNSURE end
      if not effects.suspends(call) then return nil end
      found, where = ("'%s' suspends"):format(effects.name(call.path)), at
      return held.STOPPED
    end,
    leave = function(node)
      found, where = "the function returns", node
      return held.STOPPED
    end,
  })
  return found, where
end

local function check(file, lock, report)
  local count, is_here = releases(file, lock)
  local name, release = effects.name(lock.path), effects.name(file.api.LOCKS[lock.path])
  if count == 0 and is_private(lock.variable) then
    report(lock.call.node, ("'%s' without '%s': nothing in this file gives it back"):format(name, release))
    return
  end
  if not is_here or is_deferred(file, lock) then return end
  local what, where = crossing(file, lock)
  if what then
    report(lock.call.node, ("'%s' without a deferred '%s': %s in line %d while it is held, and a task that"
      .. " ends there never gives it back; use `local _ <close> = ...:guard()`"):format(name, release, what,
      where.line))
  end
end

function rule.check(file, report)
  for _, call in ipairs(file.calls) do
    if file.api.LOCKS[call.path] and not call.is_applied then
      local variable = values.identity(call.object)
      local fn = tree.function_of(call.node)
      local lock = { call = call, path = call.path, variable = variable, fn = fn }
      if variable then check(file, lock, report) end
    end
  end
end

return rule
