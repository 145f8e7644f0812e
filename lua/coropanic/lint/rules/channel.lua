--- C108: a channel whose two sides are one task, and a select that has a channel twice.

local effects = require "coropanic.lint.effects"
local tree = require "coropanic.lint.tree"
local values = require "coropanic.lint.values"

local rule = {
  id = "C108",
  name = "one-task-channel",
  summary = "select with the same channel twice, or send and receive on one channel by one task",
}

--- The channel of a case, as a variable.
local function channel_of(case)
  case = values.bare(case)
  if case.tag == "Table" then case = case[1] end
  return case and values.identity(case) or nil
end

local function check_select(call, report)
  local seen = {}
  for index = 2, #call.arguments do
    local case = call.arguments[index]
    local variable = channel_of(case)
    if variable and seen[variable] then
      report(case, ("'select' has the channel '%s' twice: which of the two cases it takes is chance"):format(
        variable.name))
    end
    if variable then seen[variable] = true end
  end
end

--- Whether `co.chan(...)` makes a channel without a buffer.
local function is_unbuffered(call)
  local capacity = values.bare(call.arguments[1])
  return not capacity or capacity.tag == "Nil" or (capacity.tag == "Number" and tonumber(capacity[1]) == 0)
end

local BLOCKS = { send = "sends", recv = "receives", iter = "receives" }

--- The first call that blocks, if the variable's only function both sends and receives, and nothing else has
--- the channel.
local function lonely_call(variable)
  local fn = tree.function_of(variable.id)
  local first, sides = nil, {}
  for _, use in ipairs(variable.uses) do
    local call = use.parent
    local is_method = call.tag == "Invoke" and call[1] == use
    local is_length = call.tag == "Op" and call[1] == "len"
    if tree.function_of(use) ~= fn or not (is_method or is_length) then return nil end
    local side = is_method and BLOCKS[call[2][1]]
    if side then
      first = first or call
      sides[side] = true
    end
  end
  return sides.sends and sides.receives and first or nil
end

--- The variable that gets the result of a call, if nothing else does.
local function variable_of(node)
  local list = tree.outermost(node).parent
  local statement = list.tag == "List" and list.parent
  if not statement or statement.tag ~= "Local" or list ~= statement[2] then return nil end
  for index, expression in ipairs(list) do
    local id = expression == tree.outermost(node) and statement[1][index]
    if id and values.only_value(id.variable) then return id.variable end
  end
end

function rule.check(file, report)
  for _, call in ipairs(file.calls) do
    if call.path == "co.select" then
      check_select(call, report)
    elseif call.path == "co.chan" and not call.is_applied and is_unbuffered(call) then
      local variable = variable_of(call.node)
      local lonely = variable and lonely_call(variable)
      if lonely then
        report(lonely, ("'%s' waits for ever: the channel has no buffer, and only this task has it"):format(
          effects.name(file.values:call(lonely).path or lonely[2][1])))
      end
    end
  end
end

return rule
