--- co.run in nginx, and the end of a universe: of a request, or of a run of a timer.

local run = {}

function run.open(kernel, nginx)
  local args = require "coropanic.guest.args"
  local frames = require "coropanic.guest.frames"
  local handler = require "coropanic.guest.handler"
  local list = require "coropanic.guest.list"
  local observe = require "coropanic.guest.observe"
  local record = require "coropanic.guest.record"
  local shutdown = require "coropanic.guest.shutdown"
  local task = require "coropanic.guest.task"
  local unhandled = require "coropanic.guest.unhandled"
  local unwind = require "coropanic.guest.unwind"

  local api = kernel.api
  local get_phase, suspend = ngx.get_phase, require("ngx.semaphore").wait

  nginx.inherit_handlers = observe.inherit

  -- The driver -----------------------------------------------------------------------------------------

  --- Lets the thread that waits for the end of the tasks look again.
  function nginx.poke(u)
    u.poked = true
    if not u.driver_waits then return end
    u.driver_waits = false
    u.driver:post(1)
  end

  --- Waits until something has changed: a task has ended, or waits for ever.
  local function wait(u)
    u.poked = false
    nginx.begin_unborn(u)
    if u.poked then return end
    if not u.driver then u.driver = nginx.take_semaphore() end
    u.driver_waits = true
    suspend(u.driver, nginx.LONG)
    u.driver_waits = false
  end
  nginx.wait = wait

  function nginx.ended(t)
    local u = t.universe
    task.finish(t)
    nginx.give_back(t)
    if not list.is_empty(u.held) then unhandled.expire(u, nginx.now()) end
    if u.inline then return end
    nginx.begin_unborn(u)
    nginx.poke(u)
  end

  --- A task is parked for good, because it has swallowed its exit too often.
  function nginx.forced(t)
    local r = t.forced
    t.forced = nil
    task.lose(t.universe, t, r)
  end

  -- The end of the tasks -------------------------------------------------------------------------------

  local function nothing() end

  --- Cancels all tasks and waits until their deferred calls have run.
  local function end_all(u)
    local cancelled, rounds = 0, 0
    u.ending = true
    while u.live > 0 do
      if cancelled ~= u.next_task_id then
        cancelled = u.next_task_id
        shutdown.cancel_all(u)
      elseif not shutdown.others_may_go_on(u) and #u.unborn == 0 then
        shutdown.end_stuck(u, rounds, nothing)
        rounds = rounds + 1
      end
      if u.live > 0 then wait(u) end
    end
    u.ending = false
  end

  --- Ends all that the universe still has: tasks, timers, panics that nobody has come for.
  local function finish(u)
    repeat
      end_all(u)
      unhandled.flush(u)
      observe.flush(u)
    until u.live == 0
    for timer in pairs(u.timers) do nginx.stop_timer(timer) end
  end
  nginx.finish = finish

  --- Makes the running thread the one that waits for the tasks, and calls `fn` there.
  function nginx.as_driver(u, fn, ...)
    local around, waits = u.driver, u.driver_waits
    u.driver, u.driver_waits = false, false
    fn(u, ...)
    if u.driver then nginx.give_back_semaphore(u.driver) end
    u.driver, u.driver_waits = around, waits
  end

  local function main_failed(main) return main.status == "panicked" or main.status == "cancelled" end

  local function drive(u, main)
    while u.live > u.daemons and not main_failed(main) do wait(u) end
    u.finishing = true
    while not main_failed(main) and not list.is_empty(u.held) do
      unhandled.flush(u) -- the tasks that the handler spawns run beside the daemons
      while u.live > u.daemons do wait(u) end
    end
    finish(u)
    u.finishing = false
  end

  local function run_and_drive(u, main, body)
    nginx.run_inline(u, main, body)
    drive(u, main)
  end

  --- The phases in which code can suspend, and so have tasks.
  local SUSPENDS = {
    rewrite = true, server_rewrite = true, access = true, content = true, timer = true, ssl_cert = true,
    ssl_session_fetch = true, ssl_client_hello = true, preread = true,
  }

  local function check_phase(u, phase)
    if not SUSPENDS[phase] and not u.inline then
      kernel.raise("no tasks in the phase %s of nginx, which can not suspend (docs/portability.md)", phase)
    end
  end

  --- Raises if the running phase can't have tasks. Called before a task is made.
  function nginx.check_spawn(u)
    if u.current ~= nil or u.in_place then return end -- where one task runs, others can
    check_phase(u, get_phase())
  end

  --- Runs main in the running thread, so that it is nginx's entry thread, and waits for the others.
  ---@param phase string  # of nginx, which runs now
  ---@return table main  # the task, which has ended
  local function run_main(phase, name, fn, ...)
    local u = nginx.state()
    if u.current ~= nil then
      kernel.raise "co.run inside a task: use a scope to wait for tasks here, or spawn them and join them"
    end
    if u.main_task ~= nil or u.hooks > 0 then
      kernel.raise "co.run while the tasks of another run of this request are alive"
    end
    check_phase(u, phase)
    u.in_place = true
    local main = task.spawn(u, { name = name }, fn, ...)
    local body = main.body
    u.main_task, main.body = main, nil
    nginx.as_driver(u, run_and_drive, main, body)
    u.main_task = nil
    return main
  end

  --- The results of main, or its panic.
  local function results(main)
    if main.status ~= "done" then error(main.record, 0) end
    return task.results(main)
  end

  --- Runs a handler of the server as the main task. If it has ended otherwise than by returning, reports
  --- that and returns false: no record may reach nginx, which shows strings alone.
  ---@return boolean ok, any ...  # its results
  function nginx.serve(fn, ...)
    local phase = get_phase()
    local main = run_main(phase, phase, fn, ...)
    if main.status == "done" then return true, task.results(main) end
    if main.status == "panicked" then
      handler.report(main.universe, main.record, main)
    else
      nginx.report(tostring(main.record))
    end
    return false
  end

  function api.run(fn, ...)
    args.callable(fn, 1, "run", fn == nil and 0 or 1)
    return results(run_main(get_phase(), "main", fn, ...))
  end

  function api.run_with(given, fn, ...)
    args.options(given, 1, "run_with", { name = true, unhandled = true }, given == nil and 0 or 1)
    args.callable(fn, 2, "run_with", fn == nil and 1 or 2)
    local name = args.option(given, 1, "run_with", "name", "string")
    local u = nginx.state()
    local kind, before, before_fn = given.unhandled, u.unhandled, u.unhandled_fn
    if type(kind) == "function" then
      u.unhandled, u.unhandled_fn = "call", kind
    elseif kind == "report" then
      u.unhandled = kind
    elseif kind ~= nil then
      args.refuse(1, "run_with", 'option \'unhandled\': "report" or a function expected')
    end
    local function after(ok, main)
      u.unhandled, u.unhandled_fn = before, before_fn
      if not ok then error(main, 0) end
      return results(main)
    end
    return after(pcall(run_main, get_phase(), name or "main", fn, ...))
  end

  -- Without suspending ---------------------------------------------------------------------------------

  --- For log_by_lua: nginx has ended the request's threads, so what they have deferred runs now.
  function nginx.log()
    local u = nginx.find()
    if u == nil then return false end
    return nginx.run_pending(u, "the request has ended")
  end

  --- Runs what the coroutine, which is no task's and will never go on, has deferred.
  local function run_frames(u, c, reason)
    local s = c.frames
    if s == nil or s.depth == 0 then return end
    frames.exit(s, record.exit(u, reason, "cancelled", "shutdown"))
    unwind.drive(s, 1)
  end

  --- The same for all coroutines that are no task's.
  function nginx.run_all_frames(u, reason)
    for _, c in pairs(u.others) do run_frames(u, c, reason) end
  end

  --- nginx has ended, or is about to end, the threads of the universe: runs what they have deferred,
  --- here, without suspending, then reports what nobody has come for. Each deferred call runs once.
  --- Returns whether any task was alive.
  ---@param reason string
  function nginx.run_pending(u, reason)
    local any = u.live > 0
    u.inline = true
    if u.unborn[1] then nginx.forget_unborn(u) end
    while u.last do
      local t = u.last
      u.current = nil
      task.lose(u, t, record.exit(u, reason, "cancelled", "shutdown"))
    end
    nginx.run_all_frames(u, reason)
    unhandled.flush(u)
    observe.flush(u)
    return any
  end
end

return run
