--- HAProxy hosts the guest: services whose handlers run as tasks, and tasks that use what waits in HAProxy.
--- See host/haproxy/services.lua and docs/embedding.md.

local core = rawget(_G, "core")
if type(core) ~= "table" or not core.register_task then
  error("coropanic.haproxy works in HAProxy only: load it in its Lua code", 0)
end

return require "coropanic.host.haproxy.services"
