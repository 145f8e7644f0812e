--- HTTP/1.1 as text (RFC 9110, 9112): bytes to requests, responses to bytes. Knows no sockets and no tasks.

local cjson = require "cjson"

local http = {}

-- Limits: what one client may make us hold.
http.MAX_TARGET = 2048 -- bytes of path and query
-- Bytes of request line and headers together. 8192 of them may be baggage, which is to be passed on whole
-- (https://www.w3.org/TR/baggage/, section 3.3), beside a target, a tracestate and all else.
http.MAX_HEAD = 16384
http.MAX_HEADERS = 128 -- header lines; baggage of 64 members may come in as many
http.MAX_BODY = 65536 -- bytes; a request for 1000 prices is about 5000

local REASON = {
  [200] = "OK", [202] = "Accepted", [400] = "Bad Request", [401] = "Unauthorized", [404] = "Not Found",
  [405] = "Method Not Allowed", [408] = "Request Timeout", [413] = "Content Too Large",
  [414] = "URI Too Long", [417] = "Expectation Failed", [429] = "Too Many Requests",
  [431] = "Request Header Fields Too Large", [500] = "Internal Server Error", [501] = "Not Implemented",
  [503] = "Service Unavailable", [505] = "HTTP Version Not Supported",
}

local TOKEN = "^[%w!#$%%&'*+.^_`|~-]+$" -- RFC 9110, section 5.6.2

---@class Request
---@field method string
---@field path string
---@field query string?
---@field headers table<string, string|string[]>  # by lower-case name; an array where a name was repeated
---@field length integer      # of the body
---@field keep_alive boolean
---@field expects_continue boolean
---@field body string?        # once it was read

---@class Problem  # why a request can not be read; the connection ends after the answer
---@field status integer
---@field message string
---@field headers table?  # as a request has them, where they were read so far

---@return nil, Problem
local function refuse(status, message, headers)
  return nil, { status = status, message = message, headers = headers }
end

--- Takes a complete head from the front of `buffer`.
---@param buffer string
---@return string? head, string|Problem|nil rest  # nil, nil: more bytes are needed; nil, problem: hopeless
function http.take_head(buffer)
  -- Empty lines before the request line are to be ignored (RFC 9112, section 2.2).
  local start = 1
  while buffer:sub(start, start + 1) == "\r\n" do
    start = start + 2
  end
  local stop, after = buffer:find("\r\n\r\n", start, true)
  if (stop or #buffer) > http.MAX_HEAD then
    return refuse(431, ("more than %d bytes of request line and headers"):format(http.MAX_HEAD))
  end
  -- A lone CR or LF is where servers disagree on where a header ends: request smuggling begins there.
  local seen = buffer:sub(start, stop)
  if seen:find("^\n") or seen:find("[^\r]\n") or seen:find("\r[^\n]") then
    return refuse(400, "a line does not end in CR LF")
  end
  if not stop then
    return nil, nil
  end
  return buffer:sub(start, stop - 1), buffer:sub(after + 1)
end

---@return string? method, string|Problem target, string? minor
local function parse_request_line(line)
  local method, target, version = line:match("^(%S+) (%S+) (HTTP/%d%.%d)$")
  if not method or not method:find(TOKEN) or target:find("[^!-~]") then
    return refuse(400, "the request line is not 'METHOD target HTTP/1.1'")
  end
  local minor = version:match("^HTTP/1%.(%d)$")
  if not minor then
    return refuse(505, "only HTTP/1.1 and 1.0 are spoken here")
  end
  if #target > http.MAX_TARGET then
    return refuse(414, ("the target is longer than %d bytes"):format(http.MAX_TARGET))
  end
  target = target:gsub("^[hH][tT][tT][pP]://[^/?#]*", "") -- the form meant for proxies is allowed
  if target:sub(1, 1) ~= "/" then
    return refuse(400, "the target does not begin with '/'")
  end
  return method, target, minor
end

---@return table<string, string|string[]>? headers, Problem?
local function parse_headers(lines)
  local headers, count = {}, 0
  for line in lines:gmatch("(.-)\r\n") do
    count = count + 1
    if count > http.MAX_HEADERS then
      return refuse(431, ("more than %d headers"):format(http.MAX_HEADERS), headers)
    end
    -- No space before the colon, no continuation lines: both were holes in other servers.
    local name, value = line:match("^([^%s:]+):[ \t]*(.*)$")
    value = value and (value:match("^(.*[^ \t])") or "") -- one pass, however many blanks there are
    if not name or not name:find(TOKEN) or value:find("[%z\1-\8\10-\31\127]") then
      return refuse(400, ("header line %d is not 'name: value'"):format(count), headers)
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

---@return integer? length, Problem?
local function body_length(headers)
  if headers["transfer-encoding"] then
    return refuse(501, "no transfer coding is implemented; send Content-Length", headers)
  end
  local length = headers["content-length"]
  if length == nil then
    return 0
  end
  if type(length) == "table" or not length:find("^%d+$") then
    return refuse(400, "Content-Length is not one number", headers)
  end
  if #length > 15 or tonumber(length) > http.MAX_BODY then
    return refuse(413, ("the body is longer than %d bytes"):format(http.MAX_BODY), headers)
  end
  return math.tointeger(tonumber(length))
end

--- Parses a head as take_head gives it.
---@param head string
---@return Request?, Problem?
function http.parse_head(head)
  local line, rest = (head .. "\r\n"):match("^(.-)\r\n(.*)$")
  local method, target, minor = parse_request_line(line)
  if not method then
    return nil, target
  end
  local headers, problem = parse_headers(rest)
  if not headers then
    return nil, problem
  end
  if type(headers.host) == "table" or (minor ~= "0" and not headers.host) then
    return refuse(400, "exactly one Host header is needed", headers)
  end
  local length
  length, problem = body_length(headers)
  if not length then
    return nil, problem
  end
  local expect = headers.expect
  if expect and (type(expect) == "table" or expect:lower() ~= "100-continue") then
    return refuse(417, "of expectations only 100-continue is understood", headers)
  end
  local connection = headers.connection or ""
  local options = "," .. (type(connection) == "table" and table.concat(connection, ",") or connection):lower()
  options = options:gsub("%s", "") .. ","
  local keep_alive = minor ~= "0" or options:find(",keep-alive,", 1, true) ~= nil
  local path, query = target:match("^([^?]*)%??(.*)$")
  return {
    method = method, path = path, query = query ~= "" and query or nil, headers = headers, length = length,
    keep_alive = keep_alive and not options:find(",close,", 1, true),
    expects_continue = expect ~= nil and minor ~= "0",
  }
end

---@class Response
---@field status integer
---@field body string            # JSON
---@field headers table<string, string>

-- The metatable of a list that may be empty: cjson would make an object of that.
local List = {}

--- Marks a list as one, so that it is one in a response without items too.
---@generic T
---@param list T[]
---@return T[]
function http.list(list) return setmetatable(list, List) end

local function encode(value)
  if type(value) ~= "table" then return (cjson.encode(value):gsub("\\/", "/")) end -- escaped: hard to read
  local parts = {}
  if #value > 0 or getmetatable(value) == List then
    for i, item in ipairs(value) do parts[i] = encode(item) end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  for name, item in pairs(value) do parts[#parts + 1] = encode(tostring(name)) .. ":" .. encode(item) end
  return "{" .. table.concat(parts, ",") .. "}"
end

--- Makes a response of a value; raises what JSON can not express.
---@param status integer
---@param value any
---@param headers table<string, string>?
---@return Response
function http.response(status, value, headers)
  return { status = status, body = encode(value) .. "\n", headers = headers or {} }
end

--- Writes a response out.
---@param response Response
---@param options { keep_alive: boolean, without_body: boolean }
---@return string bytes
function http.format(response, options)
  local lines = {
    ("HTTP/1.1 %d %s"):format(response.status, REASON[response.status] or "Unknown"),
    "Content-Type: application/json",
    "Content-Length: " .. #response.body,
    "Connection: " .. (options.keep_alive and "keep-alive" or "close"),
  }
  for name, value in pairs(response.headers) do
    lines[#lines + 1] = name .. ": " .. value
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (options.without_body and "" or response.body)
end

return http
