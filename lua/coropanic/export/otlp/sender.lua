--- Sends requests of OTLP over HTTP and tries again by its rules: only after 429, 502, 503, 504 or without an
--- answer, as long as Retry-After says, or else with exponential back-off and full jitter.

local co = require "coropanic"
local http = require "socket.http"
local ltn12 = require "ltn12"
local socket = require "coropanic.socket"

local sender = {}

local RETRYABLE = { [429] = true, [502] = true, [503] = true, [504] = true }

local FIRST_BACKOFF, MAX_BACKOFF = 1, 30 -- seconds

local MAX_ANSWER = 65536 -- bytes that are read of one

local MONTHS = { Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6, Jul = 7, Aug = 8, Sep = 9, Oct = 10,
  Nov = 11, Dec = 12 }

--- Seconds since 1970 of a date of HTTP (RFC 9110, section 5.6.7, the preferred form); nil: it is none.
local function parse_date(text)
  local day, month, year, hour, minute, second = text:match "^%a+, (%d+) (%a+) (%d+) (%d+):(%d+):(%d+) GMT$"
  if not MONTHS[month] then return nil end
  local date = { year = year, month = MONTHS[month], day = day, hour = hour, min = minute, sec = second }
  -- os.time takes local time: what it makes of now, read as local time, tells the difference.
  local now = os.time()
  local as_local = os.date("!*t", now)
  as_local.isdst = nil
  return os.time(date) + now - os.time(as_local)
end

--- Seconds that the answer asks to wait; nil: it does not say.
function sender.retry_after(value)
  if not value then return nil end
  if value:find "^%d+$" then return tonumber(value) end
  local at = parse_date(value)
  return at and math.max(at - os.time(), 0) or nil
end

local function post(options, path, body)
  local answer, size = {}, 0
  local headers = { ["content-type"] = options.content_type, ["content-length"] = #body }
  for name, value in pairs(options.headers) do headers[name] = value end
  local ok, status, answer_headers = http.request {
    url = options.endpoint .. path,
    method = "POST",
    headers = headers,
    source = ltn12.source.string(body),
    sink = function(chunk)
      size = size + #(chunk or "")
      if chunk and size <= MAX_ANSWER then answer[#answer + 1] = chunk end
      return 1
    end,
    create = socket.tcp,
  }
  if not ok then return nil, tostring(status) end
  return status, table.concat(answer), answer_headers
end

--- One attempt: "sent" and the answer; "refused" and why; or "failed", why, and the seconds to wait if said.
local function attempt(options, path, body)
  -- In time: true and what post returns; else false and the record of the time-out.
  local in_time, status, answer, headers = co.with_timeout(options.timeout, post, options, path, body)
  if not in_time then return "failed", "time-out" end
  if not status then return "failed", answer end
  if status >= 200 and status < 300 then return "sent", answer end
  local why = "HTTP " .. status
  if RETRYABLE[status] then return "failed", why, sender.retry_after(headers["retry-after"]) end
  return "refused", why
end

--- Sends a body until it was taken or refused, or `options.max_elapsed` seconds have passed.
---@param options table  # endpoint, content_type, headers, timeout, max_elapsed
---@param path string
---@param body string
---@param on_retry fun(why: string)
---@return "sent" | "refused" | "failed" outcome
---@return string answer  # or why not
function sender.send(options, path, body, on_retry)
  local began, backoff = co.now(), FIRST_BACKOFF
  while true do
    local outcome, answer, wait = attempt(options, path, body)
    if outcome ~= "failed" then return outcome, answer end
    wait = wait or math.random() * backoff
    if co.now() - began + wait > options.max_elapsed then return "failed", answer end
    on_retry(answer)
    co.sleep(wait)
    backoff = math.min(backoff * 2, MAX_BACKOFF)
  end
end

return sender
