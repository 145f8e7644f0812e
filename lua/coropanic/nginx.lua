--- nginx with lua-nginx-module: requests whose handlers run as tasks (docs/nginx.md). Load it in
--- init_by_lua, before code that keeps ngx.exit, ngx.thread.kill and their like in variables of its own.

local ngx = rawget(_G, "ngx")
if type(ngx) ~= "table" or not ngx.thread then
  error("coropanic.nginx works in nginx only: require it in its Lua code", 0)
end

local compat = require "coropanic.guest.compat"
local port = require "coropanic.guest.port"
local co = require "coropanic"

local nginx = {}

local function is_callable(value)
  local meta = compat.getmetatable(value)
  return type(value) == "function" or type(meta) == "table" and rawget(meta, "__call") ~= nil
end

--- Ends the request whose handler has failed. What was begun can only be cut off.
local function refuse()
  if ngx.get_phase() == "timer" then return end
  return ngx.exit(ngx.headers_sent and ngx.ERROR or ngx.HTTP_INTERNAL_SERVER_ERROR)
end

local function answer(ok, ...)
  if ok then return ... end
  return refuse()
end

--- Runs `fn(...)` as the main task of the request, and waits for all its tasks: for rewrite_by_lua,
--- access_by_lua and content_by_lua, and for the functions of timers. Its name is the phase.
---
--- If it panics, the panic is reported, once, to the handler of co.on_panic or the error log, and the
--- client gets status 500; if the response has begun, it is cut off.
---@param fn fun(...): ...
---@return any ...  # its results
function nginx.serve(fn, ...)
  if not is_callable(fn) then
    error(("bad argument #1 to 'serve' (function expected, got %s)"):format(type(fn)), 2)
  end
  return answer(port.serve(fn, ...))
end

--- For log_by_lua: runs the calls that are still deferred, of requests that nginx has ended by itself, as
--- it does when the client has gone; and reports the panics for which nobody has come. Nothing may
--- suspend there.
---@return boolean any  # whether tasks were alive
function nginx.log() return port.log() end

--- Writes a panic's report, or any text, to the error log, in pieces that nginx does not cut off: for
--- handlers of co.on_panic. Without a handler this is done by itself.
---@param record any
function nginx.report(record) return port.report(tostring(record)) end

--- The value of the header `traceparent` for what the running code sends: for proxy_set_header, or in a
--- response.
---@return string
function nginx.traceparent() return co.trace.inject().traceparent end

return nginx
