--- Sends requests of OTLP over HTTP, and tries again by its rules: only after status 429, 502, 503 or 504, or
--- without an answer. It waits as long as Retry-After says, or else with exponential back-off and full
--- jitter.

local co = require "coropanic"
local core = require "socket"
local http = require "socket.http"
local ltn12 = require "ltn12"
local socket = require "coropanic.socket"

co.cooperative()

local sender = {}

local RETRYABLE = { [429] = true, [502] = true, [503] = true, [504] = true }

local FIRST_BACKOFF, MAX_BACKOFF = 1, 30 -- seconds

local MAX_ANSWER = 65536 -- the most bytes read of one answer

local MONTHS = { Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6, Jul = 7, Aug = 8, Sep = 9, Oct = 10,
  Nov = 11, Dec = 12 }

--- Returns the seconds since 1970 of an HTTP date (RFC 9110, section 5.6.7, the preferred form); nil if the
--- text is no date.
local function parse_date(text)
  local day, month, year, hour, minute, second = text:match "^%a+, (%d+) (%a+) (%d+) (%d+):(%d+):(%d+) GMT$"
  if not MONTHS[month] then return nil end
  local date = { year = year, month = MONTHS[month], day = day, hour = hour, min = minute, sec = second }
  -- os.time takes local time: read the UTC time of now as local time to find the difference.
  local now = os.time()
  local as_local = os.date("!*t", now)
  as_local.isdst = nil
  return os.time(date) + now - os.time(as_local)
end

--- Returns the seconds that the answer asks to wait; nil if it does not say.
function sender.retry_after(value)
  if not value then return nil end
  if value:find "^%d+$" then return tonumber(value) end
  local at = parse_date(value)
  return at and math.max(at - os.time(), 0) or nil
end

--- Returns the addresses of a host, as they are written in a URL; an empty list if they are not known.
local function look_up(host)
  local addresses = {}
  for i, found in ipairs(core.dns.getaddrinfo(host) or {}) do
    addresses[i] = found.family == "inet6" and ("[%s]"):format(found.addr) or found.addr
  end
  return addresses
end

--- Returns the target of requests. The look-up of the host's name blocks; so it is made here, and repeated
--- only while the addresses are not known.
---@param options table  # endpoint, codec, headers, timeout, max_elapsed
---@return table
function sender.target(options)
  local authority, prefix = options.endpoint:match "^http://([^/]+)(.*)$"
  local host, port = authority:match "^%[?(.-)%]?:?(%d*)$"
  local headers = {
    ["content-type"] = options.codec.content_type,
    ["user-agent"] = "coropanic-otlp-exporter",
    host = authority,
  }
  for name, value in pairs(options.headers) do headers[name:lower()] = tostring(value) end
  return {
    host = host,
    port = port ~= "" and port or "80",
    prefix = prefix,
    headers = headers,
    addresses = look_up(host),
    timeout = options.timeout,
    max_elapsed = options.max_elapsed,
  }
end

--- Makes a connection without luasocket's time-out for the whole program: the attempt has its own.
local function connect()
  local connection, err = socket.tcp()
  if connection then
    function connection.settimeout() return 1 end
  end
  return connection, err
end

--- Posts to one address. Returns the status, the answer and its headers; or nil and why not.
local function post_to(target, address, path, body)
  local answer, size = {}, 0
  local headers = { ["content-length"] = #body }
  for name, value in pairs(target.headers) do headers[name] = value end
  local ok, status, answer_headers = http.request {
    url = ("http://%s:%s%s%s"):format(address, target.port, target.prefix, path),
    method = "POST",
    headers = headers,
    source = ltn12.source.string(body),
    sink = function(chunk)
      size = size + #(chunk or "")
      if chunk and size <= MAX_ANSWER then answer[#answer + 1] = chunk end
      return 1
    end,
    create = function()
      local connection, err = connect()
      target.connection = connection
      return connection, err
    end,
  }
  if not ok then return nil, tostring(status) end
  return status, table.concat(answer), answer_headers
end

--- Posts to the first of the host's addresses that answers.
local function post(target, path, body)
  if #target.addresses == 0 then target.addresses = look_up(target.host) end
  local status, answer, headers = nil, "host not found", nil
  for _, address in ipairs(target.addresses) do
    status, answer, headers = post_to(target, address, path, body)
    if status then break end
  end
  return status, answer, headers
end

--- Makes one attempt. Returns "sent" and the answer; "refused" and why; or "failed", why, and the seconds to
--- wait if the answer says so.
local function attempt(target, path, body)
  -- In time: true and the results of post; else false and the record of the time-out.
  local in_time, status, answer, headers = co.with_timeout(target.timeout, post, target, path, body)
  if not in_time then
    if target.connection then target.connection:close() end
    return "failed", "time-out"
  end
  if not status then return "failed", answer end
  if status >= 200 and status < 300 then return "sent", answer end
  local why = "HTTP " .. status
  if RETRYABLE[status] then return "failed", why, sender.retry_after(headers["retry-after"]) end
  return "refused", why
end

--- Sends a body again and again until it is taken or refused, or `max_elapsed` seconds have passed.
---@param target table  # from sender.target
---@param path string
---@param body string
---@param on_retry fun(why: string)
---@return "sent" | "refused" | "failed" outcome
---@return string answer  # or why not
function sender.send(target, path, body, on_retry)
  local began, backoff = co.now(), FIRST_BACKOFF
  while true do
    local outcome, answer, wait = attempt(target, path, body)
    if outcome ~= "failed" then return outcome, answer end
    wait = wait or math.random() * backoff
    if co.now() - began + wait > target.max_elapsed then return "failed", answer end
    on_retry(answer)
    co.sleep(wait)
    backoff = math.min(backoff * 2, MAX_BACKOFF)
  end
end

return sender
