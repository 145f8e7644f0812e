--- What the objects of the API have in common: a table, or a userdata where tables can have no length, with a
--- metatable of its own type (kernel.new_type), by which a method knows its self. The twin of sync/object.h.

local args = require "coropanic.guest.args"
local compat = require "coropanic.guest.compat"
local kernel = require "coropanic.guest.kernel"

local object = {}

local getmetatable = compat.getmetatable

--- Makes a type of objects to which scripts can not write: kernel.new_type. Their tables have all their
--- fields from the beginning: false stands for none.
function object.type(name, methods, metamethods)
  local meta = kernel.new_type(name, methods, metamethods)
  function meta.__newindex() return kernel.raise("a %s can not be written to", name) end
  return meta
end

--- A function that returns its argument if that is an object of the type, and else raises.
---@return fun(self: any, method: string): table
function object.checker(meta)
  local name = meta.__metatable
  return function(self, method)
    if getmetatable(self) ~= meta then return args.refuse_self(self, name, method, self == nil and 0 or 1) end
    return self
  end
end

return object
