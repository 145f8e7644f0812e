--- HAProxy (Lua 5.3): the plain host, whose loop a task of HAProxy drives, the driver: a turn, core.msleep, a
--- turn, and so on. Coroutines of HAProxy that wait for a task take turns too (haproxy/services.lua).
---
--- The state has no globals of ours, so that lua-load-per-thread gives each thread a universe of its own.

local clock = require "coropanic.host.plain.clock"

local core = core -- luacheck: globals core

--- HAProxy's clock stands still during a turn, as its timers do. Lua's own library has none as fine.
function clock.now()
  local now = core.now()
  return now.sec + now.usec * 1e-6
end

function clock.wall()
  local now = core.now()
  return (now.sec * 1000000 + now.usec) * 1000
end

local haproxy = require "coropanic.host.plain"
haproxy.name, haproxy.exact = "haproxy", true
haproxy.wall = clock.wall

local u = haproxy.state()
local sethook = debug.sethook

--- HAProxy suspends its coroutines at any place, by a hook that it sets when it resumes one. That must not
--- happen in the middle of our code, which others of its coroutines call too.
function haproxy.state()
  if u.current == nil then sethook() end
  return u
end

--- What a line begins with. Threads that have Lua states of their own (lua-load-per-thread) log at the same
--- time: the lines of two reports may come in turns.
local head = core.thread > 0 and ("thread %d: "):format(core.thread) or ""

--- HAProxy shows other characters than printable ones as dots, so a report is logged line by line.
function haproxy.report(text)
  for line in text:gmatch "[^\n]+" do
    core.log(core.err, head .. line:gsub("\t", "  "))
  end
end

function haproxy.open(kernel)
  local api = kernel.api
  require("coropanic.host.plain.run").open(kernel, haproxy, haproxy.loop)
  local step, timeout = api.step, api.timeout

  -- HAProxy's loop is the only one.
  for _, name in ipairs { "run", "run_with", "step" } do
    api[name] = function()
      kernel.raise("co.%s is not available in HAProxy, whose loop runs the tasks (docs/portability.md): "
        .. "see coropanic.haproxy", name)
    end
  end

  -- Turns ----------------------------------------------------------------------------------------------

  --- Nothing wakes a task of HAProxy from core.msleep, so the driver looks this often for tasks that other
  --- coroutines of HAProxy have spawned or woken.
  local LOOK_SECONDS = 0.01

  --- Functions for coroutines of HAProxy's own. Tasks can't begin those: HAProxy crashes if a coroutine
  --- that it has not made calls core.register_task.
  local wanted = {}

  --- The number of the newest driver: older ones end. `wakes_at`: when it takes its next turn.
  local newest, wakes_at = 0, 0

  --- Waits in a coroutine of HAProxy.
  function haproxy.sleep(seconds)
    if seconds > 0 then core.msleep(math.max(math.ceil(seconds * 1000), 1)) else core.yield() end
  end

  --- Runs what is ready once.
  local function turn()
    sethook()
    step()
    local functions = wanted
    wanted = {}
    for _, fn in ipairs(functions) do core.register_task(fn) end
  end

  local function drive()
    newest = newest + 1
    local own = newest
    repeat
      turn()
      local seconds = math.min(timeout() or LOOK_SECONDS, LOOK_SECONDS)
      wakes_at = clock.now() + seconds
      haproxy.sleep(seconds)
    until own ~= newest
  end

  --- Lets a coroutine of HAProxy that waits for a task take a turn.
  function haproxy.help()
    turn()
    local seconds = timeout()
    if seconds and clock.now() + seconds < wakes_at then -- the driver would wake too late
      wakes_at = 0
      core.register_task(drive)
    end
  end

  --- Has the function called in a coroutine of HAProxy's own, soon.
  function haproxy.want(fn) wanted[#wanted + 1] = fn end

  core.register_task(drive)
end

return haproxy
