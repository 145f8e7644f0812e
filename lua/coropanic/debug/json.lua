--- JSON for what coropanic.debug tells: lua-cjson is not needed, and lists without items are lists.

local text_of = require "coropanic.text"

local json = {}

-- The metatable of a list, which may have no items.
local List = {}

--- Marks a table as a list.
---@generic T
---@param items T[]
---@return T[]
function json.list(items) return setmetatable(items, List) end

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function escape(c) return ESCAPES[c] or ("\\u%04x"):format(c:byte()) end

-- The same names, places and words come again and again: so many short ones are kept as they are written.
local MAX_KEPT = 4096
local MAX_LENGTH = 128 -- bytes
local kept, kept_count = {}, 0

local function keep(text, written)
  if #text > MAX_LENGTH then return end
  if kept_count == MAX_KEPT then kept, kept_count = {}, 0 end
  kept[text], kept_count = written, kept_count + 1
end

--- Writes a string. Bytes that are not UTF-8 become U+FFFD; `<` is escaped, so that the text is safe in HTML
--- too.
local function write_string(text)
  local written = kept[text]
  if written then return written end
  local valid = text_of.valid(text)
  if valid:find '[%z\1-\31"\\\127<]' then valid = valid:gsub('[%z\1-\31"\\\127<]', escape) end
  written = '"' .. valid .. '"'
  keep(text, written)
  return written
end

local function write_number(number)
  if number ~= number or number == math.huge or number == -math.huge then return "null" end
  if math.type(number) == "integer" then return ("%d"):format(number) end
  return (("%.14g"):format(number):gsub(",", "."))
end

local write

local function write_list(items)
  local parts = {}
  for i, item in ipairs(items) do parts[i] = write(item) end
  return "[" .. table.concat(parts, ",") .. "]"
end

--- Writes the fields in the order of their names, so that equal values are equal texts.
local function write_object(object)
  local names, parts = {}, {}
  for name in pairs(object) do
    if type(name) == "string" then names[#names + 1] = name end
  end
  table.sort(names)
  for i, name in ipairs(names) do parts[i] = write_string(name) .. ":" .. write(object[name]) end
  return "{" .. table.concat(parts, ",") .. "}"
end

function write(value)
  local kind = type(value)
  if kind == "string" then return write_string(value) end
  if kind == "number" then return write_number(value) end
  if kind == "boolean" then return tostring(value) end
  if kind ~= "table" then return "null" end
  local meta = getmetatable(value)
  if meta == List or value[1] ~= nil then return write_list(value) end
  return write_object(value)
end

--- Returns a function that writes objects with these fields only, which it knows in advance. It leaves out
--- the brace at the end, so that more fields can follow.
---@param first string  # a field that every object has
---@param names string[]  # the others
---@return fun(object: table): string
function json.writer(first, names)
  local heads = {}
  for i, name in ipairs(names) do heads[i] = ',"' .. name .. '":' end
  local first_head = '{"' .. first .. '":'
  return function(object)
    local parts, n = { first_head, write(object[first]) }, 2
    for i = 1, #names do
      local value = object[names[i]]
      if value ~= nil then
        parts[n + 1], parts[n + 2] = heads[i], write(value)
        n = n + 2
      end
    end
    return table.concat(parts)
  end
end

--- Returns the value as JSON. Numbers that JSON has not, and values that are no data, become null.
---@param value any  # without cycles
---@return string
function json.encode(value) return write(value) end

return json
