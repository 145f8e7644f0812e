--- Headers as scripts pass them: a table that maps names, in any case, to a value or an array of values; a
--- list of {name, value} or {name = name, value = value}; both at once; or an object that behaves like one
--- through its metamethods, which may raise, and must not suspend. The twin of csrc/lua/carrier.h.

local args = require "coropanic.guest.args"
local compat = require "coropanic.guest.compat"
local kernel = require "coropanic.guest.kernel"
local places = require "coropanic.guest.carrier_places"

local carrier = {}

local getmetatable, pcall, error = compat.getmetatable, compat.pcall, error

-- What can be a carrier ----------------------------------------------------------------------------------

--- The field of the value's metatable, even if __metatable hides that.
local function metafield(value, field)
  local meta = getmetatable(value)
  if type(meta) == "table" then return rawget(meta, field) end
end

--- Raises what a protected call has returned.
local function unprotect(ok, ...)
  if ok then return ... end
  return error((...), 0)
end

--- Calls a metamethod through a C function, so that an error that blames its caller, error(message, 2), names
--- no line of ours.
local function call(fn, ...) return unprotect(pcall(fn, ...)) end

local MAX_INDEX = 100 -- tables that __index leads to, one after another

--- object[key], with calls of __index as above.
local function get(object, key)
  for _ = 1, MAX_INDEX do
    if type(object) == "table" then
      local value = rawget(object, key)
      if value ~= nil then return value end
    end
    local index = metafield(object, "__index")
    if index == nil and type(object) == "table" then return nil end
    if type(index) == "function" then return (call(index, object, key)) end
    if index == nil then return object[key] end -- raises
    object = index
  end
  return object[key]
end

--- object[key] = value, with a call of __newindex as above.
local function assign(object, key, value)
  local set = metafield(object, "__newindex")
  if type(set) == "function" and (type(object) ~= "table" or rawget(object, key) == nil) then
    call(set, object, key, value)
  else
    object[key] = value
  end
end

local function is_object(value)
  return metafield(value, "__pairs") ~= nil or metafield(value, "__index") ~= nil
end

--- Whether the headers have methods that set them, as lua-http's have. A table whose __index is a function is
--- not asked, because it may make a value for any key.
local function has_methods(headers)
  local index = metafield(headers, "__index")
  if index == nil or type(headers) == "table" and type(index) == "function" then return false end
  return type(get(headers, "upsert")) == "function" and type(get(headers, "delete")) == "function"
end

--- Raises unless argument 1 can be read as headers.
---@param count integer  # of the arguments
function carrier.check_readable(headers, name, count)
  if type(headers) == "table" then return end
  if type(headers) ~= "userdata" then
    args.type_error(headers, 1, name, "table of headers", count)
  elseif not is_object(headers) then
    args.type_error(headers, 1, name, "table of headers, or an object with __pairs or __index")
  end
end

--- Raises unless headers can be set in argument 1.
function carrier.check_writable(headers, name)
  if type(headers) == "table" then return end
  if type(headers) ~= "userdata" then
    args.type_error(headers, 1, name, "table of headers")
  elseif metafield(headers, "__newindex") == nil and not has_methods(headers) then
    args.type_error(headers, 1, name,
      "table of headers, or an object with __newindex, or with upsert and delete")
  end
end

--- Whether the value is an empty table without a metatable.
function carrier.is_empty(headers)
  return type(headers) == "table" and getmetatable(headers) == nil and next(headers) == nil
end

-- Reading ------------------------------------------------------------------------------------------------

local MODULE = "coropanic.headers"
local loaded = package.loaded

--- The module's function. It is loaded for the first object.
local function find_module()
  local read = loaded[MODULE]
  if type(read) == "function" then return read end
  local ok, found = pcall(rawget(_G, "require"), MODULE)
  if ok then return found end
  if type(found) ~= "string" then return error(found, 0) end
  kernel.raise("headers that are objects need the Lua module '%s': %s", MODULE, found)
end

--- A plain table with the header as the carrier has it, and with the entries of its list.
local function plain_of(headers, name)
  local plain = find_module()(headers, name, metafield, get, call)
  if type(plain) ~= "table" then kernel.raise("'%s' is not the module that coropanic brings", MODULE) end
  return plain
end

--- Returns a plain table with the header as the carrier has it, its places there, and whether the carrier is
--- an object that can be read, and not only be set.
local function view(headers, name)
  local object = is_object(headers)
  local plain = {}
  if object then
    plain = plain_of(headers, name)
  elseif type(headers) == "table" then
    plain = headers
  end
  local found = places.of_header(plain, name)
  if found.has_objects then
    plain = plain_of(headers, name)
    found = places.of_header(plain, name)
  end
  return plain, found, object
end

local function add_text(texts, value)
  local kind = type(value)
  if kind == "string" or kind == "number" then texts[#texts + 1] = tostring(value) end
end

--- Adds a value: a text, or a plain array of texts, which may have holes.
local function add_value(texts, value)
  if type(value) ~= "table" then return add_text(texts, value) end
  local border = compat.rawlen(value)
  for i = 1, border do add_text(texts, rawget(value, i)) end
  for _, i in ipairs(places.outside(value, border)) do add_text(texts, rawget(value, i)) end
end

--- Returns all values of the header, joined by ",", and their number; "" for none. Values from the list come
--- before those of named keys.
---@param name string  # in lower case
---@return string value, integer count
function carrier.read(headers, name)
  local plain, found = view(headers, name)
  local texts = {}
  for _, place in ipairs(found) do add_value(texts, places.value(plain, place)) end
  return table.concat(texts, ","), #texts
end

-- Setting ------------------------------------------------------------------------------------------------

--- A new entry of the list. The old one is not changed, because other code may hold it.
local function entry(form, name, value)
  if form == "pair" then return { name, value } end
  return { name = name, value = value }
end

--- Removes the entries of this name and closes the gaps in the list's own part, up to `border`. Unless
--- `value` is nil, the first of them is replaced. Returns how many entries are then in that part, and whether
--- nothing is left to set.
local function replace_entries(headers, found, border, name, value)
  local kept, set, at = 0, value == nil, 1
  while found[at] and found[at].form and found[at].index < 1 do
    assign(headers, found[at].index, nil)
    at = at + 1
  end
  for i = 1, border do
    local place = found[at]
    local same = place ~= nil and place.form ~= nil and place.index == i
    if same and not set then
      kept = kept + 1
      assign(headers, kept, entry(place.form, name, value))
      set = true
    elseif not same then
      kept = kept + 1
      if kept ~= i then assign(headers, kept, get(headers, i)) end
    end
    if same then at = at + 1 end
  end
  for i = kept + 1, border do assign(headers, i, nil) end
  while found[at] and found[at].form do
    assign(headers, found[at].index, nil)
    at = at + 1
  end
  return kept, set
end

local function set_by_methods(headers, found, name, value)
  for _, place in ipairs(found) do
    if not place.form then call(get(headers, "delete"), headers, place.name) end
  end
  if value ~= nil then call(get(headers, "upsert"), headers, name, value) end
end

local function set_by_index(headers, plain, found, name, value)
  local is_list, set = found.list ~= nil, value == nil
  for _, place in ipairs(found) do
    local is_set_below = not is_list and value ~= nil and place.name == name
    if not place.form and not is_set_below then assign(headers, place.name, nil) end
  end
  if is_list then
    local kept = compat.rawlen(plain)
    if #found > 0 then kept, set = replace_entries(headers, found, kept, name, value) end
    if not set then assign(headers, kept + 1, entry(found.list, name, value)) end
  elseif not set then
    assign(headers, name, value)
  end
end

--- Raises unless the object now has the header that was set.
local function check_set(headers, name, value)
  local now, count = carrier.read(headers, name)
  if value == nil and count == 0 or count == 1 and now == value then return end
  args.refuse(1, "inject", ("headers that can be set expected: '%s' is not as it was set"):format(name))
end

--- Sets the header, or removes it (nil). Removes it under any other spelling. In a list the new entry takes
--- the place of the header's first one, or the last place. Raises if the headers can be read and do not have
--- the header afterwards.
---@param name string  # in lower case
---@param value string?
function carrier.set(headers, name, value)
  local plain, found, object = view(headers, name)
  if #found == 0 and value == nil then return end
  if object and has_methods(headers) then
    set_by_methods(headers, found, name, value)
  else
    set_by_index(headers, plain, found, name, value)
  end
  if object then check_set(headers, name, value) end
end

return carrier
