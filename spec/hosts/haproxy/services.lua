--- Services for HAProxy. Each path of the one service does what its name says.

local co = require "coropanic"
local haproxy = require "coropanic.haproxy"

local function answer(applet, text)
  applet:set_status(200)
  applet:add_header("content-length", #text)
  applet:start_response()
  applet:send(text)
end

local paths = {}

function paths.sleep(applet)
  co.sleep(0.005)
  answer(applet, "slept")
end

--- Requests that wait for one another.
local waiting = {}
function paths.meet(applet)
  if #waiting < 9 then
    waiting[#waiting + 1] = co.current()
    co.await(function(resume) waiting[#waiting] = resume end)
  else
    for _, resume in ipairs(waiting) do resume() end
    waiting = {}
  end
  answer(applet, "met")
end

function paths.join(applet)
  local tasks = {}
  for i = 1, 3 do
    tasks[i] = co.spawn(function()
      co.sleep(0.001 * i)
      return i
    end)
  end
  local sum = 0
  for _, task in ipairs(tasks) do sum = sum + task:await() end
  answer(applet, tostring(sum))
end

function paths.panic(applet)
  co.defer(co.sleep, 0.001)
  co.sleep(0.001)
  error("panic " .. applet.qs)
end

function paths.lost(applet)
  co.spawn(function() error("lost " .. applet.qs) end)
  answer(applet, "ok")
end

function paths.late(applet)
  answer(applet, "begun")
  error "too late for a status"
end

function paths.outlive(applet)
  co.spawn(function()
    co.sleep(0.02)
    applet:send "more"
  end)
  answer(applet, "ok")
end

function paths.echo(applet)
  answer(applet, applet:receive())
end

--- What waits in HAProxy, in a coroutine of its own.
function paths.await(applet)
  local before = core.now()
  local result = haproxy.await(function(value)
    core.msleep(5)
    return value
  end, "awaited")
  local after = core.now()
  local passed = (after.sec - before.sec) * 1000000 + after.usec - before.usec
  local _, err = pcall(haproxy.await, error, "refused")
  answer(applet, result .. " " .. tostring(passed >= 4000) .. " " .. tostring(err))
end

function paths.refused(applet)
  local errors = {}
  for _, call in ipairs { { co.run, print }, { co.step }, { haproxy.call, print }, { haproxy.http },
    { haproxy.await } } do
    local _, err = pcall(table.unpack(call))
    errors[#errors + 1] = tostring(err)
  end
  answer(applet, table.concat(errors, "\n"))
end

function paths.live(applet) answer(applet, tostring(#co.tasks() - 1)) end

core.register_service("tasks", "http", haproxy.http(function(applet)
  return paths[applet.path:match "%l+"](applet)
end))

--- A service that is no task, and calls one.
core.register_service("call", "http", function(applet)
  local ok, value = haproxy.call(function(n)
    co.sleep(0.001)
    if n == 0 then error "zero" end
    return 2 * n
  end, tonumber(applet.qs))
  answer(applet, tostring(ok) .. " " .. tostring(type(value) == "table" and value.message or value))
end)

--- A service that is no task, and spawns one for which it does not wait.
core.register_service("spawn", "http", function(applet)
  co.spawn(function()
    co.sleep(0.001)
    core.log(core.info, "spawned by a service")
  end)
  answer(applet, "ok")
end)

--- Tasks that nothing but the loop runs.
co.spawn(function()
  co.sleep(0.001)
  core.log(core.info, "spawned while loading")
end)
