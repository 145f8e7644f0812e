--- luasocket's UDP objects for tasks.

local core = require "socket"
local object = require "coropanic.socket.object"

local udp = {}

---@type table<string, table>  # by luasocket's classes
local types = {}

local methods = {}

for _, name in ipairs {
  "getfamily", "getoption", "getpeername", "getsockname", "setfd", "setoption", "setsockname",
} do
  methods[name] = object.delegate(name)
end

function methods:setpeername(...)
  local results = table.pack(self.raw:setpeername(...))
  setmetatable(self, types[self.raw.class])
  return table.unpack(results, 1, results.n)
end

for name, mode in pairs { receive = "r", receivefrom = "r", send = "w", sendto = "w" } do
  local side = mode == "r" and "reading" or "writing"
  methods[name] = function(self, ...)
    return object.repeat_call(self, side, mode, name, ...)
  end
end

for _, class in ipairs { "udp{connected}", "udp{unconnected}" } do
  types[class] = object.new_type(methods, { class = class })
end

for _, name in ipairs { "udp", "udp4", "udp6" } do
  udp[name] = function(...)
    local raw, err = core[name](...)
    if not raw then
      return nil, err
    end
    return object.wrap(types[raw.class], raw)
  end
end

return udp
