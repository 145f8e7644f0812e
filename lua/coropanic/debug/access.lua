--- Who may ask coropanic.debug: requests for the names that it serves, by pages of its own, with the token.

local http = require "coropanic.debug.http"

local access = {}

--- The name in a Host header, without its port; nil: it is no such header.
local function name_of(host)
  local name = host:match "^(%[[%x:.]+%])" or host:match "^([%w%-_.]+)"
  if not name then return nil end
  local rest = host:sub(#name + 1)
  if rest ~= "" and not rest:find "^:%d+$" then return nil end
  return name:lower():gsub("^%[(.*)%]$", "%1"), rest:sub(2)
end

local function is_address(name)
  return name:find "^%d+%.%d+%.%d+%.%d+$" ~= nil or name:find(":", 1, true) ~= nil
end

local LOOPBACK = { "localhost", "127.0.0.1", "::1" }

--- Returns a function that tells whether a Host header is the server's. A page of another site can make its
--- own name lead here (DNS rebinding), but can not change this header.
---@param host string  # that the server is bound to
---@param port integer
---@return fun(value: string): boolean
function access.hosts(host, port)
  local names = { [host:lower()] = true }
  local any = host == "*" or host == "0.0.0.0" or host == "::"
  if any or host:find "^127%." or host == "::1" or host == "localhost" then
    for _, name in ipairs(LOOPBACK) do names[name] = true end
  end
  return function(value)
    local name, asked = name_of(value)
    if not name then return false end
    local is_port = asked == "" and port == 80 or tonumber(asked) == port
    return is_port and (names[name] == true or any and is_address(name))
  end
end

--- Compares two texts in a time that tells nothing of where they differ.
---@param given string
---@param token string
---@return boolean
function access.is_equal(given, token)
  local difference = #given ~ #token
  for i = 1, #given do
    difference = difference | (given:byte(i) ~ token:byte((i - 1) % #token + 1))
  end
  return difference == 0
end

local function given_token(request)
  local authorization = request.headers.authorization
  local bearer = type(authorization) == "string" and authorization:match "^[Bb]earer +(%S+)$"
  return bearer or http.parameter(request.query, "token")
end

--- Whether the request comes from a page of another site.
local function is_foreign(headers)
  local origin = headers.origin
  if type(origin) == "table" then return true end
  if origin then
    local host = origin:match "^https?://(.+)$"
    return host == nil or host ~= headers.host
  end
  local site = headers["sec-fetch-site"]
  local navigates = headers["sec-fetch-mode"] == "navigate"
  return (site == "cross-site" or site == "same-site") and not navigates
end

---@param request coropanic.debug.request
---@param rules { token: string?, is_host: (fun(value: string): boolean)? }
---@return coropanic.debug.response? refusal
function access.check(request, rules)
  local host = request.headers.host
  if rules.is_host and not (type(host) == "string" and rules.is_host(host)) then
    return http.refuse(403, "the Host header names another server")
  end
  if is_foreign(request.headers) then
    return http.refuse(403, "the request comes from a page of another site")
  end
  if not rules.token then return nil end
  local given = given_token(request)
  if given and access.is_equal(given, rules.token) then return nil end
  local refusal = http.refuse(401, "a token is needed: Authorization: Bearer TOKEN, or ?token=TOKEN")
  refusal.headers["WWW-Authenticate"] = 'Bearer realm="coropanic"'
  return refusal
end

return access
