--- What the demo sends, and what it expects back. The load and the check both follow this one list.

---@class Kind
---@field what string          # for people
---@field count integer       # 1 unless given
---@field path string?         # GET, unless there is a `body` or a `method`
---@field method string?
---@field body string?
---@field token string?
---@field trace string?        # "none": no traceparent; otherwise invalid headers, sent as they are
---@field raw string?          # the bytes to send instead, for what curl would not send
---@field status integer       # of the answers
---@field code string?         # their error_code
---@field granted integer?     # this many are answered 200 before `status` begins
---@field panics string?       # what becomes of the panic that each provokes
---@field show boolean?        # whether the demo shows one
---@field report string?       # text in the report on stderr that each causes
---@field waiting string[]?     # patterns of the tasks that the report says were waiting meanwhile

local RECOVERED = "recovered, answered"
local JOINED = "ended the request, answered, reported"
local NOT_JOINED = "ended the audit, reported"
local TOO_SLOW = "timed out, answered, reported"
local NOT_JSON = "Cannot serialise number"
local REFUSED = "the audit ledger refuses sku 666"
local POST = "POST /quotes HTTP/1.1\r\nHost: a\r\n"

---@type Kind[]
local KINDS = {
  { what = "a price", count = 120, path = "/quote/42", token = "alice", status = 200 },
  { what = "a price, without traceparent", count = 50, path = "/quote/7", token = "bob", trace = "none",
    status = 200 },
  { what = "three prices", count = 20, path = "/quotes", body = '{"skus":[1,2,3]}', token = "alice",
    status = 200 },

  { what = "an expired token", count = 40, path = "/quote/42", token = "expired", status = 401,
    code = "TOKEN_EXPIRED", panics = RECOVERED, show = true },
  { what = "an unknown token", count = 10, path = "/quote/42", token = "mallory", status = 401,
    code = "TOKEN_UNKNOWN", panics = RECOVERED },
  { what = "no token", count = 10, path = "/quote/42", status = 401, code = "TOKEN_MISSING",
    panics = RECOVERED },
  { what = "a trial's quota of 25", count = 40, path = "/quote/42", token = "trial", granted = 25,
    status = 429, code = "RATE_LIMITED", panics = RECOVERED },
  { what = "an unknown article", count = 10, path = "/quote/1000", token = "alice", status = 404,
    code = "SKU_UNKNOWN", panics = RECOVERED },
  { what = "a body that is not JSON", count = 5, path = "/quotes", body = "{", token = "alice",
    status = 400, code = "BODY_INVALID", panics = RECOVERED },
  { what = "an unknown path", count = 5, path = "/nowhere", status = 404, code = "ROUTE_UNKNOWN",
    panics = RECOVERED },
  { what = "a wrong method", count = 5, path = "/quote/42", method = "DELETE", status = 405,
    code = "METHOD_NOT_ALLOWED", panics = RECOVERED },
  { what = "a price that is nil", count = 30, path = "/quote/13", token = "alice", status = 500,
    panics = RECOVERED, show = true },

  { what = "a price that is infinite", count = 30, path = "/quote/500", token = "alice", status = 500,
    panics = JOINED, report = NOT_JSON, show = true },
  { what = "an infinite price, no traceparent", count = 10, path = "/quote/500", token = "alice",
    trace = "none", status = 500, panics = JOINED, report = NOT_JSON },
  { what = "an audit that nobody joins", count = 30, path = "/quote/666", token = "alice", status = 202,
    panics = NOT_JOINED, report = REFUSED, show = true },
  { what = "an audit, without traceparent", count = 10, path = "/quote/666", token = "alice",
    trace = "none", status = 202, panics = NOT_JOINED, report = REFUSED },

  { what = "offers of three suppliers", count = 10, path = "/offers/42", token = "alice", status = 200 },
  { what = "a price that never comes", count = 5, path = "/quote/777", token = "alice", status = 504,
    code = "coropanic.timeout", panics = TOO_SLOW, report = "timeout: context deadline exceeded", show = true,
    waiting = { 'task %d+ "connection [%d.:]+" %(parent%) waiting on join of task %d+ "GET /quote/777"' } },

  { what = "its trace, to pass on", count = 10, path = "/trace", status = 200 },
  { what = "a traceparent in capitals", count = 3, path = "/quote/42", token = "alice", status = 200,
    trace = "traceparent: 00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01" },
  { what = "a traceparent of zeros", count = 3, path = "/quote/42", token = "alice", status = 200,
    trace = "traceparent: 00-00000000000000000000000000000000-00f067aa0ba902b7-01" },
  { what = "two traceparents", count = 3, path = "/quote/42", token = "alice", status = 200,
    trace = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n"
      .. "traceparent: 00-5bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" },

  { what = "no HTTP at all", status = 400, raw = "hello?\r\n\r\n" },
  { what = "binary rubbish", status = 400, raw = "\22\3\1\0\165\1\0\0\161\3\3\r\n\r\n" },
  { what = "no Host", status = 400, raw = "GET /stats HTTP/1.1\r\n\r\n" },
  { what = "two Hosts", status = 400, raw = "GET /stats HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n" },
  { what = "a space before the colon", status = 400, raw = "GET /stats HTTP/1.1\r\nHost : a\r\n\r\n" },
  { what = "a continued header", status = 400, raw = "GET /stats HTTP/1.1\r\nHost: a\r\n b\r\n\r\n" },
  { what = "a NUL in a header", status = 400, raw = "GET /stats HTTP/1.1\r\nHost: a\0b\r\n\r\n" },
  { what = "lines that end in LF", status = 400, raw = "GET /stats HTTP/1.1\nHost: a\n\n" },
  { what = "two lengths", status = 400, raw = POST .. "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx" },
  { what = "a negative length", status = 400, raw = POST .. "Content-Length: -1\r\n\r\n" },
  { what = "a body too large", status = 413, raw = POST .. "Content-Length: 99999999999999999999\r\n\r\n" },
  { what = "a path too long", status = 414, raw = "GET /" .. ("x"):rep(4000) .. " HTTP/1.1\r\n\r\n" },
  { what = "headers too large", status = 431, raw = POST .. "X: " .. ("x"):rep(20000) .. "\r\n\r\n" },
  { what = "too many headers", status = 431, raw = POST .. ("X: y\r\n"):rep(200) .. "\r\n" },
  { what = "a chunked body", status = 501, raw = POST .. "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" },
  { what = "HTTP/2", status = 505, raw = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" },
}

-- The same ids in every run: the check needs to know what the load has sent.
local function hex(digits)
  local parts = {}
  for i = 1, digits // 8 do
    parts[i] = ("%08x"):format(math.random(1, 0xffffffff))
  end
  return table.concat(parts)
end

---@class Planned
---@field kind Kind
---@field file string          # where its answer goes
---@field trace_id string?     # what it sends, when that is valid
---@field parent_id string?

---@return Planned[] requests, Kind[] kinds
local function plan()
  math.randomseed(2025)
  local requests = {}
  for _, kind in ipairs(KINDS) do
    kind.count = kind.count or 1
    if kind.raw then
      kind.code = "HTTP_" .. kind.status
    end
    for _ = 1, kind.count do
      local planned = { kind = kind, file = ("%04d"):format(#requests + 1) }
      if not kind.raw and not kind.trace then
        planned.trace_id, planned.parent_id = hex(32), hex(16)
      end
      requests[#requests + 1] = planned
    end
  end
  -- Shuffled, so that every kind of request is under way at the same time.
  for i = #requests, 2, -1 do
    local j = math.random(i)
    requests[i], requests[j] = requests[j], requests[i]
  end
  return requests, KINDS
end

return { requests = plan, TRACESTATE = "shop=5e,other@vendor=a b" }
