--- The mesh's normaliser in nginx, over libcoropanic_mesh.so: docs/mesh.md, "nginx", is the manual.
---
--- nginx sends a response's headers before it reads the body. Headers that depend on the body so need two
--- passes: an inner server normalises, and a front, to which the clients connect, adds the headers. The inner
--- server sends nothing of an error response before its record is made, and leaves what the front has to know
--- in a shared dictionary, under the id of the front's request.

local ffi = require "ffi"

ffi.cdef [[
typedef struct cp_mesh_text { const char *data; size_t size; } cp_mesh_text;
typedef struct cp_mesh cp_mesh;
size_t cp_mesh_size(void);
cp_mesh *cp_mesh_init(void *memory, const char *config, size_t config_size, char *error, size_t error_size);
typedef struct cp_mesh_trace {
  uint8_t trace_id[16];
  uint64_t span_id;
  uint8_t flags;
  bool restarted;
  char traceparent[56];
  char tracestate[513];
} cp_mesh_trace;
bool cp_mesh_continue(cp_mesh *mesh, cp_mesh_trace *trace, const cp_mesh_text *traceparents,
                      size_t traceparent_count, const cp_mesh_text *tracestates, size_t tracestate_count);
typedef struct cp_mesh_response {
  uint32_t status;
  cp_mesh_text service;
  cp_mesh_text content_type, content_encoding;
  cp_mesh_text grpc_status, grpc_message;
  cp_mesh_text body;
  bool body_cut;
  uint64_t time_ns;
  const cp_mesh_trace *trace;
} cp_mesh_response;
typedef struct cp_mesh_result {
  bool sets_headers;
  bool replaces_body;
  char error_code[129];
  char error_hash[17];
  cp_mesh_text body;
  cp_mesh_text record;
} cp_mesh_result;
bool cp_mesh_wants(const cp_mesh *mesh, uint32_t status, cp_mesh_text grpc_status);
void cp_mesh_normalise(cp_mesh *mesh, const cp_mesh_response *response, cp_mesh_result *result);
]]

--- Bytes of a body that are read: CP_MESH_MAX_BODY.
local MAX_BODY = 65536

--- What the front has to know waits here, for so many seconds if the front never asks.
local DICTIONARY, KEPT_SECONDS = "coropanic_mesh", 60

--- Tells the inner server the id of the front's request.
local ID_HEADER = "x-coropanic-mesh"

local ERROR_SIZE = 256

local normalise = {}

--- The worker's handle, and what its calls write to. A call never waits, so requests do not meet in them.
local library, mesh, memory
local trace, result = ffi.new "cp_mesh_trace", ffi.new "cp_mesh_result"

--- Makes the worker's handle. For `init_by_lua_block`: an error keeps nginx from starting.
---@param options { library: string, configuration: string? }  # the path of libcoropanic_mesh.so; JSON
function normalise.setup(options)
  local path, configuration = options.library, options.configuration or ""
  if type(path) ~= "string" then
    error("setup: \"library\": expected the path of libcoropanic_mesh.so, got " .. type(path), 2)
  elseif type(configuration) ~= "string" then
    error("setup: \"configuration\": expected JSON as a string, got " .. type(configuration), 2)
  elseif not ngx.shared[DICTIONARY] then
    error(("setup: expected lua_shared_dict %s 1m; in nginx's configuration"):format(DICTIONARY), 2)
  end
  library = ffi.load(path)
  memory = ffi.new("uint64_t[?]", math.ceil(tonumber(library.cp_mesh_size()) / 8))
  local message = ffi.new("char[?]", ERROR_SIZE)
  mesh = library.cp_mesh_init(memory, configuration, #configuration, message, ERROR_SIZE)
  if mesh == nil then error(ffi.string(message), 2) end
end

--- A header's values, as often as the request has it.
---@return ffi.cdata* texts, integer count  # which point into the strings of `value`
local function texts_of(value)
  local values = type(value) == "table" and value or { value }
  local texts = ffi.new("cp_mesh_text[?]", #values)
  for i, text in ipairs(values) do
    texts[i - 1].data, texts[i - 1].size = text, #text
  end
  return texts, #values
end

--- Reads the request's trace into `trace`.
---@return boolean  # false if the system has no random numbers
local function read_trace()
  local headers = ngx.req.get_headers(0)
  local parent, state = headers.traceparent, headers.tracestate
  local parents, parent_count = texts_of(parent)
  local states, state_count = texts_of(state)
  return library.cp_mesh_continue(mesh, trace, parents, parent_count, states, state_count)
end

local function replace_request_header(name, value)
  ngx.req.clear_header(name)
  if value ~= "" then ngx.req.set_header(name, value) end
end

--- Continues the request's trace, or begins one. For the front's `access_by_lua_block`.
function normalise.request()
  if read_trace() then
    replace_request_header("traceparent", ffi.string(trace.traceparent))
    replace_request_header("tracestate", ffi.string(trace.tracestate))
  end
  -- The variable is another one each time that it is read.
  ngx.ctx.coropanic_mesh_id = ngx.var.request_id
  replace_request_header(ID_HEADER, ngx.ctx.coropanic_mesh_id)
end

--- Adds the headers of an error response. For the front's `header_filter_by_lua_block`.
function normalise.response()
  local dictionary, id = ngx.shared[DICTIONARY], ngx.ctx.coropanic_mesh_id
  local told = id and dictionary:get(id)
  if not told then return end
  dictionary:delete(id)
  local length, is_record, code, hash = told:match "^(%S+) (%S+) (%S+) (%S+)$"
  if code ~= "-" then
    ngx.header["x-error-code"], ngx.header["x-error-hash"] = code, hash
  end
  if is_record == "true" then ngx.header.content_type = "application/json" end
  if length ~= "-" then ngx.header.content_length = length end
end

--- A header of the response, as a string; of several the first.
local function response_header(name)
  local value = ngx.header[name]
  if type(value) == "table" then value = value[1] end
  return value and tostring(value) or ""
end

--- Normalises the response, and tells the front.
---@param state table
---@param body string  # its first bytes, or all
---@param is_whole boolean
---@return string  # what is to be sent instead
local function finish(state, body, is_whole)
  local service = ngx.var.coropanic_service or ""
  local texts = {
    service = service ~= "" and service or ngx.var.host or "",
    content_type = state.content_type, content_encoding = state.content_encoding,
    grpc_status = state.grpc_status, grpc_message = state.grpc_message, body = body,
  }
  local response = ffi.new("cp_mesh_response", { status = ngx.status, body_cut = #body > MAX_BODY })
  for name, text in pairs(texts) do
    response[name].data, response[name].size = text, #text
  end
  response.body.size = math.min(#body, MAX_BODY)
  response.time_ns = ffi.cast("uint64_t", ngx.now() * 1000) * 1000000
  if read_trace() then response.trace = trace end
  library.cp_mesh_normalise(mesh, response, result)

  -- A record is one line: what a service passed on may have lines between its members.
  ngx.var.coropanic_record = ffi.string(result.record.data, result.record.size):gsub("[\r\n]+", " ")
  state.is_replaced = result.replaces_body
  local out = result.replaces_body and ffi.string(result.body.data, result.body.size) or body
  local length = (result.replaces_body or is_whole) and not state.is_bare and #out or state.content_length
  if state.id then
    local has_headers = result.sets_headers
    ngx.shared[DICTIONARY]:set(state.id, ("%s %s %s %s"):format(
      length or "-", tostring(result.replaces_body and #out > 0),
      has_headers and ffi.string(result.error_code) or "-",
      has_headers and ffi.string(result.error_hash) or "-"), KEPT_SECONDS)
  end
  return out
end

--- Looks whether the response is an error. For the inner server's `header_filter_by_lua_block`.
function normalise.begin()
  local grpc_status = response_header "grpc-status"
  local texts = texts_of(grpc_status)
  if not library.cp_mesh_wants(mesh, ngx.status, texts[0]) then return end
  local state = {
    id = ngx.var["http_" .. ID_HEADER:gsub("-", "_")],
    content_type = response_header "content-type", content_encoding = response_header "content-encoding",
    content_length = ngx.header.content_length,
    grpc_status = grpc_status, grpc_message = response_header "grpc-message",
    is_bare = ngx.req.get_method() == "HEAD", -- has no body, and so no call of the body's filter
    parts = {}, size = 0,
  }
  if state.is_bare then
    finish(state, "", true)
  else
    ngx.ctx.coropanic_mesh = state
    ngx.header.content_length = nil
  end
end

--- Keeps the parts of an error's body until there are enough of them, then sends what takes their place. For
--- the inner server's `body_filter_by_lua_block`.
function normalise.body()
  local state = ngx.ctx.coropanic_mesh
  if not state then return end
  if state.is_finished then
    if state.is_replaced then ngx.arg[1] = nil end
    return
  end
  local part, is_end = ngx.arg[1], ngx.arg[2]
  if #part > 0 then
    state.parts[#state.parts + 1] = part
    state.size = state.size + #part
  end
  if not is_end and state.size <= MAX_BODY then
    ngx.arg[1] = nil
    return
  end
  state.is_finished = true
  ngx.arg[1] = finish(state, table.concat(state.parts), is_end)
  state.parts = nil
end

return normalise
