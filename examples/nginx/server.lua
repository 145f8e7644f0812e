--- The gateway's requests in nginx: nginx.conf calls `serve` and `log`. The routes and the business are those
--- of examples/gateway, unchanged; what is different there, HTTP and sockets, nginx does.

local nginx = require "coropanic.nginx" -- first, since it replaces functions of nginx
local answer = require "answer"
local cjson = require "cjson"
local service = require "service"
local tokens = require "tokens"

local ngx = ngx

local server = {}

---@type Gateway
local gateway = { connections = 0, requests = 0 } -- `requests` of this worker

service.report = nginx.report
tokens.connect(tonumber(os.getenv "REDIS_PORT" or 6379))

---@return Request
local function read_request()
  ngx.req.read_body()
  return {
    method = ngx.req.get_method(), path = ngx.var.uri, headers = ngx.req.get_headers(),
    body = ngx.req.get_body_data() or "",
  }
end

--- Raises if the value is none of JSON: before anything is sent.
---@param headers table<string, string>?
local function format(status, value, headers)
  return { status = status, body = cjson.encode(value) .. "\n", headers = headers or {} }
end

local function respond()
  local request = read_request()
  local response = answer.await(answer.begin(gateway, request, format), format)
  gateway.requests, gateway.connections = gateway.requests + 1, tonumber(ngx.var.connections_active)
  ngx.status = response.status
  for header, value in pairs(response.headers) do
    ngx.header[header] = value
  end
  ngx.header.content_type = "application/json"
  ngx.header.content_length = #response.body
  ngx.print(response.body)
end

--- For content_by_lua.
function server.serve() return nginx.serve(respond) end

--- For log_by_lua: what a request of a client that has gone has deferred runs there.
server.log = nginx.log

return server
