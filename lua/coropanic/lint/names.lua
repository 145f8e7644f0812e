--- What each name in a tree refers to, by Lua's rules of scope.
---
--- An `Id` node gets `variable`, if it is a local one:
---   name, id     of its declaration
---   attribute    "const" or "close", if it has one
---   values       what is assigned to it anywhere: { node = expression, index = of its results }; false for
---                what can not be known
---   uses         the Id nodes that read it
---   parameter    of a function: { of = Function, index = }
--- A global name gets `global`, its name, unless an `_ENV` of the file's own is in the way.

local names = {}

local resolve

--- A scope is a table of variables by name, whose metatable looks further out.
local function inner(scope) return setmetatable({}, { __index = scope }) end

local function declare(scope, id)
  local variable = { name = id[1], id = id, attribute = id.attribute, values = {}, uses = {} }
  scope[id[1]] = variable
  id.variable, id.declares = variable, true
  return variable
end

local function resolve_all(list, scope, file)
  for _, node in ipairs(list) do resolve(node, scope, file) end
end

--- What the name number `index` on the left gets from the expressions on the right.
local function value_at(expressions, index)
  if not expressions then return nil end
  local count = #expressions
  local last = expressions[count]
  if index < count then return { node = expressions[index], index = 1 } end
  if last.tag == "Dots" then return false end
  if index == count then return { node = last, index = 1 } end
  if last.tag == "Call" or last.tag == "Invoke" then return { node = last, index = index - count + 1 } end
  return nil -- it gets nil
end

local function assign(variable, value)
  if value ~= nil then variable.values[#variable.values + 1] = value end
end

local function resolve_function(node, scope, file)
  scope = inner(scope)
  for index, id in ipairs(node[1]) do
    if id.tag == "Id" then declare(scope, id).parameter = { of = node, index = index } end
  end
  resolve_all(node[2], scope, file)
end

local RESOLVE = {}

function RESOLVE.Id(node, scope)
  local variable = scope[node[1]]
  if variable then
    node.variable = variable
    variable.uses[#variable.uses + 1] = node
  elseif not scope._ENV then
    node.global = node[1]
  end
end

RESOLVE.Function = resolve_function

function RESOLVE.Local(node, scope, file)
  if node[2] then resolve(node[2], scope, file) end
  for index, id in ipairs(node[1]) do assign(declare(scope, id), value_at(node[2], index)) end
end

function RESOLVE.Localrec(node, scope, file)
  assign(declare(scope, node[1][1]), { node = node[2][1], index = 1 })
  resolve(node[2], scope, file)
end

--- What a global, or a field of one, is after this is not known: "pcall", "table.sort".
local function forget(target, file)
  local base = target.tag == "Index" and target[1] or target
  if not base.global then return end
  local name = base.global
  if base ~= target and target[2].tag == "String" then name = name .. "." .. target[2][1] end
  file.assigned[name] = true
end

function RESOLVE.Set(node, scope, file)
  resolve(node[2], scope, file)
  for index, target in ipairs(node[1]) do
    local variable = target.tag == "Id" and scope[target[1]]
    if variable then
      target.variable, target.assigns = variable, true
      assign(variable, value_at(node[2], index))
    else
      resolve(target, scope, file)
      forget(target, file)
    end
  end
end

--- `name op= value`, which luacheck knows of other dialects.
function RESOLVE.OpSet(node, scope, file)
  resolve(node[3], scope, file)
  resolve(node[2], scope, file)
  if node[2].variable then assign(node[2].variable, false) end
end

local function block_in(node, scope, file) resolve_all(node, inner(scope), file) end

RESOLVE.Block = block_in
RESOLVE.Do = block_in

function RESOLVE.Fornum(node, scope, file)
  for index = 2, #node - 1 do resolve(node[index], scope, file) end
  local body = inner(scope)
  assign(declare(body, node[1]), false)
  resolve(node[#node], body, file)
end

function RESOLVE.Forin(node, scope, file)
  resolve(node[2], scope, file)
  local body = inner(scope)
  for _, id in ipairs(node[1]) do assign(declare(body, id), false) end
  resolve(node[3], body, file)
end

function RESOLVE.Repeat(node, scope, file)
  local body = inner(scope)
  resolve_all(node[1], body, file)
  resolve(node[2], body, file)
end

function resolve(node, scope, file)
  local by_tag = RESOLVE[node.tag]
  if by_tag then return by_tag(node, scope, file) end
  for _, part in ipairs(node) do
    if type(part) == "table" then resolve(part, scope, file) end
  end
end

--- Resolves all names of a tree.
---@param main table  # the Function node of the whole file
---@return { assigned: table<string, true> } file  # the globals, and fields of globals, that it assigns to
function names.resolve(main)
  local file = { assigned = {} }
  resolve_function(main, {}, file)
  return file
end

return names
