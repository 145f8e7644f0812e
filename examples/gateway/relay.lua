--- Calls others, under the trace of the request that asks for it. What the W3C's validation harness for Trace
--- Context sends is a list of such calls: https://github.com/w3c/trace-context/tree/main/test

local cjson = require "cjson.safe"
local co = require "coropanic"
local http = require "socket.http"
local ltn12 = require "ltn12"
local socket = require "coropanic.socket"

local MAX_CALLS = 16

local relay = {}

--- A list of calls as JSON. By hand, since an empty table does not say whether it was a list.
local function encode(calls)
  local items = {}
  for i, item in ipairs(calls) do
    items[i] = ('{"url":%s,"arguments":%s}'):format(cjson.encode(item.url), encode(item.arguments))
  end
  return "[" .. table.concat(items, ",") .. "]"
end

local function is_list_of_calls(list)
  if type(list) ~= "table" or #list > MAX_CALLS then return false end
  for _, item in ipairs(list) do
    local fits = type(item) == "table" and type(item.url) == "string" and item.url:find "^http://[!-~]+$"
    if not fits or not is_list_of_calls(item.arguments) then return false end
  end
  return true
end

--- Posts `arguments` as JSON. A task of its own, so the call has a span of its own.
---@return integer|string status  # or why there is none
local function call(url, arguments)
  local body = encode(arguments)
  local headers = co.trace.inject { ["content-type"] = "application/json", ["content-length"] = #body }
  local ok, status = http.request {
    url = url, method = "POST", headers = headers,
    source = ltn12.source.string(body), sink = ltn12.sink.null(),
    create = socket.tcp, -- luasocket's module, with sockets that park the task
  }
  return ok and status or tostring(status)
end

--- Makes all the calls of a JSON list of {url, arguments} at once, and returns when all have been answered.
---@param body string
---@return { url: string, status: integer|string }[]
function relay.forward(body)
  local calls = cjson.decode(body)
  if not is_list_of_calls(calls) then
    local expected = "a list of up to %d {url, arguments} was expected"
    co.panic { code = "BODY_INVALID", message = expected:format(MAX_CALLS) }
  end
  local answers = {}
  co.scope(function(scope)
    for i, item in ipairs(calls) do
      answers[i] = { url = item.url }
      scope:spawn(function() answers[i].status = call(item.url, item.arguments) end)
    end
  end)
  return answers
end

return relay
