--- What the expressions of a file stand for, as far as that is certain. Aliases are followed through local
--- variables that get one value; whatever else has no value here, and no rule speaks of it.
---
--- A value is a table with `kind`:
---   api       a function or table of coropanic: `path`, "co.defer"
---   builtin   a function or table of Lua: `path`, "table.sort"
---   method    a method of an object: `path`, "channel:send"; `object`, an expression
---   function  a function of the file: `node`
---   framed    what co.func has made of a function: `of`, the value
---   object    `type`: of api.RESULTS
---   string    a text

local api = require "coropanic.lint.api"

local values = {}
values.__index = values

---@param file table  # of names.resolve
---@return table values  # of one file
function values.new(file) return setmetatable({ file = file, calls = {} }, values) end

--- The expression inside parentheses.
local function bare(node)
  while node and node.tag == "Paren" do node = node[1] end
  return node
end

values.bare = bare

--- The one value that the variable gets, an entry of names.lua; nil if there is none, or several.
local function only_value(variable)
  if variable.parameter or #variable.values ~= 1 then return nil end
  return variable.values[1] or nil
end

values.only_value = only_value

local BY_TAG = {}

function BY_TAG.String() return { kind = "string" } end

BY_TAG.Function = function(node) return { kind = "function", node = node } end

function BY_TAG.Op(node) return node[1] == "concat" and { kind = "string" } or nil end

--- The type of a parameter, by the call that the function is given to.
function values:of_parameter(parameter)
  local call, index = self:argument_of(parameter.of)
  local target = call and self:call(call).target
  local typed = target and api.PARAMETERS[target.path]
  if typed and typed.at == index and parameter.index == 1 then
    return { kind = "object", type = typed.type }
  end
end

--- The call that a function literal is an argument of, and its place there without the object of a method.
function values:argument_of(node)
  local call = node.parent
  if not call or (call.tag ~= "Call" and call.tag ~= "Invoke") then return nil end
  for index, argument in ipairs(self:call(call).arguments) do
    if argument == node then return call, index end
  end
end

function BY_TAG.Id(node, self)
  local variable = node.variable
  if not variable then
    local name = node.global
    if name and not self.file.assigned[name] then return { kind = "builtin", path = name } end
    return nil
  end
  if variable.parameter then return #variable.values == 0 and self:of_parameter(variable.parameter) or nil end
  local only = only_value(variable)
  return only and self:of(only.node, only.index)
end

function BY_TAG.Index(node, self)
  if node[2].tag ~= "String" then return nil end
  local base, name = self:of(node[1]), node[2][1]
  if not base then return nil end
  if base.kind == "api" then return { kind = "api", path = base.path .. "." .. name } end
  if base.kind == "builtin" then
    local path = base.path .. "." .. name
    return not self.file.assigned[path] and { kind = "builtin", path = path } or nil
  end
  if base.kind ~= "object" then return nil end
  local field = api.FIELDS[base.type .. "." .. name]
  if field then return { kind = "object", type = field, field = name, object = node[1] } end
  return { kind = "method", path = base.type .. ":" .. name, object = node[1] }
end

--- `require "coropanic"` and the results of what is known.
local function of_call(node, self, index)
  local call = self:call(node)
  local target = call.target
  if not target then return nil end
  if target.path == "require" then
    local name = bare(call.arguments[1])
    local path = name and name.tag == "String" and api.MODULES[name[1]]
    return path and { kind = "api", path = path } or nil
  end
  if target.path == "assert" then return self:of(call.arguments[1], index) end
  if target.path == "co.func" then return { kind = "framed", of = self:of(call.arguments[1]) } end
  local types = api.RESULTS[target.path]
  local type_name = types and types[index]
  if not type_name then return nil end
  if type_name == "string" then return { kind = "string" } end
  return { kind = "object", type = type_name, call = node, home_path = target.path }
end

BY_TAG.Call = of_call
BY_TAG.Invoke = of_call

--- The value of an expression, or nil.
---@param node table?
---@param index? integer  # of the results of a call; 1
---@return table?
function values:of(node, index)
  node = bare(node)
  local by_tag = node and BY_TAG[node.tag]
  if not by_tag or (index and index > 1 and by_tag ~= of_call) then return nil end
  if node.evaluating then return nil end -- a variable that is made of itself
  node.evaluating = true
  local value = by_tag(node, self, index or 1)
  node.evaluating = nil
  return value
end

--- The method that `object:name` calls.
local function method_of(self, node)
  local object = self:of(node[1])
  if not object then return nil end
  local name = node[2][1]
  if object.kind == "string" then return { kind = "builtin", path = "string." .. name, object = node[1] } end
  return object.kind == "object" and { kind = "method", path = object.type .. ":" .. name, object = node[1] }
    or nil
end

--- A call of `target` with these arguments, wherever it stands. A method that is called as a function gets
--- its object as the first argument.
local function make_call(node, target, arguments)
  if target and target.kind == "object" and target.type == "once" then
    target = { kind = "method", path = "once:call", object = node[1] }
    return { target = target, path = target.path, object = node[1], arguments = arguments, node = node }
  end
  local object = target and target.object
  if target and target.kind == "method" and node.tag ~= "Invoke" then
    object = arguments[1]
    arguments = table.move(arguments, 2, #arguments, 1, {})
  end
  local path = target and target.path
  return { node = node, target = target, path = path, object = object, arguments = arguments }
end

--- What a Call or Invoke node calls.
---@return table  # `node`, `target`, `path`, `object`, `arguments`: expressions
function values:call(node)
  local call = self.calls[node]
  if call then return call end
  local is_method = node.tag == "Invoke"
  local arguments = table.move(node, is_method and 3 or 2, #node, 1, {})
  call = { node = node, arguments = arguments }
  self.calls[node] = call -- while its target is looked for
  local target
  if is_method then target = method_of(self, node) else target = self:of(node[1]) end
  if is_method and target and target.kind == "builtin" then
    table.insert(arguments, 1, node[1]) -- as string.gsub has it
  end
  call = make_call(node, target, arguments)
  self.calls[node] = call
  return call
end

--- The call of the function that a call gets as its argument, whenever it is made: of `sleep` in
--- `pcall(co.sleep, 1)` and in `co.spawn(co.sleep, 1)`. nil if none is known to be made.
---@return table?
function values:applied_call(call)
  local calls = call.path and (api.CALLS[call.path] or api.APPLIES[call.path])
  if not calls then return nil end
  local at = calls.at
  if at == "function" then -- with options before it, or not
    local second = self:of(call.arguments[2])
    at = second and (second.kind == "function" or second.kind == "framed") and 2 or 3
  end
  local fn = call.arguments[at]
  if not fn then return nil end
  local rest = table.move(call.arguments, calls.rest or at + 1, #call.arguments, 1, {})
  local applied = make_call({ tag = "Call" }, self:of(fn), rest)
  applied.node, applied.is_applied = fn, true
  return applied
end

--- The same, if the call is made in place: in the same task, before the outer one returns.
---@return table?
function values:inner_call(call)
  return api.CALLS[call.path] and self:applied_call(call) or nil
end

--- The Function node that a value runs when it is called: through co.func, too.
---@return table?
function values.function_of(value)
  while value and value.kind == "framed" do value = value.of end
  return value and value.kind == "function" and value.node or nil
end

--- Whether the function is the only value of a variable that is read at one place.
function values.is_used_once(fn)
  local list = fn.parent
  local statement = list and list.tag == "List" and list.parent
  if not statement or list ~= statement[2] then return false end
  for index, expression in ipairs(list) do
    local variable = expression == fn and statement[1][index] and statement[1][index].variable
    if variable then return #variable.uses == 1 and only_value(variable) ~= nil end
  end
  return false
end

--- The variable that an expression is, through aliases: two expressions with the same one are the same
--- object, wherever it gets a single value. nil if that is not certain.
---@return table? variable
function values.identity(node)
  node = bare(node)
  local seen = {}
  while node and node.tag == "Id" and node.variable do
    local variable = node.variable
    if variable.parameter then return #variable.values == 0 and variable or nil end
    local only = only_value(variable)
    if not only or seen[variable] then return nil end
    seen[variable] = true
    local source = only.index == 1 and bare(only.node)
    if not source or source.tag ~= "Id" or not source.variable then return variable end
    node = source
  end
end

return values
