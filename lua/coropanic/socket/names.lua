--- Looking up the addresses of a host: by libuv's threads where luv is installed, so that other tasks run
--- meanwhile; else by luasocket, which blocks the process.

local co = require "coropanic"
local core = require "socket"

local names = {}

-- luv has to be loaded by the main program: now, for a name is looked up in a task.
local has_luv, uv = pcall(require, "coropanic.uv")

--- What luasocket says for the errors of getaddrinfo that it has words of its own for; for the others it has
--- the system's.
local ERRORS = {
  EAI_AGAIN = "temporary failure in name resolution",
  EAI_FAIL = "non-recoverable failure in name resolution",
  EAI_FAMILY = "ai_family not supported",
  EAI_MEMORY = "memory allocation failure",
  EAI_NODATA = "No address associated with hostname",
  EAI_NONAME = "host or service not provided, or not known",
}

--- The family of an address that is written out, and needs no look-up; nil: it is a name.
---@return "inet" | "inet6" | nil
function names.family_of(host)
  if host:find "^%d+%.%d+%.%d+%.%d+$" then
    return "inet"
  elseif host:find ":" then
    return "inet6"
  end
end

--- luasocket's function may have been replaced by somebody who has a resolver of his own.
local function is_replaced()
  return debug.getinfo(core.dns.getaddrinfo, "S").what ~= "C"
end

--- As luasocket's socket.dns.getaddrinfo.
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
