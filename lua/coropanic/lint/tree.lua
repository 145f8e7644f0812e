--- Looking around in a tree of parser.lua.

local tree = {}

local LOOPS = { While = true, Repeat = true, Fornum = true, Forin = true }

--- Calls `visit(node)` for this node and each one below it, outer ones first, in the order of the source.
---@param node table
---@param visit fun(node: table)
function tree.each(node, visit)
  visit(node)
  for _, part in ipairs(node) do
    if type(part) == "table" then tree.each(part, visit) end
  end
end

--- The Function node around a node, which is the whole file's at last.
function tree.function_of(node)
  node = node.parent
  while node and node.tag ~= "Function" do node = node.parent end
  return node
end

--- Whether a node is another one or inside it.
function tree.is_inside(node, outer)
  while node and node ~= outer do node = node.parent end
  return node ~= nil
end

--- The innermost loop of the same function around a node, whose body or condition it is in: what a `for` loop
--- counts over is evaluated once. nil if there is none.
function tree.loop_of(node)
  local child = node
  node = node.parent
  while node and node.tag ~= "Function" do
    if LOOPS[node.tag] then
      local once = (node.tag == "Fornum" or node.tag == "Forin") and child ~= node[#node]
      if not once then return node end
    end
    node, child = node.parent, node
  end
end

--- Whether a `goto` stays in this loop: its label is in it, as that of `goto continue` is.
function tree.stays_in(node, loop)
  local found = false
  tree.each(loop, function(label)
    if label.tag == "Label" and label[1] == node[1] and tree.function_of(label) == tree.function_of(node) then
      found = true
    end
  end)
  return found
end

function tree.is_loop(node) return LOOPS[node.tag] == true end

--- The statement that a node is part of, and the block in which it stands with its place there.
function tree.statement_of(node)
  while node.parent.tag ~= "Block" and node.parent.tag ~= "Do" do node = node.parent end
  for index, statement in ipairs(node.parent) do
    if statement == node then return node, node.parent, index end
  end
end

local LEAVES = { Return = true, Break = true, Goto = true }

--- Whether control does not come to the end of a block: it returns, jumps, raises or ends the task there.
---@param block table
---@param raises fun(call: table): boolean  # whether a call, as a node, does not return
function tree.leaves(block, raises)
  local last = block[#block]
  if not last then return false end
  if LEAVES[last.tag] then return true end
  if last.tag == "Do" then return tree.leaves(last, raises) end
  if last.tag == "Call" or last.tag == "Invoke" then return raises(last) end
  if last.tag ~= "If" or #last % 2 == 0 then return false end
  for index = 2, #last, 2 do
    if not tree.leaves(last[index], raises) then return false end
  end
  return tree.leaves(last[#last], raises)
end

--- Whether a call stands alone, so that its results are dropped.
function tree.is_dropped(node) return node.parent.tag == "Block" or node.parent.tag == "Do" end

--- The expression with the parentheses around it.
function tree.outermost(node)
  while node.parent.tag == "Paren" do node = node.parent end
  return node
end

return tree
