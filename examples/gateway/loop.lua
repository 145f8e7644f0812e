--- libuv hosts the scheduler: its loop waits for sockets, and gives the tasks their turn before each wait.
---
---     timers ─▶ idle ─▶ prepare: turn() ─▶ poll (sockets; sleeps) ─▶ check ─▶ closing ─▶ timers ...
---
--- After a turn either tasks are still ready (then an idle handle keeps the poll from sleeping), or the next
--- timer of the scheduler is armed as libuv's one timer, or only sockets can wake a task: libuv's, or those
--- that tasks wait for themselves, for which co.pollfd() stands. So the process never spins and never sleeps
--- past a deadline.

local uv = require "luv"
local co = require "coropanic"

-- Tasks run for at most this long before sockets are looked at again.
local TURN_SECONDS = 0.005

local loop = {}

local function nothing() end

--- Runs `main` as a task, and the loop, until every task has ended and every handle is closed.
---@param name string  # the main task's name in reports
---@param main fun(...): ...
---@return boolean ok  # false: main did not return normally; its panic has been reported
function loop.run(name, main, ...)
  local prepare, idle, timer = uv.new_prepare(), uv.new_idle(), uv.new_timer()
  local descriptors = uv.new_poll(co.pollfd())

  local function turn()
    local more = co.step(TURN_SECONDS)
    timer:stop()
    if more then
      idle:start(nothing)
      return
    end
    idle:stop()
    local seconds = co.timeout()
    if seconds then
      uv.update_time() -- libuv counts from the time it last looked, which was before the tasks ran
      timer:start(math.ceil(seconds * 1000), 0, nothing)
    end
  end

  local task = co.spawn_with({ name = name }, main, ...)
  prepare:start(turn)
  descriptors:start(co.events(), nothing)
  -- The loop lives as long as there are sockets, timers or ready tasks, not because of us.
  prepare:unref()
  descriptors:unref()
  turn()
  while uv.loop_alive() do
    uv.run()
    turn() -- a handle closed last may have woken a task after the last prepare
  end

  local status = task:status()
  if status == "waiting" then
    error("every task waits and nothing is left to wake one:\n" .. co.dump(), 2)
  end
  for _, handle in ipairs { prepare, idle, timer, descriptors } do
    handle:close()
  end
  uv.run() -- lets the handles finish closing
  return status == "done"
end

return loop
