--- Loads the C module, after a check that this Lua can: otherwise loading would fail with the name of a
--- function that is missing there. Lua 5.1 can read all files here.

if _VERSION ~= "Lua 5.4" and _VERSION ~= "Lua 5.5" then
  local jit = rawget(_G, "jit")
  local this = type(jit) == "table" and jit.version or _VERSION
  error("coropanic needs PUC Lua 5.4.4 or later, but not 5.4.5; this is " .. tostring(this), 0)
end

return require "coropanic.core"
