--- Prosody hosts the scheduler: modules of the XMPP server spawn tasks, and its event loop (net.server) gives
--- them their turn. Prosody's handlers wait for tasks by its own util.async, so the server goes on meanwhile.
---
---     net.server ─▶ co.pollfd() is readable, or the timer is due ─▶ turn() ─▶ co.step() ─▶ timer anew
---
--- https://prosody.im/doc/developers

local host = rawget(_G, "prosody")
if type(host) ~= "table" or not host.events then
  error("coropanic.prosody works in Prosody only: require it in one of its modules", 0)
end

local co = require "coropanic"
local async = require "util.async"
local errors = require "util.error"
local http = require "net.http"
local log = require "util.logger".init "coropanic"
local promises = require "util.promise"
local server = require "net.server"
local timer = require "util.timer"

local prosody = {}

--- Raises an error at the line of the function's caller, unless the argument is right.
local function expect(is_right, argument, name, what, value)
  if not is_right then
    error(("bad argument #%d to '%s' (%s expected, got %s)"):format(argument, name, what, type(value)), 3)
  end
end

local function is_callable(value)
  return type(value) == "function" or (getmetatable(value) or {}).__call ~= nil
end

-- Tasks run for at most this long before sockets are looked at again.
local TURN_MS = 5

-- How long a server that stops waits for deferred calls; after as long, Prosody cuts connections.
local STOP_SECONDS = 5
local STOP_LOOK_SECONDS = 0.01

-- The loop -------------------------------------------------------------------------------------------------

--- Task -> what to call when it has ended.
local endings = {}

--- What to call after the step, in order: handlers of Prosody go on there, outside all tasks.
local due = {}

local function on_end(_, task)
  due[#due + 1] = endings[task]
  endings[task] = nil
end

--- The timer of the next turn, if it is known when that is.
local next_turn

local function turn()
  if next_turn then
    timer.stop(next_turn)
    next_turn = nil
  end
  local more = co.step(TURN_MS / 1000)
  local now_due = due
  due = {}
  for _, go_on in ipairs(now_due) do
    go_on()
  end
  local seconds = more and 0 or co.timeout()
  if seconds then
    next_turn = timer.add_task(seconds, function()
      next_turn = nil
      turn()
    end)
  end
end

--- Cancels every task, and waits until their deferred calls have run. Prosody has told its sessions by then,
--- and ends its loop afterwards.
local function stop_all()
  for _, task in ipairs(co.tasks()) do
    task:cancel "Prosody stops"
  end
  turn()
  if #co.tasks() == 0 or not async.ready() then
    return
  end
  local wait, done = async.waiter()
  local finish = co.now() + STOP_SECONDS
  timer.add_task(0, function()
    if #co.tasks() > 0 and co.now() < finish then
      return STOP_LOOK_SECONDS
    end
    done()
  end)
  wait()
end

local function report(record)
  log("error", "%s", tostring(record))
end

local function drive()
  server.watchfd(co.pollfd(), turn)
  turn()
end

local driven = false

--- Begins to drive the loop, once. A server that daemonizes forks when it has started, and the child has
--- another descriptor to watch.
local function ensure_driven()
  if driven then
    return
  end
  driven = true
  co.observe({ "end" }, on_end)
  local handler = co.on_panic(report)
  if handler then
    co.on_panic(handler)
  end
  host.events.add_handler("server-stopping", stop_all, -1000)
  if host.start_time then
    drive()
  else
    host.events.add_handler("server-started", drive, -1000)
  end
end

-- The tasks of a module ------------------------------------------------------------------------------------

---@class coropanic.prosody.tasks
---@field module table  # Prosody's API of the module
---@field context userdata  # all its tasks have it
---@field cancel fun(cause: any)  # ends it
---@field stopped boolean
local tasks = {}
tasks.__index = tasks
tasks.__name = "tasks of a module"

--- The events of hosts and of the server that tell us when a module is unloaded.
local watched = setmetatable({}, { __mode = "k" })

--- Stops the tasks of a module when Prosody unloads or reloads it: it then removes the module's items.
local function stop_with(module)
  local events = (host.hosts[module.host] or host).events
  if not watched[events] then
    watched[events] = true
    events.add_handler("item-removed/coropanic-tasks", function(event)
      event.item:stop "the module was unloaded"
    end)
  end
end

--- Returns the place for the tasks of one module, and makes Prosody's loop drive them. They are cancelled
--- when the module is unloaded or reloaded, and when the server stops.
---
--- Panics of tasks that nobody joins go to Prosody's log, at the level "error", unless co.on_panic has set
--- another handler before.
---@param module table  # the `module` of the calling module
---@return coropanic.prosody.tasks
function prosody.start(module)
  local is_module = type(module) == "table" and type(module.add_item) == "function"
  expect(is_module, 1, "start", "a module's own 'module'", module)
  ensure_driven()
  local context, cancel = co.context.with_cancel(co.context.background())
  local self = { module = module, context = context, cancel = cancel, stopped = false }
  setmetatable(self, tasks)
  stop_with(module)
  module:add_item("coropanic-tasks", self)
  return self
end

--- Cancels the tasks of the module; their deferred calls run. What is spawned from now on never begins.
---@param reason any
function tasks:stop(reason)
  self.stopped = true
  self.cancel(reason or "stopped")
end

--- Spawns a task of the module, named after it. From a handler of Prosody that belongs to no task, it has a
--- trace of its own.
---@param fn fun(...): ...
---@return userdata task
function tasks:spawn(fn, ...)
  expect(is_callable(fn), 1, "spawn", "function", fn)
  return self:spawn_with({}, fn, ...)
end

--- The same, with the options of co.spawn_with. With an option `context`, the task does not end with the
--- module, unless that context does.
---@param options table
---@param fn fun(...): ...
---@return userdata task
function tasks:spawn_with(options, fn, ...)
  expect(type(options) == "table", 1, "spawn_with", "table", options)
  expect(is_callable(fn), 2, "spawn_with", "function", fn)
  local all = { name = self.module.name, context = self.context }
  for name, value in pairs(options) do
    all[name] = value
  end
  return co.spawn_with(all, fn, ...)
end

--- Returns a function by which a handler of Prosody waits for the end of a task; the server goes on.
---@return fun(task: userdata) wait_for
local function prepare_to_wait()
  local wait, done = async.waiter()
  return function(task)
    endings[task] = done
    wait()
  end
end

--- Runs `fn(...)` as a task of the module and waits for its end. For handlers of Prosody that may wait, which
--- those of stanzas and of HTTP requests may: https://prosody.im/doc/developers/util/async
---@param fn fun(...): ...
---@return boolean ok, any ...  # true and the results; false if it has ended in any other way
function tasks:call(fn, ...)
  expect(is_callable(fn), 1, "call", "function", fn)
  if co.current() then
    error("'call' is for Prosody's handlers: in a task, call the function itself", 2)
  end
  local wait_for = prepare_to_wait()
  local results = table.pack(false)
  wait_for(self:spawn(function(...)
    results = table.pack(true, fn(...))
  end, ...))
  return table.unpack(results, 1, results.n)
end

-- HTTP -----------------------------------------------------------------------------------------------------

--- Makes a handler for a route of module:provides("http", ...) of one that may suspend: it runs as a task,
--- under the trace of the request's headers, and may return what handlers of Prosody may.
---
--- The response has the header `traceparent` of the task. If the handler panics, the client gets status 500;
--- if the module is stopped, 503. If the client goes away, the task is cancelled.
---@param handler fun(event: table, ...): any
---@return fun(event: table, ...): any
function tasks:http(handler)
  expect(is_callable(handler), 1, "http", "function", handler)
  return function(event, ...)
    local wait_for = prepare_to_wait()
    local request, response = event.request, event.response
    local path = request.path:match "^[^?]*"
    local options = { name = ("%s: %s %s"):format(self.module.name, request.method, path) }
    local result
    local task = co.trace.continue(request.headers, self.spawn_with, self, options, function(...)
      response.headers.traceparent = co.trace.inject().traceparent
      result = handler(event, ...)
    end, ...)
    function response.on_destroy()
      if co.current() ~= task then -- else it has sent the response itself
        task:cancel "the client has gone"
      end
    end
    wait_for(task)
    if task:status() == "done" then
      return result
    end
    return errors.new { code = self.stopped and 503 or 500, text = "trace " .. task.trace_id }
  end
end

--- Waits for a promise of Prosody (util.promise), in a task.
---@param promise table
---@return any value  # what it was resolved with; what it was rejected with is raised
function prosody.await(promise)
  expect(promises.is_promise(promise), 1, "await", "promise", promise)
  local ok, value = co.await(function(resume)
    promise:next(
      function(result) resume(true, result) end,
      function(reason) resume(false, reason) end)
  end)
  if not ok then
    co.panic(value)
  end
  return value
end

--- Sends an HTTP request by Prosody's client, with the task's trace in its headers, and waits for the
--- response.
---@param url string
---@param options table?  # those of Prosody's net.http: method, headers, body, ...
---@return table? response, string? err  # with code, headers, body; nil and the reason if there is none
function prosody.request(url, options)
  expect(type(url) == "string", 1, "request", "string", url)
  expect(options == nil or type(options) == "table", 2, "request", "table", options)
  local all = {}
  for name, value in pairs(options or {}) do
    all[name] = value
  end
  local headers = {}
  for name, value in pairs(all.headers or {}) do
    headers[name] = value
  end
  all.headers = co.trace.inject(headers)
  local body, code, response = co.await(function(resume) http.request(url, all, resume) end)
  if code == 0 then
    return nil, body
  end
  return response
end

return prosody
