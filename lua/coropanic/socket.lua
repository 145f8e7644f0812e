--- luasocket for tasks: the same functions and objects, but a call that would block the process parks the
--- task instead. Outside tasks everything behaves as luasocket does.

local co = require "coropanic"
local core = require "socket"
local object = require "coropanic.socket.object"

co.cooperative()

local socket = {}

local function add(functions)
  for name, value in pairs(functions) do
    socket[name] = value
  end
end

add(core)
add(require "coropanic.socket.tcp")
add(require "coropanic.socket.udp")
add(require "coropanic.socket.except")

socket.select = require "coropanic.socket.select"

function socket.sleep(seconds)
  if co.current() then
    co.sleep(math.max(seconds, 0))
  else
    core.sleep(seconds)
  end
end

--- Makes `require "socket"` return this module from now on.
---@return table? previous  # the former module
function socket.install()
  local previous = package.loaded.socket
  package.loaded.socket = socket
  return previous
end

-- TLS -----------------------------------------------------------------------------------------------------

--- Makes luasec wrap our connections as coropanic.ssl does: its own object would block the process.
local function adopt(luasec)
  local wrap = luasec.wrap
  function luasec.wrap(connection, ...)
    if object.is(connection) then
      return require "coropanic.ssl".wrap(connection, ...)
    end
    return wrap(connection, ...)
  end
  return luasec
end

if package.loaded.ssl then
  adopt(package.loaded.ssl)
else
  local preload = package.preload.ssl
  package.preload.ssl = function()
    package.preload.ssl = preload
    return adopt(require "ssl")
  end
end

return socket
