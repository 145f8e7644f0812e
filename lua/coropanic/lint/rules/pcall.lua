--- C104: pcall catches a cancellation, and the task goes on as if it were an error like any other.

local roles = require "coropanic.lint.roles"
local effects = require "coropanic.lint.effects"
local tree = require "coropanic.lint.tree"

local rule = {
  id = "C104",
  name = "pcall-swallows-cancellation",
  summary = "pcall around a suspension whose failure is neither raised again nor returned",
}

--- What becomes of the failure: it is "swallowed", or not as far as can be seen.
local SWALLOWED, PASSED = "swallowed", "passed"

local function judge(leaves) return leaves and PASSED or SWALLOWED end

--- Whether control leaves the block, and the loop around it: `goto continue` does not.
local function goes_away(block, raises)
  local last = block[#block]
  local loop = last and last.tag == "Goto" and tree.loop_of(last)
  if loop and tree.stays_in(last, loop) then return false end
  return tree.leaves(block, raises)
end

--- The block that runs if the condition of this place is false; nil if none does.
local function else_of(node, index)
  return node[index + 2] and node[index + 2].tag == "Block" and node[index + 2] or node[index + 2] and node
end

--- What becomes of a failure that is tested at `node`, which is false then.
local function of_test(node, raises)
  local negated = false
  local test = tree.outermost(node)
  while test.parent.tag == "Op" and test.parent[1] == "not" do
    negated, test = not negated, tree.outermost(test.parent)
  end
  local parent = test.parent
  if parent.tag == "While" then return judge(not negated) end
  if parent.tag == "Repeat" then return judge(negated) end
  if parent.tag ~= "If" then return PASSED end
  for index, part in ipairs(parent) do
    if part == test and negated then return judge(goes_away(parent[index + 1], raises)) end
    if part == test then
      local other = else_of(parent, index)
      if other == parent then return PASSED end -- `elseif` looks further
      return judge(other ~= nil and goes_away(other, raises))
    end
  end
end

local function is_test(node)
  local parent = tree.outermost(node).parent
  return parent.tag == "While" or parent.tag == "Repeat" or parent.tag == "If"
    or (parent.tag == "Op" and parent[1] == "not")
end

--- What becomes of a failure by one use of the variable that has pcall's first result.
local function of_status(use, fn, raises)
  if tree.function_of(use) ~= fn or not is_test(use) then return PASSED end
  return of_test(use, raises)
end

--- The same by a use of the error. Giving it to a function is no more than a message, unless that raises it.
local function of_error(use, fn, raises)
  local parent = tree.outermost(use).parent
  local is_argument = (parent.tag == "Call" or parent.tag == "Invoke") and parent[1] ~= use
  if tree.function_of(use) ~= fn then return PASSED end
  if is_argument then return judge(raises(parent)) end
  local is_read = parent.tag == "Index" or parent.tag == "Op" or parent.tag == "If"
    or ((parent.tag == "Call" or parent.tag == "Invoke") and parent[1] == use)
  return judge(not is_read)
end

--- The same by all uses of the variables that get the results.
local function of_variables(status, message, fn, raises)
  if status and not status.variable or message and not message.variable then return PASSED end
  for _, use in ipairs(status and status.variable.uses or {}) do
    if of_status(use, fn, raises) == PASSED then return PASSED end
  end
  for _, use in ipairs(message and message.variable.uses or {}) do
    if of_error(use, fn, raises) == PASSED then return PASSED end
  end
  return SWALLOWED
end

local function of_list(node, list, fn, raises)
  local statement = list.parent
  if statement.tag ~= "Local" and statement.tag ~= "Set" then return PASSED end
  for index, expression in ipairs(list) do
    if expression == node then
      local message = index == #list and statement[1][index + 1] or nil
      return of_variables(statement[1][index], message, fn, raises)
    end
  end
end

--- What becomes of a failure of this call of pcall.
local function outcome(node, raises)
  if tree.is_dropped(node) then return SWALLOWED end
  if is_test(node) then return of_test(node, raises) end
  local outer = tree.outermost(node)
  if outer.parent.tag == "List" then return of_list(outer, outer.parent, tree.function_of(node), raises) end
  return PASSED
end

function rule.check(file, report)
  for _, call in ipairs(file.calls) do
    local is_pcall = (call.path == "pcall" or call.path == "xpcall") and not call.is_applied
    local found = is_pcall and file.effects:suspension_of_call(call)
    -- What is deferred is shielded from cancellations.
    if found and not roles.is_deferred(file.values, tree.function_of(call.node))
      and outcome(call.node, file.raises) == SWALLOWED then
      local name = effects.name(found.path)
      report(call.node, ("'%s' catches the cancellation that '%s' may raise, and the task goes on:"
        .. " use co.pcall, which lets it through, or raise it again"):format(call.path, name))
    end
  end
end

return rule
