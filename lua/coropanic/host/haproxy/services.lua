--- What coropanic.haproxy returns: services whose handlers run as tasks, and tasks that use what waits in
--- HAProxy.
---
---     a service ─▶ its coroutine of HAProxy waits ─▶ a task runs the handler
---                  and makes the applet's calls  ◀── applet:send, applet:receive
---
--- In a coroutine that HAProxy has not made, its functions that wait do nothing at all. So tasks leave them
--- to coroutines of HAProxy.
---
--- https://www.arpalert.org/src/haproxy-lua-api/2.6/

local co = require "coropanic"
local args = require "coropanic.guest.args"
local handler = require "coropanic.guest.handler"
local kernel = require "coropanic.guest.kernel"
local port = require "coropanic.guest.port"
local task = require "coropanic.guest.task"
local unhandled = require "coropanic.guest.unhandled"

local haproxy = {}

-- Waiting in HAProxy's coroutines --------------------------------------------------------------------------

--- A coroutine of HAProxy that waits for a task looks every so often whether that has ended: after an eighth
--- of the time that it has waited already, so that it adds little to it.
local LOOK_PART, LOOK_MIN_SECONDS, LOOK_MAX_SECONDS = 1 / 8, 0.001, 0.02

--- Waits until the task has ended, and meanwhile makes the calls that it leaves to this coroutine.
---@param calls table?  # an array of functions
local function wait_for(t, calls)
  local began = port.now()
  port.help()
  while true do
    while calls and calls[1] do
      table.remove(calls, 1)()
      port.help()
    end
    if kernel.ended(t) then return end
    local seconds = 0
    if t.status ~= "ready" then
      seconds = math.min(math.max((port.now() - began) * LOOK_PART, LOOK_MIN_SECONDS), LOOK_MAX_SECONDS)
    end
    port.sleep(seconds)
    port.help()
  end
end

--- Spawns the task that the running coroutine of HAProxy waits for.
local function spawn(options, fn, ...)
  return kernel.test(co.spawn_with(options, fn, ...))
end

local function check_outside(name)
  if co.current() then
    kernel.raise("'%s' is for coroutines of HAProxy: in a task, call the function itself", name)
  end
end

--- Runs `fn(...)` as a task and waits for its end: in services, actions and tasks of HAProxy, which may wait.
---@param fn fun(...): ...
---@return boolean ok, any ...  # true and its results, or false and the record of its panic or exit
function haproxy.call(fn, ...)
  args.callable(fn, 1, "call", select("#", ...) + 1)
  check_outside "call"
  local t = spawn({ name = "haproxy.call" }, fn, ...)
  wait_for(t)
  unhandled.give(t, "joiner")
  if t.status == "done" then return true, task.results(t) end
  return false, t.record
end

--- Calls `fn(...)` in a coroutine of HAProxy's own, and lets the running task wait for it: for core.tcp,
--- core.msleep and all else that waits in HAProxy.
---@param fn fun(...): ...
---@return any ...  # its results; its error is raised
function haproxy.await(fn, ...)
  args.callable(fn, 1, "await", select("#", ...) + 1)
  local arguments = table.pack(...)
  local results = table.pack(co.await(function(resume)
    port.want(function() resume(pcall(fn, table.unpack(arguments, 1, arguments.n))) end)
  end))
  if not results[1] then co.panic(results[2]) end
  return table.unpack(results, 2, results.n)
end

-- Services -------------------------------------------------------------------------------------------------

--- The methods of an applet that may wait, and so must be called in its own coroutine.
local WAITS = { getline = true, receive = true, send = true, start_response = true }

--- The applet as a task sees it.
---@param applet userdata
---@param calls table  # what its coroutine has to call; `ended`: that has gone, so nothing calls it any more
local function wrap_applet(applet, calls)
  local function call_there(name, method, ...)
    if calls.ended then kernel.raise("applet:%s after the end of the service", name) end
    local arguments = table.pack(...)
    return co.await(function(resume)
      calls[#calls + 1] = function() resume(method(applet, table.unpack(arguments, 1, arguments.n))) end
    end)
  end
  return setmetatable({}, {
    __index = function(_, name)
      local value = applet[name]
      if type(value) ~= "function" then return value end
      return function(_, ...)
        if WAITS[name] and co.current() then return call_there(name, value, ...) end
        return value(applet, ...)
      end
    end,
  })
end

--- The request's headers, in which HAProxy numbers the values of each from 0.
local function headers_of(applet)
  local headers = {}
  for name, values in pairs(applet.headers) do
    local count = 0
    while values[count] ~= nil do count = count + 1 end
    headers[name] = count == 1 and values[0] or table.move(values, 0, count - 1, 1, {})
  end
  return headers
end

local INTERNAL_ERROR = 500

local function answer_failure(applet, t)
  local text = "trace " .. kernel.handle(t).trace_id .. "\n"
  applet:set_status(INTERNAL_ERROR)
  applet:add_header("content-length", #text)
  applet:start_response()
  applet:send(text)
end

--- Makes a service for core.register_service(name, "http", ...): `serve(applet)` runs as a task, under the
--- trace of the request's headers, and may suspend. The response has the header `traceparent` of the task.
---
--- If it panics, the panic is reported, once, to the handler of co.on_panic or HAProxy's log, and the client
--- gets status 500; if the response has begun, that ends as it is.
---@param serve fun(applet: table)  # with the methods of HAProxy's own
---@return fun(applet: userdata)
function haproxy.http(serve)
  args.callable(serve, 1, "http", serve == nil and 0 or 1)
  return function(applet)
    local calls = {}
    local has_begun = false
    local wrapped = wrap_applet(applet, calls)
    local function start_response(...)
      has_begun = true
      return getmetatable(wrapped).__index(wrapped, "start_response")(...)
    end
    rawset(wrapped, "start_response", start_response)
    local options = { name = applet.method .. " " .. applet.path }
    local t = co.trace.continue(headers_of(applet), spawn, options, function()
      applet:add_header("traceparent", co.trace.inject().traceparent)
      serve(wrapped)
    end)
    wait_for(t, calls)
    calls.ended = true
    if unhandled.give(t, "handler") then handler.report(t.universe, t.record, t) end
    if t.status ~= "done" and not has_begun then answer_failure(applet, t) end
  end
end

return haproxy
