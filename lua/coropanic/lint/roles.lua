--- What becomes of a function: who calls it.

local tree = require "coropanic.lint.tree"
local values = require "coropanic.lint.values"

local roles = {}

local add_roles

--- Adds what becomes of a variable that has this function as its only value.
local function of_variable(of, variable, found)
  if not values.only_value(variable) then
    found[#found + 1] = { kind = "unknown" }
    return
  end
  for _, use in ipairs(variable.uses) do add_roles(of, use, found) end
end

local ASSIGNS = { Local = true, Localrec = true, Set = true }

--- The same for a function in a list of expressions.
local function in_list(of, node, list, found)
  local statement = list.parent
  if list == statement[2] and ASSIGNS[statement.tag] then
    for index, expression in ipairs(list) do
      local variable = expression == node and statement[1][index] and statement[1][index].variable
      if variable then return of_variable(of, variable, found) end
    end
  end
  found[#found + 1] = { kind = "unknown" }
end

function add_roles(of, node, found)
  if found.seen[node] then return end
  found.seen[node] = true
  node = tree.outermost(node)
  local parent = node.parent
  if parent.tag == "List" then return in_list(of, node, parent, found) end
  if parent.tag ~= "Call" and parent.tag ~= "Invoke" then
    found[#found + 1] = { kind = "unknown" }
    return
  end
  local call = of:call(parent)
  if parent.tag == "Call" and parent[1] == node then
    found[#found + 1] = { kind = "called", call = call }
    return
  end
  for index, argument in ipairs(call.arguments) do
    if argument == node then
      if call.path == "co.func" and index == 1 then
        if tree.is_dropped(parent) then return end
        return add_roles(of, parent, found)
      end
      found[#found + 1] = { kind = "argument", call = call, index = index }
      return
    end
  end
  found[#found + 1] = { kind = "unknown" }
end

--- All that becomes of a function, as a list:
---   { kind = "called", call }           it is called by name
---   { kind = "argument", call, index }  it is given to a function
---   { kind = "unknown" }                it is returned, stored in a table, ...
--- What co.func makes of it is the function itself here.
---@param of table  # values of the file
---@param fn table  # Function node
---@return table[]
function roles.of(of, fn)
  if fn.is_main then return { { kind = "main" } } end
  local found = { seen = {} }
  add_roles(of, fn, found)
  return found
end

--- Whether the function is given to `path` as the argument of this place.
function roles.is_given_to(of, fn, path, index)
  for _, role in ipairs(roles.of(of, fn)) do
    if role.kind == "argument" and role.call.path == path and role.index == index then return true end
  end
  return false
end

--- Whether co.defer gets the function.
function roles.is_deferred(of, fn) return roles.is_given_to(of, fn, "co.defer", 1) end

return roles
