--- HTTP/1.1 for coropanic.debug (RFC 9110, 9112): bytes to requests, responses to bytes. Requests have no
--- bodies here. Knows no sockets and no tasks.

local http = {}

http.MAX_HEAD = 16384 -- bytes of request line and headers
http.MAX_TARGET = 4096 -- bytes of path and query
http.MAX_HEADERS = 128 -- lines

local REASON = {
  [200] = "OK", [304] = "Not Modified", [400] = "Bad Request", [401] = "Unauthorized", [403] = "Forbidden",
  [404] = "Not Found", [405] = "Method Not Allowed", [408] = "Request Timeout", [409] = "Conflict",
  [413] = "Content Too Large", [414] = "URI Too Long", [431] = "Request Header Fields Too Large",
  [500] = "Internal Server Error", [501] = "Not Implemented", [503] = "Service Unavailable",
  [505] = "HTTP Version Not Supported",
}

local TOKEN = "^[%w!#$%%&'*+.^_`|~-]+$" -- RFC 9110, section 5.6.2

---@class coropanic.debug.request
---@field method string
---@field path string
---@field query? string  # as it came, without the question mark
---@field headers? table<string, string|string[]>  # by lower-case name

---@class coropanic.debug.response
---@field status integer
---@field headers table<string, string>
---@field body string
---@field stream? fun(): string?  # instead of the body: the next part, for which it may wait; nil: the end

--- Makes a response of a text.
---@return coropanic.debug.response
function http.text(status, body, content_type)
  local headers = { ["Content-Type"] = content_type or "text/plain; charset=utf-8" }
  return { status = status, headers = headers, body = body }
end

--- Makes a response that says what is wrong.
---@return coropanic.debug.response
function http.refuse(status, message)
  return http.text(status, ("%d %s: %s\n"):format(status, REASON[status], message))
end

--- Takes a complete head from the front of the bytes.
---@param bytes string
---@return string? head
---@return string|coropanic.debug.response|nil rest  # nil after nil: more must come; a response: hopeless
function http.take_head(bytes)
  local start = 1
  while bytes:sub(start, start + 1) == "\r\n" do start = start + 2 end -- RFC 9112, section 2.2
  local stop, after = bytes:find("\r\n\r\n", start, true)
  if (stop or #bytes) > http.MAX_HEAD then
    return nil, http.refuse(431, ("more than %d bytes of request line and headers"):format(http.MAX_HEAD))
  end
  local seen = bytes:sub(start, stop)
  -- Servers disagree on where a lone CR or LF ends a header: request smuggling begins there.
  if seen:find "^\n" or seen:find "[^\r]\n" or seen:find "\r[^\n]" then
    return nil, http.refuse(400, "a line does not end in CR LF")
  end
  if not stop then return nil, nil end
  return bytes:sub(start, stop - 1), bytes:sub(after + 1)
end

local function parse_line(line)
  local method, target, version = line:match "^(%S+) (%S+) (HTTP/%d%.%d)$"
  if not method or not method:find(TOKEN) or target:find "[^!-~]" then
    return nil, http.refuse(400, "the request line is not 'METHOD target HTTP/1.1'")
  end
  local minor = version:match "^HTTP/1%.(%d)$"
  if not minor then return nil, http.refuse(505, "only HTTP/1.1 and 1.0 are spoken here") end
  if #target > http.MAX_TARGET then
    return nil, http.refuse(414, ("the target is longer than %d bytes"):format(http.MAX_TARGET))
  end
  target = target:gsub("^[hH][tT][tT][pP]://[^/?#]*", "")
  if target:sub(1, 1) ~= "/" then return nil, http.refuse(400, "the target does not begin with '/'") end
  return method, target, minor
end

local function parse_headers(lines)
  local headers, count = {}, 0
  for line in lines:gmatch "(.-)\r\n" do
    count = count + 1
    if count > http.MAX_HEADERS then
      return nil, http.refuse(431, ("more than %d headers"):format(http.MAX_HEADERS))
    end
    local name, value = line:match "^([^%s:]+):[ \t]*(.*)$"
    value = value and (value:match "^(.*[^ \t])" or "")
    if not name or not name:find(TOKEN) or value:find "[%z\1-\8\10-\31\127]" then
      return nil, http.refuse(400, ("header line %d is not 'name: value'"):format(count))
    end
    name = name:lower()
    local before = headers[name]
    if before == nil then
      headers[name] = value
    elseif type(before) == "table" then
      before[#before + 1] = value
    else
      headers[name] = { before, value }
    end
  end
  return headers
end

--- Why a request with these headers is not taken: it has a body, or hosts are unclear; nil: it is taken.
local function complaint_about(headers, minor)
  if headers["transfer-encoding"] then return http.refuse(501, "requests have no body here") end
  local length = headers["content-length"]
  if length and not (type(length) == "string" and length:find "^%d+$") then
    return http.refuse(400, "Content-Length is not one number")
  end
  if length and not length:find "^0+$" then return http.refuse(413, "requests have no body here") end
  if type(headers.host) == "table" or (minor ~= "0" and not headers.host) then
    return http.refuse(400, "exactly one Host header is needed")
  end
end

--- Parses a head as take_head gives it.
---@return coropanic.debug.request? request, coropanic.debug.response? problem
function http.parse_head(head)
  local line, rest = (head .. "\r\n"):match "^(.-)\r\n(.*)$"
  local method, target, minor = parse_line(line)
  if not method then return nil, target end
  local headers, problem = parse_headers(rest)
  if not headers then return nil, problem end
  problem = complaint_about(headers, minor)
  if problem then return nil, problem end
  local connection = headers.connection or ""
  if type(connection) == "table" then connection = table.concat(connection, ",") end
  local options = "," .. connection:lower():gsub("%s", "") .. ","
  local path, query = target:match "^([^?]*)%??(.*)$"
  return {
    method = method, path = path, query = query ~= "" and query or nil, headers = headers,
    keep_alive = minor ~= "0" and not options:find(",close,", 1, true),
  }
end

--- Returns the value of a parameter in a query; nil: it has none.
---@param query string?
---@param name string
---@return string?
function http.parameter(query, name)
  for pair in (query or ""):gmatch "[^&]+" do
    local key, value = pair:match "^([^=]*)=?(.*)$"
    if key == name then
      return (value:gsub("+", " "):gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
    end
  end
end

--- Returns the parameter as a number from 0 to `most`; nil and a refusal if it is something else.
---@param request coropanic.debug.request
---@param name string
---@param most number
---@param default number  # if it is not there
---@return number? value, coropanic.debug.response? refusal
function http.number(request, name, most, default)
  local text = http.parameter(request.query, name)
  if not text then return default end
  local number = text:find "^%d+%.?%d*$" and tonumber(text)
  if number and number <= most then return number end
  return nil, http.refuse(400, ("'%s' is to be a number from 0 to %d"):format(name, most))
end

--- Writes a response's head out.
---@param response coropanic.debug.response
---@param keep_alive boolean
---@return string
function http.head(response, keep_alive)
  local lines = { ("HTTP/1.1 %d %s"):format(response.status, REASON[response.status]) }
  if not response.stream and response.status ~= 304 then
    lines[#lines + 1] = "Content-Length: " .. #response.body
  end
  lines[#lines + 1] = "Connection: " .. (keep_alive and "keep-alive" or "close")
  local names = {}
  for name in pairs(response.headers) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do lines[#lines + 1] = name .. ": " .. response.headers[name] end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

return http
