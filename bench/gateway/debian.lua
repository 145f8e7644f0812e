--- Debian installs lua-http, and what it needs, for older versions of Lua only; in 5.4 it runs as well. What
--- there is for 5.4 is still found first.

package.path = package.path
  .. ";/usr/share/lua/5.3/?.lua;/usr/share/lua/5.3/?/init.lua"
  .. ";/usr/share/lua/5.2/?.lua;/usr/share/lua/5.2/?/init.lua"

return true
