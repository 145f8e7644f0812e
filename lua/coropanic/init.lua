--- The module of C, after a look at whether this is a Lua that can load it: in any other, loading fails with
--- the name of some function of Lua that is missing there. All files here are such that Lua 5.1 can read them.

if _VERSION ~= "Lua 5.4" and _VERSION ~= "Lua 5.5" then
  local jit = rawget(_G, "jit")
  local this = type(jit) == "table" and jit.version or _VERSION
  error("coropanic needs PUC Lua 5.4.4 or later, but not 5.4.5; this is " .. tostring(this), 0)
end

return require "coropanic.core"
