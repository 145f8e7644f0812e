--- Copies any value as plain data, which every JSON encoder takes: bounded and without cycles. Does not touch
--- the value itself and calls none of its metamethods. The twin of csrc/lua/plain.h.

local compat = require "coropanic.guest.compat"
local kernel = require "coropanic.guest.kernel"
local text = require "coropanic.guest.text"

local type, rawlen, next = type, compat.rawlen, next

local MAX_DEPTH, MAX_ITEMS, MAX_TEXT = 4, 64, 4096
local MAX_ENTRIES, MAX_BYTES, MAX_KEY = 1024, 65536, 256
local REPLACEMENT = "\239\191\189" -- U+FFFD

local copy

--- A text in which each byte that is not UTF-8 is U+FFFD.
local function valid(s)
  if not s:find "[\128-\255]" then return s end
  local out, n, i = {}, 0, 1
  while i <= #s do
    local size = text.utf8_length(s, i)
    n = n + 1
    out[n] = size > 0 and s:sub(i, i + size - 1) or REPLACEMENT
    i = i + (size > 0 and size or 1)
  end
  return table.concat(out)
end

--- At most `limit` bytes of a text, and the number of bytes left out.
local function copy_text(s, limit, state)
  if limit > state.bytes then limit = state.bytes end
  local kept = text.cut(s, limit)
  state.bytes = state.bytes - kept
  local result = valid(s:sub(1, kept))
  if kept < #s then result = ("%s... (%d bytes left out)"):format(result, #s - kept) end
  return result
end

local function copy_number(value)
  if value ~= value then return "nan" end
  if value == math.huge then return "inf" end
  if value == -math.huge then return "-inf" end
  return value
end

--- The length of a table if it is an array, with keys 1 to n and no other; else 0.
local function array_length(value)
  local length, keys = rawlen(value), 0
  if length == 0 then return 0 end
  for key in next, value do
    if type(key) ~= "number" or key % 1 ~= 0 or key < 1 or key > length then return 0 end
    keys = keys + 1
  end
  return keys == length and length or 0
end

local function take_entry(state)
  if state.entries == 0 then return false end
  state.entries = state.entries - 1
  return true
end

local function copy_array(value, length, state)
  local result, kept = {}, 0
  while kept < length and kept < MAX_ITEMS and take_entry(state) do
    kept = kept + 1
    result[kept] = copy(rawget(value, kept), state)
  end
  if kept < length then result[kept + 1] = ("... %d entries left out"):format(length - kept) end
  return result
end

local function copy_key(key, state)
  if type(key) == "string" then return copy_text(key, MAX_KEY, state) end
  if type(key) == "number" or type(key) == "boolean" then return tostring(key) end
  return copy_text(kernel.type_name(key), MAX_KEY, state)
end

--- Adds the entries that are tables, or those that are not. Returns how many were left out.
local function add_entries(result, value, tables, state)
  local left_out = 0
  for key, entry in next, value do
    if (type(entry) == "table") == tables then
      local name
      if state.kept < MAX_ITEMS and take_entry(state) then name = copy_key(key, state) end
      if name ~= nil and result[name] == nil then
        local kept = state.kept
        result[name] = copy(entry, state)
        state.kept = kept + 1
      else
        left_out = left_out + 1
      end
    end
  end
  return left_out
end

--- Entries that are tables come last, so that a large one does not take the room of short values.
local function copy_object(value, state)
  local result = {}
  local around = state.kept
  state.kept = 0
  local left_out = add_entries(result, value, false, state) + add_entries(result, value, true, state)
  state.kept = around
  if left_out > 0 then result["..."] = ("%d entries left out"):format(left_out) end
  return result
end

local function copy_table(value, state)
  local path = state.path
  for i = 1, #path do
    if path[i] == value then return "... left out: the table is inside itself" end
  end
  if #path == MAX_DEPTH then return "... left out: nested too deeply" end
  path[#path + 1] = value
  local length = array_length(value)
  local result = length > 0 and copy_array(value, length, state) or copy_object(value, state)
  path[#path] = nil
  return result
end

function copy(value, state)
  local kind = type(value)
  if kind == "nil" or kind == "boolean" then return value end
  if kind == "number" then return copy_number(value) end
  if kind == "string" then return copy_text(value, MAX_TEXT, state) end
  if kind == "table" and not kernel.test(value) and not kernel.is_object(value) then
    return copy_table(value, state)
  end
  return copy_text(kernel.type_name(value), MAX_KEY, state)
end

return function(value)
  return copy(value, { path = {}, entries = MAX_ENTRIES, bytes = MAX_BYTES, kept = 0 })
end
