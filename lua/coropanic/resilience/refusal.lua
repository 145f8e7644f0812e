--- The values of panics by which policies refuse calls: tables with `code` and `message`, which is their
--- text.

local co = require "coropanic"

local refusal = {}

local META = {
  __name = "coropanic.resilience.refusal",
  __tostring = function(value) return value.message end,
}

--- Makes such a value of its fields.
---@param fields { code: string, message: string }
function refusal.value(fields) return setmetatable(fields, META) end

--- Raises it as a panic.
function refusal.raise(fields) co.panic(refusal.value(fields)) end

return refusal
