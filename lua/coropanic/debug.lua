--- The Trace Explorer: looks into the running program over HTTP, at its tasks, who waits for whom, how panics
--- travelled, and which tasks were cancelled without anybody looking. docs/explorer.md.

local co = require "coropanic"
local access = require "coropanic.debug.access"
local panics = require "coropanic.debug.panics"
local routes = require "coropanic.debug.routes"
local server = require "coropanic.debug.server"
local state = require "coropanic.debug.state"

local debug_module = {}

debug_module.CONTRACT = state.CONTRACT

local DEFAULT_PORT = 6669
local MAX_TITLE = 200 -- bytes

co.ended() -- from now on the tasks that end are kept

--- Returns the last tasks that have ended, at most 256, the oldest end first, and how many had to make room
--- for them. The first call, or the loading of this module, begins to keep them.
---@return coropanic.ended[] tasks, integer forgotten
function debug_module.ended() return co.ended() end

-- Options ---------------------------------------------------------------------------------------------------

local function number_of(call) return call == "handler" and 2 or 1 end

local function refuse(call, name, expected, value)
  local message = "bad argument #%d to '%s' (option '%s': %s expected, got %s)"
  local got = type(value) == "number" and tostring(value) or type(value)
  error(message:format(number_of(call), call, name, expected, got), 4)
end

local CHECKS = {
  host = { "name or address", function(value)
    return type(value) == "string" and value:find "^[%w.:*_-]+$" ~= nil
  end },
  port = { "integer from 0 to 65535", function(value)
    return math.type(value) == "integer" and value >= 0 and value <= 65535
  end },
  token = { "string of 1 to 256 characters A-Z a-z 0-9 . _ ~ -", function(value)
    return type(value) == "string" and #value <= 256 and value:find "^[%w._~-]+$" ~= nil
  end },
  title = { "string of at most 200 bytes", function(value)
    return type(value) == "string" and #value <= MAX_TITLE
  end },
}

local function check(call, options, names)
  if options ~= nil and type(options) ~= "table" then
    local message = "bad argument #%d to '%s' (table expected, got %s)"
    error(message:format(number_of(call), call, type(options)), 3)
  end
  for name, value in pairs(options or {}) do
    if not names[name] then
      local message = "bad argument #%d to '%s' (unknown option '%s')"
      error(message:format(number_of(call), call, tostring(name)), 3)
    end
    if not CHECKS[name][2](value) then refuse(call, name, CHECKS[name][1], value) end
  end
  return options or {}
end

-- Listening -------------------------------------------------------------------------------------------------

local LISTEN_OPTIONS = { host = true, port = true, token = true, title = true }

--- Starts a server in tasks that count neither for a deadlock nor for the end of a run. Everything is only
--- read.
---@param options { host: string?, port: integer?, token: string?, title: string? }?
---@return coropanic.debug.server
function debug_module.listen(options)
  options = check("listen", options, LISTEN_OPTIONS)
  local host, port = options.host or "127.0.0.1", options.port or DEFAULT_PORT
  local made ---@type coropanic.debug.server?
  local function is_own(id) return made ~= nil and made.tasks[id] ~= nil end
  local view = { source = state.new(options.title or "coropanic", is_own), rules = {} }
  local stop = panics.watch()
  local function make_rules(bound_host, bound_port)
    return { token = options.token, is_host = access.hosts(bound_host, bound_port) }
  end
  local err
  made, err = server.start({ host = host, port = port, token = options.token }, view, make_rules, stop)
  if not made then
    stop()
    error(("coropanic.debug: can not listen at %s:%d: %s"):format(host, port, err), 2)
  end
  return made
end

-- Hosts with a server of their own --------------------------------------------------------------------------

local HANDLER_OPTIONS = { token = true, title = true }

local source ---@type coropanic.debug.source?

--- Answers one request of a host that speaks HTTP itself, and decides itself who may ask. `headers` have
--- lower-case names. If the response has a `stream`, it replaces the body: call it for each next part, in a
--- task, until nil.
---@param request coropanic.debug.request
---@param options { token: string?, title: string? }?
---@return coropanic.debug.response
function debug_module.handler(request, options)
  if type(request) ~= "table" then
    error(("bad argument #1 to 'handler' (table expected, got %s)"):format(type(request)), 2)
  end
  for _, name in ipairs { "method", "path" } do
    if type(request[name]) ~= "string" then
      local message = "bad argument #1 to 'handler' (field '%s': string expected, got %s)"
      error(message:format(name, type(request[name])), 2)
    end
  end
  options = check("handler", options, HANDLER_OPTIONS)
  if not source then
    panics.watch()
    source = state.new("coropanic", function() return false end)
  end
  source.title = options.title or source.title
  local path, query = request.path:match "^([^?]*)%??(.*)$"
  return routes.answer({ source = source, rules = { token = options.token } }, {
    method = request.method, path = path, query = request.query or query ~= "" and query or nil,
    headers = request.headers or {},
  })
end

return debug_module
