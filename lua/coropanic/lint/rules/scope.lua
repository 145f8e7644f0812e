--- C109: a scope that is used after its end, and a run inside a task.

local api = require "coropanic.lint.api"
local effects = require "coropanic.lint.effects"
local tree = require "coropanic.lint.tree"
local values = require "coropanic.lint.values"

local rule = {
  id = "C109",
  name = "escaped-scope",
  summary = "spawn in a scope that has ended, or co.run inside a task",
}

local SCOPES = { ["co.scope"] = true, ["co.supervise"] = true }
local RUNS = { ["co.run"] = true, ["co.run_with"] = true }
local SPAWNS = { spawn = true, spawn_with = true }

--- Whether the node comes after the call, in the same function or in one that is made after the call, and not
--- in a loop around both.
local function is_after(node, call)
  local is_before = node.offset < call.node.offset
  if is_before or not tree.is_inside(node, tree.function_of(call.node)) then return false end
  local loop = tree.loop_of(call.node)
  return not tree.is_inside(node, call.node) and (not loop or tree.is_inside(node, loop))
end

--- Reports `x:spawn(...)` and `x.spawn` behind the scope's end for each use of the variable.
local function check_uses(variable, call, report)
  for _, use in ipairs(variable.uses) do
    local node = use.parent
    local is_method = (node.tag == "Invoke" or node.tag == "Index") and node[1] == use
    if is_method and SPAWNS[node[2][1]] and is_after(node, call) then
      report(node, ("'%s' in a scope that has ended: it raises an error; spawn while the scope runs"):format(
        node[2][1]))
    end
  end
end

--- Variables outside the scope's function that get the scope: by an assignment in it, or as its result.
local function check_escapes(call, fn, report)
  local parameter = fn[1][1] and fn[1][1].variable
  if not parameter or #parameter.values > 0 then return end
  for _, use in ipairs(parameter.uses) do
    local list = use.parent
    local statement = list.tag == "List" and list.parent or list
    if statement.tag == "Set" and list == statement[2] then
      for index, target in ipairs(statement[1]) do
        local variable = list[index] == use and target.variable
        if variable and not tree.is_inside(variable.id, fn) and values.only_value(variable) then
          check_uses(variable, call, report)
        end
      end
    elseif statement.tag == "Return" and statement[1] == use and tree.function_of(use) == fn then
      local result = tree.outermost(call.node).parent
      local declaration = result.tag == "List" and result.parent
      local id = declaration and declaration.tag == "Local" and result[1] == call.node and declaration[1][1]
      if id and values.only_value(id.variable) then check_uses(id.variable, call, report) end
    end
  end
end

function rule.check(file, report)
  for _, call in ipairs(file.calls) do
    local applied = file.values:applied_call(call)
    local fn = applied and values.function_of(applied.target)
    if fn and SCOPES[call.path] then check_escapes(call, fn, report) end
    if applied and api.SPAWNS[call.path] then
      file.effects:each_of_call(applied, function(inner, at)
        if not RUNS[inner.path] then return nil end
        report(at, ("'%s' inside a task raises an error: use co.scope to wait for tasks here"):format(
          effects.name(inner.path)))
        return "skip"
      end)
    end
  end
end

return rule
