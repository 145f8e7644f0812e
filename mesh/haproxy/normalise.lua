--- The mesh's normaliser in HAProxy, for `lua-load-per-thread`: docs/mesh.md, "HAProxy", is the manual.
--- The environment's COROPANIC_MESH is the path of a file with the configuration, JSON.

local path = os.getenv "COROPANIC_MESH"
local configuration = ""
if path then
  local file = assert(io.open(path, "rb"))
  configuration = file:read "a"
  file:close()
end
local mesh = require("coropanic_mesh").new(configuration)

--- What HAProxy says of a response's length and type is not copied to the answer in its place.
local REPLACED = { ["content-length"] = true, ["transfer-encoding"] = true, ["content-type"] = true }

--- A header's values as a list from 1, in their order. HAProxy counts from 0.
local function values_of(headers, name)
  local values, given = {}, headers[name] or {}
  for i = 0, #given do values[i + 1] = given[i] end
  return values
end

local function replace_request_header(txn, name, value)
  txn.http:req_del_header(name)
  if value ~= "" then txn.http:req_add_header(name, value) end
end

--- Continues the request's trace, or begins one.
core.register_action("coropanic_request", { "http-req" }, function(txn)
  local headers = txn.http:req_get_headers()
  local parent, state = mesh:continue(values_of(headers, "traceparent"), values_of(headers, "tracestate"))
  if parent then
    replace_request_header(txn, "traceparent", parent)
    replace_request_header(txn, "tracestate", state)
    txn:set_var("txn.coropanic_traceparent", parent)
  end
  txn:set_var("txn.coropanic_host", headers.host and headers.host[0] or "")
end)

--- Answers with the record, or nothing, in the place of the service's body.
local function answer(txn, status, body)
  local reply = txn:reply { status = status, body = body }
  local headers = txn.http:res_get_headers()
  for name in pairs(headers) do
    for _, value in ipairs(REPLACED[name] and {} or values_of(headers, name)) do
      reply:add_header(name, value)
    end
  end
  if body ~= "" then reply:add_header("content-type", "application/json") end
  txn:done(reply)
end

--- Normalises an error, whose body HAProxy has waited for, and sends what takes its place.
core.register_action("coropanic_response", { "http-res" }, function(txn)
  local headers = txn.http:res_get_headers()
  local function header(name) return headers[name] and headers[name][0] or "" end
  local status = txn.f:status()
  if not mesh:wants(status, header "grpc-status") then return end
  local now = core.now()
  local body = txn.f:res_body() or ""
  local result = mesh:normalise {
    status = status, body = body, body_cut = txn.f:res_body_size() > #body,
    service = txn:get_var "txn.coropanic_service" or txn:get_var "txn.coropanic_host",
    content_type = header "content-type", content_encoding = header "content-encoding",
    grpc_status = header "grpc-status", grpc_message = header "grpc-message",
    traceparent = txn:get_var "txn.coropanic_traceparent", time = now.sec + now.usec / 1000000,
  }
  -- A record is one line: what a service passed on may have lines between its members.
  txn:set_var("txn.coropanic_record", (result.record:gsub("[\r\n]+", " ")))
  if result.sets_headers then
    txn.http:res_set_header("x-error-code", result.error_code)
    txn.http:res_set_header("x-error-hash", result.error_hash)
  end
  if result.replaces_body then answer(txn, status, result.body) end
end)
