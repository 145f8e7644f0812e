--- From a request to an answer: which function it is for, and what becomes of its panics.

local cjson = require "cjson.safe"
local co = require "coropanic"
local service = require "service"
local suppliers = require "suppliers"

-- The panics that are the client's to mend, by error code. Any other is a fault of ours: 500.
local STATUS = {
  BODY_INVALID = 400, TOKEN_MISSING = 401, TOKEN_EXPIRED = 401, TOKEN_UNKNOWN = 401, SKU_UNKNOWN = 404,
  ROUTE_UNKNOWN = 404, METHOD_NOT_ALLOWED = 405, RATE_LIMITED = 429, SLOTS_EXHAUSTED = 503,
  BREAKER_OPEN = 503, BULKHEAD_FULL = 503, ["coropanic.timeout"] = 504,
}

---@class Gateway
---@field connections integer  # open
---@field requests integer     # answered
---@field stop fun(reason: string)

local routes = {}

local function bearer(request)
  local header = request.headers.authorization
  return type(header) == "string" and header:match("^[Bb]earer +(%S+)$") or nil
end

-- By method and pattern of the path; what the pattern captures is passed on.
local TABLE = {
  { "GET", "^/quote/(%d%d?%d?%d?%d?%d?)$", function(_, request, sku)
    return service.quote(bearer(request), tonumber(sku))
  end },
  { "GET", "^/offers/(%d%d?%d?)$", function(_, request, sku)
    return service.offers(bearer(request), tonumber(sku))
  end },
  { "POST", "^/quotes$", function(_, request)
    local body = cjson.decode(request.body)
    return service.quotes(bearer(request), type(body) == "table" and body.skus)
  end },
  { "GET", "^/trace$", function() -- what we would send to a server of our own
    return 200, { headers = co.trace.inject {} }
  end },
  { "GET", "^/stats$", function(gateway)
    return 200, {
      slots = service.slots(), connections = gateway.connections, requests = gateway.requests,
      suppliers = suppliers.ledger(), tasks = co.stats(),
    }
  end },
}

--- Adds a route that only some servers have.
---@param method string
---@param pattern string  # of the path
---@param handler fun(gateway: Gateway, request: Request, captured: string): integer, table
function routes.add(method, pattern, handler) table.insert(TABLE, { method, pattern, handler }) end

local function find(request)
  local allowed = {}
  local method = request.method == "HEAD" and "GET" or request.method
  for _, route in ipairs(TABLE) do
    local captured = request.path:match(route[2])
    if captured then
      if route[1] == method then
        return route[3], captured
      end
      allowed[#allowed + 1] = route[1]
    end
  end
  if #allowed > 0 then
    co.panic {
      code = "METHOD_NOT_ALLOWED", message = request.method .. " is not for this path",
      headers = { Allow = table.concat(allowed, ", ") },
    }
  end
  co.panic { code = "ROUTE_UNKNOWN", message = "there is nothing here" }
end

-- Deferred: makes a panic on its way an answer.
local function answer_panic()
  local value, record = co.recover()
  if record then
    local refusal = type(value) == "table" and value or {} -- as find and service.lua raise them
    co.set_results(STATUS[record.error_code] or 500, {
      error_code = record.error_code, message = refusal.message or record.message, trace_id = record.trace_id,
    }, refusal.headers)
  end
end

--- Answers a request; whatever panics in it becomes a JSON error with the trace id.
---@type fun(gateway: Gateway, request: Request): integer, table, table<string, string>?
routes.answer = co.func(function(gateway, request)
  co.defer(answer_panic)
  local handler, captured = find(request)
  local status, answer = handler(gateway, request, captured)
  answer.trace_id = co.current().trace_id
  return status, answer
end)

return routes
