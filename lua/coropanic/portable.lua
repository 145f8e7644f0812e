--- Functions of Lua 5.4's libraries, for modules that also run where they are missing: in LuaJIT, Lua 5.1
--- and 5.3. Where Lua has them, they are Lua's.

local portable = {}

--- table.move to the same or another table.
portable.move = table.move or function(from, first, last, at, to)
  to = to or from
  if at > first and to == from then
    for i = last - first, 0, -1 do to[at + i] = from[first + i] end
  else
    for i = 0, last - first do to[at + i] = from[first + i] end
  end
  return to
end

--- math.type: without a subtype for integers, whole numbers below 2^53 are such.
portable.math_type = math.type or function(value)
  if type(value) ~= "number" then return nil end
  return value % 1 == 0 and value < 2 ^ 53 and value > -2 ^ 53 and "integer" or "float"
end

--- math.tointeger of a number.
portable.tointeger = math.tointeger or function(value)
  return type(value) == "number" and value % 1 == 0 and value or nil
end

--- The length of a table without its metamethods.
portable.rawlen = rawget(_G, "rawlen") or function(value) return #value end

-- Surrogates are no characters: Lua 5.3 takes them, and LuaJIT has no such library.
local has_strict = utf8 and utf8.offset and not utf8.len "\237\160\128"
local own = not has_strict and require "coropanic.guest.core.utf8" or nil

---@type fun(text: string, at?: integer): integer?, integer?
portable.utf8_len = own and own.len or utf8.len

---@type fun(text: string, n: integer): integer?
portable.utf8_offset = own and own.offset or utf8.offset

return portable
