-- A module of Prosody whose HTTP handlers are tasks, for prosody_spec.lua.

local co = require "coropanic"
local prosody = require "coropanic.prosody"
local json = require "util.json"
local promise = require "util.promise"

if module:get_option_boolean "own_panic_handler" then
  co.on_panic(function(record) module:log("warn", "own handler: %s", record.message) end)
end

local tasks = prosody.start(module)

local function query_of(event)
  local query = {}
  for name, value in (event.request.url.query or ""):gmatch "(%w+)=(%w+)" do
    query[name] = value
  end
  return query
end

local MEETING = 20
local meeting = co.waitgroup()
meeting:add(MEETING)

local function double(n)
  co.sleep(0.005)
  return 2 * n
end

local routes = {}

function routes.sleep(event)
  co.sleep(tonumber(query_of(event).s))
  return "slept"
end

--- Answers when so many requests wait at the same time.
function routes.meet()
  meeting:done()
  meeting:wait()
  return "met"
end

function routes.join(event)
  local n = tonumber(query_of(event).n)
  local first, second = co.spawn(double, n), co.spawn(double, n + 1)
  return json.encode { first:await(), second:await() }
end

function routes.panic(event)
  co.sleep(0.002)
  error("panic " .. query_of(event).id, 0)
end

--- Answers, and leaves a task behind that nobody joins.
function routes.lost(event)
  co.spawn(error, "lost " .. query_of(event).id, 0)
  return "ok"
end

function routes.recovered(event)
  local ok, record = co.pcall(routes.panic, event)
  return tostring(ok) .. " " .. record.message
end

--- What the server answers to a request of ours: to itself.
function routes.outgoing(event)
  local url = ("http://127.0.0.1:%d/tasks/trace"):format(event.request.conn:serverport())
  local response, err = prosody.request(url, { headers = { ["X-Custom"] = "kept" } })
  return response and response.body or "error: " .. err
end

function routes.refused()
  return tostring(select(2, prosody.request "http://127.0.0.1:1/"))
end

function routes.trace(event)
  local headers = event.request.headers
  return ("%s %s"):format(headers.traceparent, headers.x_custom)
end

function routes.promise()
  local kept = prosody.await(promise.resolve "kept")
  local ok, record = co.pcall(prosody.await, promise.reject { code = "BROKEN" })
  return ("%s %s %s"):format(kept, ok, record.error_code)
end

function routes.status() return 204 end

function routes.nothing() end

function routes.own(event)
  event.response:send "sent by itself"
  co.sleep(0.001)
  module:log("info", "own: went on")
  return true
end

--- Waits until it is cancelled.
function routes.wait(event)
  local id = query_of(event).id
  co.defer(function()
    co.sleep(0.02) -- a deferred call may wait
    module:log("info", "wait %s: %s", id, "gave back")
  end)
  module:log("info", "wait %s: %s", id, "began")
  co.sleep(3600)
end

local route = {}
for name, handler in pairs(routes) do
  route["GET /" .. name] = tasks:http(handler)
end

--- A handler of Prosody's that is no task, and waits for one.
route["GET /call"] = function(event)
  local ok, value = tasks:call(double, tonumber(query_of(event).n))
  return ok and tostring(value) or 500
end

route["GET /call-panic"] = function()
  return tostring(tasks:call(error, "panic in call", 0))
end

--- Stops the tasks of the module, which goes on to be loaded.
route["GET /stop"] = function()
  tasks:stop "enough"
  return "stopped"
end

--- Reloads this module from outside its tasks.
route["GET /reload"] = function(event)
  require "util.timer".add_task(0, function()
    require "core.modulemanager".reload(module.host, module.name)
    module:log("info", "reloaded %s", query_of(event).id)
  end)
  return "reloading"
end

route["GET /live"] = function()
  return tostring(#co.tasks())
end

route["GET /refused-arguments"] = tasks:http(function()
  local messages = {}
  for i, fn in ipairs {
    function() prosody.start(nil) end,
    function() tasks:http(nil) end,
    function() tasks:call(nil) end,
    function() tasks:spawn_with(nil, print) end,
    function() prosody.await "later" end,
    function() prosody.request {} end,
    function() tasks:call(print) end,
  } do
    messages[i] = select(2, pcall(fn))
  end
  return table.concat(messages, "\n")
end)

module:depends "http"
module:provides("http", { name = "spec_tasks", default_path = "/tasks", route = route })
