--- What happens while a lock is held: follows the statements behind the call that takes it, as far as it is
--- certain that the lock is held there.

local tree = require "coropanic.lint.tree"
local values = require "coropanic.lint.values"

local held = {}

--- How a piece of code ends, if it does not go on with the lock held:
---   stopped  the visitor wants no more
---   free     the lock has been given back
---   left     control has gone elsewhere: break, goto, an error
---   unsure   the lock may be held or not
local STOPPED, FREE, LEFT, UNSURE = "stopped", "free", "left", "unsure"

--- What a visitor returns for a call whose inner calls do not matter.
local SKIP = "skip"

local of_block

--- Whether nothing is known of what is called: a global function is only if Lua has it.
local function is_unknown(call)
  local target = call.target
  if not target then return true end
  return target.kind == "builtin" and _G[target.path:match "^[^.]*"] == nil
end

--- The calls of an expression or simple statement.
local function of_calls(walk, node)
  local how
  walk.effects:each(node, function(call, at)
    local answer = walk.visit.call(call, at)
    if not answer and walk.is_shared and is_unknown(call) then answer = UNSURE end
    if answer == SKIP then return SKIP end
    how = answer
    return how and "stop"
  end)
  return how
end

--- What is certain after branches that end in these ways; false: with the lock held.
local function merge(ways)
  local result
  for _, how in ipairs(ways) do
    if how == STOPPED then return STOPPED end
    if how ~= LEFT then
      if result ~= nil and result ~= how then return UNSURE end
      result = how
    end
  end
  if result == nil then return LEFT end
  return result or nil
end

--- Whether a condition is the variable that says whether the lock was taken, or its negation.
local function tests_status(walk, condition)
  condition = values.bare(condition)
  local negated = condition.tag == "Op" and condition[1] == "not"
  local node = negated and values.bare(condition[2]) or condition
  return walk.status ~= nil and node.variable == walk.status, negated
end

--- `if ok then ... end` and `if not ok then ... end`, where `ok` says whether the lock was taken.
local function of_status_test(walk, node, negated)
  local taken, not_taken = node[2], node[3]
  if negated then taken, not_taken = not_taken, taken end
  if #node > 3 then return UNSURE end
  local how = taken and of_block(walk, taken, 1)
  if how == STOPPED then return how end
  if not_taken and tree.leaves(not_taken, walk.raises) then return how end
  return (how == FREE or how == LEFT) and FREE or UNSURE
end

local OF = {}

function OF.If(walk, node)
  local is_status, negated = tests_status(walk, node[1])
  if is_status then return of_status_test(walk, node, negated) end
  local ways = {}
  for index = 1, #node - 1, 2 do
    local how = of_calls(walk, node[index])
    if how then return how end
    ways[#ways + 1] = of_block(walk, node[index + 1], 1) or false
  end
  ways[#ways + 1] = #node % 2 == 1 and of_block(walk, node[#node], 1) or false
  return merge(ways)
end

--- A loop may run its body never, or more than once.
local function of_loop(walk, node)
  for index, part in ipairs(node) do
    local is_body = part.tag == "Block"
    local how
    if is_body then how = of_block(walk, part, 1) else how = of_calls(walk, part) end
    if how == STOPPED or not is_body and how then return how end
    if how == FREE or how == UNSURE then return UNSURE end
    if index == #node then return nil end
  end
end

OF.While, OF.Repeat, OF.Fornum = of_loop, of_loop, of_loop

function OF.Forin(walk, node)
  local how = of_calls(walk, { tag = "Forin", node[1], node[2], { tag = "Block" } })
  if how then return how end
  how = of_block(walk, node[3], 1)
  if how == STOPPED then return how end
  return (how == FREE or how == UNSURE) and UNSURE or nil
end

function OF.Do(walk, node) return of_block(walk, node, 1) end

function OF.Return(walk, node)
  return of_calls(walk, node) or walk.visit.leave(node) or LEFT
end

function OF.Break() return LEFT end

function OF.Goto() return UNSURE end

OF.Label = OF.Goto

local function of_statement(walk, node)
  local by_tag = OF[node.tag]
  if by_tag then return by_tag(walk, node) end
  local how = of_calls(walk, node)
  if how then return how end
  return (node.tag == "Call" or node.tag == "Invoke") and walk.raises(node) and LEFT or nil
end

function of_block(walk, block, from)
  for index = from, #block do
    local how = of_statement(walk, block[index])
    if how then return how end
  end
end

--- Where the lock is held after the statement with the call that takes it: a block, the first statement in it
--- and the variable that says whether it was taken; whether it is held only there; or the `if` that tests it.
local function begin(node)
  local outer = tree.outermost(node)
  local statement, block, index = tree.statement_of(node)
  if statement == outer then return block, index + 1 end
  local parent = outer.parent
  if parent.tag == "List" and parent == statement[2] and statement.tag == "Local" then
    return block, index + 1, statement[1][1].variable
  end
  if statement.tag ~= "If" or #statement > 3 then return nil end
  if parent == statement and statement[1] == outer then return statement[2], 1, nil, true end
  return nil, nil, nil, nil, statement
end

--- `if not m:lock(1) then return end`: the lock is held behind it.
local function begin_behind(statement, node, raises)
  local condition = values.bare(statement[1])
  local is_negated = condition.tag == "Op" and condition[1] == "not" and values.bare(condition[2]) == node
  if not is_negated or #statement > 2 or not tree.leaves(statement[2], raises) then return nil end
  local _, block, index = tree.statement_of(statement[1])
  return block, index + 1
end

--- Whether a use gives the lock, or a method of it, to code that is not known.
local function gives_away(file, use)
  local node = use.parent
  if node.tag == "Invoke" and node[1] == use then return false end
  if node.tag == "Index" then node = node.parent end
  if node.tag == "Call" or node.tag == "Invoke" then return is_unknown(file.values:call(node)) end
  return not (node.tag == "List" and node.parent.tag == "Local")
end

local function find_shared(file, lock, variable)
  local locks, unlocks = {}, {}
  for _, use in ipairs(variable.uses) do
    if gives_away(file, use) then return true end
  end
  for _, call in ipairs(file.calls) do
    if call.object and values.identity(call.object) == variable then
      local fn = tree.function_of(call.node)
      if call.path == lock.path then locks[fn] = true end
      if call.path == file.api.LOCKS[lock.path] then unlocks[fn] = true end
    end
  end
  for fn in pairs(unlocks) do
    if not locks[fn] then return true end
  end
  return false
end

--- Whether a function that is not known may give the lock back: because it has the lock, or is one of the
--- file that only gives it back.
local function is_shared(file, lock)
  local variable = values.identity(lock.object)
  if not variable then return false end
  file.shared = file.shared or {} -- looked for once for each lock of the file
  local of_path = file.shared[lock.path] or {}
  file.shared[lock.path] = of_path
  if of_path[variable] == nil then of_path[variable] = find_shared(file, lock, variable) end
  return of_path[variable]
end

--- Goes through what happens while the lock is held that `call` takes.
---   visit.call(call, at)  for each call; returns held.FREE, held.STOPPED, held.UNSURE, held.SKIP or nothing
---   visit.leave(node)     for a return; returns held.STOPPED or nothing
---   in_block              whether it is held only until the end of the block
---@param file table
---@param call table
---@param visit { call: function, leave: function, in_block: boolean? }
function held.walk(file, call, visit)
  local walk = { effects = file.effects, visit = visit, raises = file.raises,
    is_shared = is_shared(file, call) }
  local block, from, status, only_here, test = begin(call.node)
  if test then block, from = begin_behind(test, call.node, file.raises) end
  walk.status = status
  while block do
    local how = of_block(walk, block, from)
    local outer = block.parent
    if how or visit.in_block or only_here or not outer or outer.tag == "Function" then return end
    if block.tag == "Do" then outer = block end
    if tree.is_loop(outer) then return end
    local _, around, index = tree.statement_of(outer)
    block, from = around, index + 1
  end
end

held.STOPPED, held.FREE, held.UNSURE, held.SKIP = STOPPED, FREE, UNSURE, SKIP

return held
