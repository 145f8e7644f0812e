--- Doubly linked lists whose nodes are the objects themselves: the twin of core/list.h. An object is in one
--- list at most; its fields `next`, `prev` and `list` belong to this file.

local list = {}

---@return table head
function list.new()
  local head = { next = false, prev = false } -- see compat.new_table
  head.next, head.prev = head, head
  return head
end

function list.is_empty(head) return head.next == head end

--- The first node, or nil.
function list.first(head)
  local node = head.next
  if node ~= head then return node end
end

--- The node behind `node` (nil: the first one), or nil.
function list.after(head, node)
  node = (node or head).next
  if node ~= head then return node end
end

function list.append(head, node)
  local last = head.prev
  node.prev, node.next, node.list = last, head, head
  last.next, head.prev = node, node
end

function list.prepend(head, node)
  local first = head.next
  node.prev, node.next, node.list = head, first, head
  first.prev, head.next = node, node
end

--- Takes a node out of its list; harmless if it is in none.
function list.remove(node)
  if node.list == nil then return end
  local prev, next = node.prev, node.next
  prev.next, next.prev = next, prev
  node.next, node.prev, node.list = nil, nil, nil
end

--- Takes the first node out, and returns it; nil: the list is empty.
function list.take_first(head)
  local node = head.next
  if node == head then return nil end
  list.remove(node)
  return node
end

return list
