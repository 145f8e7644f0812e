--- C103: deferred calls that pile up until the frame ends.

local tree = require "coropanic.lint.tree"

local rule = {
  id = "C103",
  name = "defer-in-loop",
  summary = "co.defer in a loop",
}

--- Whether the call is the value of `local _ <close>`.
local function is_closed(node)
  local list = tree.outermost(node).parent
  local statement = list.tag == "List" and list.parent
  if not statement or statement.tag ~= "Local" then return false end
  for index, expression in ipairs(list) do
    if expression == tree.outermost(node) then
      local id = statement[1][index]
      return id ~= nil and id.attribute == "close"
    end
  end
end

--- How each way from the node leaves the loop before it comes round again, because a block on the way ends
--- so: "Return", "Break" or nil.
local function leaves(node, loop, raises)
  local how
  while node ~= loop do
    local last = (node.tag == "Block" or node.tag == "Do") and node[#node]
    local tag = last and last.tag
    if tag == "Return" or (tag == "Call" or tag == "Invoke") and raises(last) then return "Return" end
    if tag == "Break" or tag == "Goto" and not tree.stays_in(last, loop) then how = "Break" end
    node = node.parent
  end
  return how
end

--- Whether one of the loops around the node makes it run again.
local function runs_again(node, raises)
  local loop = tree.loop_of(node)
  while loop do
    local how = leaves(node, loop, raises)
    if how == "Return" then return false end
    if not how then return true end
    node, loop = loop, tree.loop_of(loop)
  end
  return false
end

function rule.check(file, report)
  for _, call in ipairs(file.calls) do
    local node = call.node
    if call.path == "co.defer" and not is_closed(node) and runs_again(node, file.raises) then
      report(node, "'defer' in a loop: the calls pile up until the function ends; give the body a frame by"
        .. " co.call, or hold the call in `local _ <close>`")
    end
  end
end

return rule
