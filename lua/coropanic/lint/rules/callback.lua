--- C101: a suspension below a C function that can not wait for it.

local effects = require "coropanic.lint.effects"
local tree = require "coropanic.lint.tree"
local values = require "coropanic.lint.values"

local rule = {
  id = "C101",
  name = "suspends-in-callback",
  summary = "a call that suspends in a callback of a C function that can not wait",
}

--- The place of the callback among the arguments.
local CALLBACKS = { ["table.sort"] = 2, ["string.gsub"] = 3, ["load"] = 1 }

--- Metamethods that Lua calls from C. `__close` only in coroutines that coropanic did not make.
local METAMETHODS = { __gc = true, __tostring = true }

local function complain(report, found, at, place)
  local name = effects.name(found.path)
  local through = at ~= found.node and (" (line %d)"):format(found.node.line) or ""
  report(at, ("'%s'%s suspends inside %s: it raises \"can not suspend here\" when it has to wait"):format(
    name, through, place))
end

--- Complains if what the expression is suspends when it is called.
local function check_function(file, report, expression, place)
  local target = file.values:of(expression)
  if not target then return end
  local call = { node = expression, target = target, path = target.path, arguments = {} }
  local found, at = file.effects:suspension_of_call(call)
  if found then complain(report, found, at, place) end
end

--- The metatables of the file: what `setmetatable` gets as its second argument.
local function each_metatable(file, visit)
  local seen = {}
  for _, call in ipairs(file.calls) do
    if call.path == "setmetatable" and call.arguments[2] then
      local node = values.bare(call.arguments[2])
      local variable = values.identity(node)
      local key = variable or node
      if not seen[key] then
        seen[key] = true
        visit(node, variable, call)
      end
    end
  end
end

--- The table constructor that an expression is, or a variable's value.
local function constructor_of(node, variable)
  if node.tag == "Table" then return node end
  local only = variable and values.only_value(variable)
  local value = only and only.index == 1 and values.bare(only.node)
  return value and value.tag == "Table" and value or nil
end

--- Calls `visit(name, expression)` for each field that a metatable gets in its constructor or later.
local function each_field(node, variable, visit)
  for _, pair in ipairs(constructor_of(node, variable) or {}) do
    if pair.tag == "Pair" and pair[1].tag == "String" then visit(pair[1][1], pair[2]) end
  end
  for _, use in ipairs(variable and variable.uses or {}) do
    local index = use.parent
    local list = index.tag == "Index" and index[1] == use and index.parent
    if list and list.tag == "List" and list.parent.tag == "Set" and list == list.parent[1] then
      for place, target in ipairs(list) do
        local value = list.parent[2][place]
        if target == index and value and index[2].tag == "String" then visit(index[2][1], value) end
      end
    end
  end
end

--- Whether the value is closed in a coroutine of Lua's own library: `local _ <close> = setmetatable(...)`.
local function is_closed_in_foreign(file, call)
  local list = call.node.parent
  local statement = list.tag == "List" and list.parent
  if not statement or statement.tag ~= "Local" or list ~= statement[2] then return false end
  if statement[1][1].attribute ~= "close" then return false end
  return file.is_foreign(tree.function_of(call.node))
end

function rule.check(file, report)
  for _, call in ipairs(file.calls) do
    local at = CALLBACKS[call.path]
    if at and call.target.kind == "builtin" and call.arguments[at] then
      check_function(file, report, call.arguments[at], ("the callback of '%s'"):format(call.path))
    end
  end
  each_metatable(file, function(node, variable, call)
    each_field(node, variable, function(name, expression)
      if METAMETHODS[name] or (name == "__close" and is_closed_in_foreign(file, call)) then
        check_function(file, report, expression, ("the metamethod '%s'"):format(name))
      end
    end)
  end)
  tree.each(file.main, function(node)
    if node.tag ~= "Set" then return end
    for place, target in ipairs(node[1]) do
      local base = target.tag == "Index" and file.values:of(target[1])
      if base and base.kind == "builtin" and base.path == "package.preload" and node[2][place] then
        check_function(file, report, node[2][place], "'require'")
      end
    end
  end)
end

return rule
