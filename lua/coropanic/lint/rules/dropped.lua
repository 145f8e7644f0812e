--- C106: results that say what happened, or without which a call has done nothing.

local effects = require "coropanic.lint.effects"
local tree = require "coropanic.lint.tree"

local rule = {
  id = "C106",
  name = "dropped-result",
  summary = "the result of co.func, co.context.with_* or task:join is dropped, or a cancel function is",
}

local DROPPED = {
  ["co.func"] = "it makes a function, and does not call it",
  ["task:join"] = "the task's panic is in it, and is reported nowhere else; use await, or look at the result",
}
for _, name in ipairs { "with_value", "with_cancel", "with_timeout", "with_deadline", "without_cancel" } do
  DROPPED["co.context." .. name] = "a context is not changed: the new one is the result"
end

--- Whether a call's second result goes to a local variable that nothing reads, or nowhere.
local function is_cancel_dropped(node)
  local list = tree.outermost(node).parent
  local statement = list.parent
  if list.tag ~= "List" or statement.tag ~= "Local" or list ~= statement[2] or list[#list] ~= node then
    return false
  end
  local id = statement[1][#list + 1]
  return not id or (#id.variable.uses == 0 and #id.variable.values == 1)
end

function rule.check(file, report)
  for _, call in ipairs(file.calls) do
    local why = DROPPED[call.path]
    if why and not call.is_applied and tree.is_dropped(call.node) then
      report(call.node, ("the result of '%s' is dropped: %s"):format(effects.name(call.path), why))
    elseif call.path == "co.context.with_cancel" and not call.is_applied and is_cancel_dropped(call.node) then
      report(call.node, "the cancel function of 'with_cancel' is never called: the context never ends, nor do"
        .. " its children; defer it")
    end
  end
end

return rule
