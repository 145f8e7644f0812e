--- Reads headers that are objects, for co.trace.extract, inject and continue: asks the object's metamethods
--- for one header, and returns it in a plain table, which C reads. Loaded for the first such object.

-- Lua 5.1 and LuaJIT lack these. This file needs no other: a host may have it alone, in package.preload.
local rawlen = rawget(_G, "rawlen") or function(value) return #value end
local function to_integer(value) return type(value) == "number" and value % 1 == 0 and value or nil end

-- The most tables that __index leads to, one after another: more than any class has, and cycles end.
local MAX_LAYERS = 100

-- The most items asked for from an object that can't be listed; if it has a default value, the list never
-- ends.
local MAX_ASKED = 1000

---@class coropanic.headers.reading
---@field name string  # of the header, in lower case
---@field found boolean  # the header is in `plain`
---@field plain table  # names to arrays of values, and a list of entries
---@field metafield fun(value: any, field: string): any  # even if __metatable hides the field
---@field get fun(object: any, key: any): any  # in C, like `call`: errors that blame it name no line here
---@field call fun(fn: function, ...: any): ...

--- Returns the object's length by its __len; a proxy without __len may be longer.
local function length_of(reading, object)
  local len = reading.metafield(object, "__len")
  if len then return to_integer(reading.call(len, object)) or 0 end
  return type(object) == "table" and rawlen(object) or 0
end

local function is_text(value) return type(value) == "string" or type(value) == "number" end

local function is_spelled(reading, name)
  return #name == #reading.name and name:lower() == reading.name
end

local function is_integer(key) return to_integer(key) ~= nil end

--- Adds the texts of an array without __index, also those behind holes.
local function add_plain(texts, values)
  local border, outside = rawlen(values), {}
  for i = 1, border do
    if is_text(values[i]) then texts[#texts + 1] = values[i] end
  end
  for i, value in next, values do
    if is_integer(i) and (i < 1 or i > border) and is_text(value) then outside[#outside + 1] = i end
  end
  table.sort(outside)
  for _, i in ipairs(outside) do texts[#texts + 1] = values[i] end
end

--- Adds a value of the header to the others: a text, or the texts of an array.
local function add_value(reading, texts, value)
  reading.found = true
  if is_text(value) then
    texts[#texts + 1] = value
  elseif type(value) == "table" and not reading.metafield(value, "__index") then
    add_plain(texts, value)
  elseif type(value) == "table" then
    local length = length_of(reading, value)
    for i = 1, MAX_ASKED do
      local text = reading.get(value, i)
      if is_text(text) then
        texts[#texts + 1] = text
      elseif i > length then
        break
      end
    end
  end
  return texts
end

--- Returns the item as a list entry of the same form; nil if it is none. An entry of another header keeps
--- only its name.
local function entry_of(reading, item)
  local get = reading.get
  local kind = type(item)
  local readable = kind == "table" or kind == "userdata" and reading.metafield(item, "__index")
  if not readable then return nil end
  local keys, name = { 1, 2 }, get(item, 1)
  if type(name) ~= "string" then keys, name = { "name", "value" }, get(item, "name") end
  if type(name) ~= "string" then return nil end
  local value = is_spelled(reading, name) and add_value(reading, {}, get(item, keys[2])) or nil
  return { [keys[1]] = name, [keys[2]] = value }
end

--- Takes the value if it belongs to the header, or is an entry of the list. An object may list a name twice.
local function take(reading, key, value)
  local plain = reading.plain
  if type(key) == "string" and is_spelled(reading, key) then
    plain[key] = add_value(reading, plain[key] or {}, value)
  elseif is_integer(key) and plain[key] == nil then
    plain[key] = entry_of(reading, value)
  end
end

local function take_listed(reading, object, list)
  local call = reading.call
  local step, state, key = call(list, object)
  local value
  while true do
    key, value = call(step, state, key)
    if key == nil then return end
    take(reading, key, value)
  end
end

--- Asks for the name in its usual spellings, and for the entries of the list until there is none: an object
--- whose __index is a function can not be listed.
local function take_asked(reading, object)
  local name = reading.name
  for _, spelled in ipairs { name, name:sub(1, 1):upper() .. name:sub(2), name:upper() } do
    local value = reading.get(object, spelled)
    if value ~= nil then
      take(reading, spelled, value)
      return
    end
  end
  local length = length_of(reading, object)
  for i = 1, MAX_ASKED do
    local has_it, item = pcall(reading.get, object, i) -- an object that raises is no list
    local entry = has_it and entry_of(reading, item) or nil
    if not entry and i > length then return end
    reading.plain[i] = reading.plain[i] or entry
  end
end

--- Takes the fields that the object lists with __pairs; else its own fields, and then those of its __index,
--- which may be such an object again.
local function take_layers(reading, object)
  for _ = 1, MAX_LAYERS do
    local list = reading.metafield(object, "__pairs")
    if list then return take_listed(reading, object, list) end
    if type(object) == "table" then
      -- Not `for ... in next`: LuaJIT, of early 2023 at least, miscompiles that over keys of both types.
      local key, value = next(object)
      while key ~= nil do
        take(reading, key, value)
        key, value = next(object, key)
      end
    end
    local index = reading.metafield(object, "__index")
    if reading.found then return end
    if type(index) == "function" then return take_asked(reading, object) end
    if index == nil then return end
    object = index
  end
end

--- Returns a plain table with the header as the object has it, and with the entries of the object's list.
---@param object any
---@param name string
---@param metafield fun(value: any, field: string): any
---@param get fun(object: any, key: any): any
---@param call fun(fn: function, ...: any): ...
---@return table
return function(object, name, metafield, get, call)
  local reading = { name = name, found = false, plain = {}, metafield = metafield, get = get, call = call }
  take_layers(reading, object)
  return reading.plain
end
