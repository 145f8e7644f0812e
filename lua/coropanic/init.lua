--- Picks the implementation: the C module where it works, in PUC Lua 5.4 and 5.5; else the guest, the
--- same API in Lua (docs/portability.md). COROPANIC_GUEST=1 in the environment asks for the guest in any
--- Lua. Lua 5.1 can read all files here.

local asked = os.getenv and os.getenv "COROPANIC_GUEST"
local has_core = _VERSION == "Lua 5.4" or _VERSION == "Lua 5.5"

if has_core and (asked == nil or asked == "" or asked == "0") then return require "coropanic.core" end

return require "coropanic.guest"
