--- C102: co.recover where it can only return nil.

local roles = require "coropanic.lint.roles"
local tree = require "coropanic.lint.tree"

local rule = {
  id = "C102",
  name = "recover-not-deferred",
  summary = "co.recover in a function that co.defer does not get",
}

--- Functions that call their argument, and of which is known that it is not called as a deferred one.
local function is_known_caller(file, role)
  local api = file.api
  local path = role.call.path
  return path ~= nil and (api.CALLS[path] ~= nil or api.SPAWNS[path] ~= nil)
end

--- Whether each call of the function is known, and none is by co.defer.
local function is_never_deferred(file, fn)
  local found = roles.of(file.values, fn)
  for _, role in ipairs(found) do
    if role.kind == "unknown" then return false end
    if role.kind == "argument" and not is_known_caller(file, role) then return false end
  end
  return #found > 0
end

function rule.check(file, report)
  for _, call in ipairs(file.calls) do
    local is_call = call.path == "co.recover" and not call.is_applied
    if is_call and is_never_deferred(file, tree.function_of(call.node)) then
      report(call.node, "'recover' returns nil here: it stops a panic only in a function that co.defer gets,"
        .. " not in one that such a function calls")
    end
  end
end

return rule
