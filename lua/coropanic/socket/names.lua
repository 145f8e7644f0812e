--- Looks up the addresses of a host. If luv is installed, libuv's threads do it, so that other tasks run
--- meanwhile; else luasocket does it, and blocks the process.

local co = require "coropanic"
local core = require "socket"

local names = {}

-- The main program must load luv: so it is loaded now, because names are looked up in tasks.
local has_luv, uv = pcall(require, "coropanic.uv")

co.cooperative()

--- luasocket's own words for some errors of getaddrinfo. For the others it uses the system's.
local ERRORS = {
  EAI_AGAIN = "temporary failure in name resolution",
  EAI_FAIL = "non-recoverable failure in name resolution",
  EAI_FAMILY = "ai_family not supported",
  EAI_MEMORY = "memory allocation failure",
  EAI_NODATA = "No address associated with hostname",
  EAI_NONAME = "host or service not provided, or not known",
}

--- Returns the family of a numeric address, which needs no look-up; nil for a name.
---@return "inet" | "inet6" | nil
function names.family_of(host)
  if host:find "^%d+%.%d+%.%d+%.%d+$" then
    return "inet"
  elseif host:find ":" then
    return "inet6"
  end
end

--- Whether a program with a resolver of its own has replaced luasocket's function.
local function is_replaced()
  return debug.getinfo(core.dns.getaddrinfo, "S").what ~= "C"
end

--- Like luasocket's socket.dns.getaddrinfo.
---@return { family: "inet" | "inet6", addr: string }[]?, string? err
function names.getaddrinfo(host)
  local is_name = type(host) == "string" and not names.family_of(host)
  if not is_name or not has_luv or co.current() == nil or is_replaced() then
    return core.dns.getaddrinfo(host)
  end
  local found, err = uv.getaddrinfo(host, nil, { socktype = "stream" })
  if not found then
    return nil, ERRORS[err:match "^[%u_]+"] or err
  end
  local addresses = {}
  for i, info in ipairs(found) do
    addresses[i] = { family = info.family, addr = info.addr }
  end
  return addresses
end

return names
