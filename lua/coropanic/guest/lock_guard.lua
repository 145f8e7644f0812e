--- Guards, for `local _ <close> = m:guard()`: at the end of the block a guard gives back the lock or the
--- permits. Only Lua 5.4 has such variables. The twin of lua/lock_guard.h.

local compat = require "coropanic.guest.compat"
local kernel = require "coropanic.guest.kernel"

local lock_guard = {}

local GUARD = kernel.new_type("lock_guard", {})

function GUARD.__close(guard)
  if not guard.armed then return end
  guard.armed = false
  guard.release(guard.object, guard.amount)
end

function GUARD.__tostring(guard)
  return (guard.armed and "guard" or "closed guard") .. " of " .. tostring(guard.object)
end

--- Raises where a block can not close a guard. Call it before taking the lock.
---@param instead string  # what to do there
function lock_guard.check(instead)
  if compat.has_close then return end
  kernel.raise("'guard' is not available in the guest (docs/portability.md): %s has no variables that are "
    .. "closed at the end of a block; %s", _VERSION, instead)
end

--- A guard of the object, which is held; nil if it is not.
---@param release fun(object, amount)
function lock_guard.new(taken, held, release, amount)
  if not taken then return nil end
  return setmetatable({ object = held, release = release, amount = amount, armed = true }, GUARD)
end

return lock_guard
