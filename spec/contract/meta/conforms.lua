--- Whether a value is what a type of LuaCATS says.

local luacats = require "contract.meta.luacats"

--- What Lua's own types ask of a value.
local PRIMITIVES = {
  integer = function(value) return math.type(value) == "integer" end,
  number = function(value) return type(value) == "number" end,
  ["true"] = function(value) return value == true end,
  ["false"] = function(value) return value == false end,
  ["function"] = function(value)
    local metatable = debug.getmetatable(value)
    return type(value) == "function" or (metatable ~= nil and metatable.__call ~= nil)
  end,
  coroutinelib = function(value) return type(value) == "table" and type(value.wrap) == "function" end,
}
for _, name in ipairs { "nil", "boolean", "string", "table", "thread", "userdata" } do
  PRIMITIVES[name] = function(value) return type(value) == name end
end

local conforms

local function shown(value) return ("%s %s"):format(type(value), tostring(value):match "^[^\n]*") end

--- What is wrong with a field, of a table or an object; nil: nothing.
local function wrong_field(api, object, name, field, seen)
  local value = object[name]
  if value == nil and field.optional then return nil end
  local wrong = conforms(api, value, field.type, seen)
  return wrong and ("%s: %s"):format(name, wrong)
end

local function wrong_keys(api, value, fields, seen)
  for key, item in pairs(value) do
    local items = fields["[]"]
    if type(key) == "number" and items then
      local wrong = conforms(api, key, items.key, seen) or conforms(api, item, items.type, seen)
      if wrong then return ("[%s]: %s"):format(key, wrong) end
    elseif not fields[key] then
      return ("%s is not declared"):format(tostring(key))
    end
  end
end

local function wrong_class(api, value, class, seen)
  local name = class.name
  local metatable = debug.getmetatable(value)
  if type(value) == "userdata" and metatable.__name ~= name and next(class.functions) then
    return ("%s expected, got %s"):format(name, metatable.__name)
  end
  if type(value) ~= "userdata" and type(value) ~= "table" then
    return ("%s expected, got %s"):format(name, shown(value))
  end
  if seen[value] then return nil end
  seen[value] = true
  local fields = luacats.fields_of(api, class)
  for key, field in pairs(fields) do
    local wrong = key ~= "[]" and wrong_field(api, value, key, field, seen)
    if wrong then return wrong end
  end
  return type(value) == "table" and not next(class.functions) and wrong_keys(api, value, fields, seen) or nil
end

local function wrong_union(api, value, union, seen)
  local first
  for _, member in ipairs(union) do
    local wrong = conforms(api, value, member, seen)
    if not wrong then return nil end
    first = first or wrong
  end
  return first
end

local function wrong_items(api, value, item, seen)
  if type(value) ~= "table" then return "array expected, got " .. shown(value) end
  for key, entry in pairs(value) do
    if math.type(key) ~= "integer" then return ("a key of an array: %s"):format(tostring(key)) end
    local wrong = conforms(api, entry, item, seen)
    if wrong then return ("[%d]: %s"):format(key, wrong) end
  end
end

local function wrong_map(api, value, parameters, seen)
  if type(value) ~= "table" then return "table expected, got " .. shown(value) end
  for key, entry in pairs(value) do
    local wrong = conforms(api, key, parameters[1], seen) or conforms(api, entry, parameters[2], seen)
    if wrong then return ("[%s]: %s"):format(tostring(key), wrong) end
  end
end

local function wrong_entries(api, value, entries, seen)
  if type(value) ~= "table" then return "table expected, got " .. shown(value) end
  for _, entry in ipairs(entries) do
    local wrong = wrong_field(api, value, entry.name or entry.key.value, entry, seen)
    if wrong then return wrong end
  end
end

local function wrong_name(api, value, t, seen)
  local name = t.name
  if name == "table" and t.parameters then return wrong_map(api, value, t.parameters, seen) end
  local primitive = PRIMITIVES[name]
  if primitive then return not primitive(value) and ("%s expected, got %s"):format(name, shown(value)) end
  if api.aliases[name] then return conforms(api, value, api.aliases[name].type, seen) end
  if api.classes[name] then return wrong_class(api, value, api.classes[name], seen) end
  return nil -- a parameter of a generic function or class
end

local BY_KIND = {
  any = function() end,
  literal = function(_, value, t)
    return value ~= t.value and ("%q expected, got %s"):format(t.value, shown(value))
  end,
  name = wrong_name,
  union = wrong_union,
  array = function(api, value, t, seen) return wrong_items(api, value, t.item, seen) end,
  table = function(api, value, t, seen) return wrong_entries(api, value, t.entries, seen) end,
  ["function"] = function(_, value)
    return not PRIMITIVES["function"](value) and "function expected, got " .. shown(value)
  end,
}

--- What is wrong with the value; nil: it is of the type.
---@param api table  # of luacats.read
---@param t table  # a type of it
---@return string? wrong
function conforms(api, value, t, seen) return BY_KIND[t.kind](api, value, t, seen or {}) or nil end

return conforms
