--- Finds the places of a header in a plain table of headers, which is read raw. The twin of
--- csrc/lua/carrier_places.h.

local compat = require "coropanic.guest.compat"

local places = {}

local getmetatable = compat.getmetatable

---@class coropanic.guest.place
---@field form "pair"|"fields"|nil  # of the entry, {name, value} or {name =, value =}; nil: a named key
---@field index integer?  # of the entry
---@field name string?  # of the named key, as spelled there

local function has_metatable(value)
  local kind = type(value)
  return (kind == "table" or kind == "userdata") and getmetatable(value) ~= nil
end

local function is_spelled(text, name) return #text == #name and text:lower() == name end

--- The form of a list's item without a metatable, and its name; nil: it is no entry.
local function form_of(item)
  local name = rawget(item, 1)
  if type(name) == "string" then return "pair", name end
  name = rawget(item, "name")
  if type(name) == "string" then return "fields", name end
end

local function value_of(item, form)
  if form == "pair" then return rawget(item, 2) end
  return rawget(item, "value")
end

--- Looks at an item of the list; adds its place if it is an entry of the header.
local function take_item(found, index, item, name)
  if has_metatable(item) then found.has_objects = true end
  if found.has_objects or type(item) ~= "table" then return end
  local form, of = form_of(item)
  if not form then return end
  if found.list_start == nil or index < found.list_start then found.list, found.list_start = form, index end
  if not is_spelled(of, name) then return end
  if has_metatable(value_of(item, form)) then found.has_objects = true end
  found[#found + 1] = { form = form, index = index }
end

--- Entries by index, then names by their bytes.
local function is_before(a, b)
  if (a.form == nil) ~= (b.form == nil) then return a.form ~= nil end
  if a.form then return a.index < b.index end
  return a.name < b.name
end

local function is_integer(key) return type(key) == "number" and key % 1 == 0 end

--- Returns the places of the header, an array with the fields
---   list         the form of the list's first entry; nil: the table is no list
---   has_objects  a value, or an item of the list, has a metatable
---@param name string  # in lower case
function places.of_header(headers, name)
  local found = { list = nil, list_start = nil, has_objects = false }
  -- Not `for ... in next`: LuaJIT, of early 2023 at least, miscompiles that over keys of both types.
  local key, value = next(headers)
  while key ~= nil do
    if type(key) == "string" then
      if is_spelled(key, name) then
        if has_metatable(value) then found.has_objects = true end
        found[#found + 1] = { name = key }
      end
    elseif is_integer(key) then
      take_item(found, key, value, name)
    end
    key, value = next(headers, key)
  end
  if #found > 1 then table.sort(found, is_before) end
  return found
end

--- Returns the integer keys outside 1 to `border`, in order.
function places.outside(values, border)
  local keys = {}
  local key = next(values)
  while key ~= nil do
    if is_integer(key) and (key < 1 or key > border) then keys[#keys + 1] = key end
    key = next(values, key)
  end
  table.sort(keys)
  return keys
end

--- Returns the value at a place; nil: it is gone.
function places.value(headers, place)
  if not place.form then return rawget(headers, place.name) end
  local item = rawget(headers, place.index)
  if type(item) == "table" then return value_of(item, place.form) end
end

return places
