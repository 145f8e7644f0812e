--- co.run, co.run_with, co.step, co.timeout of the plain host: the twin of loop/scheduler.c.

local run = {}

function run.open(kernel, plain, loop)
  local args = require "coropanic.guest.args"
  local compat = require "coropanic.guest.compat"
  local handler = require "coropanic.guest.handler"
  local heap = require "coropanic.host.plain.heap"
  local observe = require "coropanic.guest.observe"
  local probe = require "coropanic.guest.probe"
  local record = require "coropanic.guest.record"
  local shutdown = require "coropanic.guest.shutdown"
  local task = require "coropanic.guest.task"
  local unhandled = require "coropanic.guest.unhandled"
  local list = require "coropanic.guest.list"

  local api, u = kernel.api, loop.universe

  --- If there are fewer ready tasks than this, so many turns pass between two looks at the clock.
  local SMALL_BATCH = 64
  --- The most rounds in a row in which no time passes and all tasks only yield or sleep for 0 s.
  local POLLING_MAX_ROUNDS = 100000

  -- What the host is told of tasks ---------------------------------------------------------------------

  function u.fire(t) kernel.wake(t, "timeout") end

  function u.ended(t)
    task.finish(t)
    if t == u.main_task or u.live == u.daemons then loop.batch = 0 end
  end

  local function ended_soon()
    if u.live == u.daemons or u.main_task and kernel.ended(u.main_task) then loop.batch = 0 end
  end

  --- A task's coroutine has yielded by itself, or is dead although the task has not ended.
  function u.lost(t, err, thread, failed)
    u.current = t
    local r
    if failed then
      r = record.test(err) or record.make(u, err, record.kind_of_error(err), thread)
    elseif compat.status(thread) == "dead" then
      r = record.make(u, "the task's coroutine was closed or resumed by somebody else", "error")
    else
      r = record.make(u, "coroutine.yield in a task: use co.yield to let other tasks run", "error", thread)
    end
    u.current = nil
    task.lose(u, t, r)
    ended_soon()
  end

  --- A task is parked for good, because it has swallowed its exit too often.
  function u.forced(t)
    local r = t.forced
    t.forced = nil
    task.end_inner(u, t, r)
    task.lose(u, t, r)
    ended_soon()
  end

  function u.tell_start(t)
    probe.tell(u, { kind = "start", calls = true, task = t, object = kernel.handle(t) })
  end

  function u.tell_stop(t)
    probe.tell(u, { kind = "stop", calls = true, task = t, object = kernel.handle(t) })
  end

  -- One round ------------------------------------------------------------------------------------------

  --- Runs the next ready task and returns the time at which it suspended or ended.
  local function switch_timed(start)
    local t = loop.switch()
    local now = plain.now()
    if loop.budget and now - start > loop.budget then
      u.counts.overrun = u.counts.overrun + 1
      if u.wants.overrun then
        local object = kernel.handle(t)
        probe.tell(u, { kind = "overrun", calls = true, task = t, object = object, extra = now - start })
      end
    end
    return now
  end

  --- Runs each task that is ready now once; fewer if `until_time` comes first.
  local function round(until_time)
    local count = plain.ready()
    if not loop.budget and not until_time then
      for _ = 1, count do loop.switch() end
      return
    end
    local now = plain.now()
    local round_end = loop.budget and now + loop.budget or math.huge
    local is_over = false -- a budget may be less than what the clock can tell
    while count > 0 and now < (until_time or math.huge) and not is_over do
      count = count - 1
      now = switch_timed(now)
      is_over = now >= round_end
    end
  end

  local function run_batch()
    if loop.budget then
      round(nil)
    else
      loop.batch = math.max(plain.ready(), SMALL_BATCH)
      while plain.ready() > 0 and loop.batch > 0 do
        loop.batch = loop.batch - 1
        loop.switch()
      end
    end
    plain.look()
  end

  -- Sleeping -------------------------------------------------------------------------------------------

  --- The earlier of two times; nil is never.
  local function earlier(a, b)
    if a == nil then return b end
    return b ~= nil and b < a and b or a
  end

  local function next_time()
    local timer = heap.first(loop.timers)
    return earlier(timer and timer.at, unhandled.next_time(u))
  end

  --- No task is ready: sleeps until the next time, to which the virtual clock jumps. Returns false if nothing
  --- can wake a task.
  local function wait_for_work()
    if heap.first(loop.timers) == nil and not plain.may_be_woken() then return false end
    unhandled.expire(u, plain.now()) -- those whose task is garbage
    if plain.ready() > 0 then return true end
    local next = next_time()
    if next == nil or next > plain.now() then
      local seconds = next and next - plain.now()
      if u.wants.sleep then probe.tell(u, { kind = "sleep", calls = true, extra = seconds }) end
      u.counts.sleep = u.counts.sleep + 1
      if plain.ready() == 0 then
        if loop.virtual and next then loop.virtual = next else plain.sleep(seconds) end
      end
      u.counts.awake = u.counts.awake + 1
      if u.wants.awake then probe.tell(u, { kind = "awake", calls = true }) end
    end
    unhandled.expire(u, plain.now())
    return true
  end

  --- Whether the tasks have polled for too long: under the virtual clock no time passes then.
  local function polling_is_endless()
    if not loop.virtual then return false end
    local stirs = loop.each_ready(function(t) return not (t.wait.gave_way and t.wait.gave_way(t)) end)
    if loop.virtual ~= loop.polled_at or stirs then loop.polled_at, loop.polled_rounds = loop.virtual, 0 end
    loop.polled_rounds = loop.polled_rounds + 1
    return loop.polled_rounds > POLLING_MAX_ROUNDS
  end

  -- A run ----------------------------------------------------------------------------------------------

  local function main_failed(main) return main.status == "panicked" or main.status == "cancelled" end

  --- Runs rounds until the run is over. Returns false if every task is asleep for ever.
  local function run_until_done(main)
    while u.live > u.daemons and not main_failed(main) do
      loop.fire_timers()
      if plain.ready() > 0 then
        if polling_is_endless() then return false end
        run_batch()
        if not list.is_empty(u.held) then unhandled.expire(u, plain.now()) end
      elseif not wait_for_work() then
        return false
      end
    end
    return true
  end

  --- Ends the tasks that the run leaves, except for services, which go on meanwhile.
  local function end_others()
    local cancelled = 0
    while true do
      if u.live > u.services and cancelled ~= u.next_task_id then
        cancelled = u.next_task_id
        shutdown.cancel_others(u)
      end
      if u.live == u.services then
        if list.is_empty(u.held) then return end
        unhandled.flush(u) -- the handler may spawn
      else
        loop.fire_timers()
        if plain.ready() > 0 then
          if polling_is_endless() then return end
          run_batch()
        elseif not shutdown.others_may_go_on(u) or not wait_for_work() then
          return -- the end of the services may wake them
        end
      end
    end
  end

  --- Ends all tasks that are left and runs their deferred calls.
  local function end_all()
    local cancelled, rounds, polled = 0, 0, 0
    while u.live > 0 do
      if cancelled ~= u.next_task_id then
        cancelled = u.next_task_id
        shutdown.cancel_all(u)
      end
      loop.fire_timers()
      if plain.ready() > 0 and polling_is_endless() then
        shutdown.end_stuck(u, (polled == 0 and 1 or 2) * shutdown.ROUNDS, loop.take_off)
        polled = polled + 1
        loop.polled_rounds = 0
      elseif plain.ready() > 0 then
        run_batch()
      elseif not wait_for_work() then
        shutdown.end_stuck(u, rounds, loop.take_off)
        rounds = rounds + 1
      end
    end
  end

  local function shut_down()
    end_others()
    repeat
      end_all()
      unhandled.flush(u)
      observe.flush(u)
    until u.live == 0
  end

  local function apply(options)
    loop.virtual = options.virtual and 0.0 or nil
    loop.shuffled = options.seed ~= nil
    loop.order = (options.seed or 0) % 2147483646 + 1
    loop.budget = options.budget
    loop.polled_at, loop.polled_rounds = nil, 0
    u.unhandled, u.unhandled_fn = options.unhandled or "report", options.unhandled_fn
  end

  local function check_not_running(name, inside)
    if u.current ~= nil then kernel.raise(inside) end
    if u.driving or u.hooks > 0 then
      kernel.raise("co.%s while the loop is running: not in a handler or hook", name)
    end
  end

  local function deadlock_record()
    if plain.ready() == 0 then return shutdown.deadlock_record(u, "all tasks are asleep - deadlock!") end
    local poller
    loop.each_ready(function(t)
      poller = t
      return true
    end)
    loop.polled_rounds = 0
    local message = ('task %d "%s" polls, so the virtual clock stands still: it has yielded for %d rounds; '
      .. "wait for what happens, or sleep - deadlock!")
    local name = kernel.name_of(poller):sub(1, 64)
    return shutdown.deadlock_record(u, message:format(poller.id, name, POLLING_MAX_ROUNDS))
  end

  --- Drives the loop until the run is over. Returns the record of a run that could not go on.
  local function drive(main)
    local stuck = not run_until_done(main)
    u.finishing = true
    while not stuck and not main_failed(main) and not list.is_empty(u.held) do
      unhandled.flush(u) -- the tasks that the handler spawns run beside the daemons
      stuck = not run_until_done(main)
    end
    local r = stuck and deadlock_record() or nil
    shut_down()
    u.finishing = false
    if not r and main.status == "exited" then
      r = shutdown.deadlock_record(u, "no tasks (main called goexit) - deadlock!")
    end
    if r and u.unhandled == "crash" then handler.report(u, r) end
    return r
  end

  local function run_main(options, fn, ...)
    check_not_running("run",
      "co.run inside a task: use a scope to wait for tasks here, or spawn them and join them")
    if options.virtual and u.live > 0 then
      kernel.raise 'co.run_with: clock = "virtual" needs a runtime without tasks'
    end
    local main = task.spawn(u, { name = options.name or "main" }, fn, ...)
    u.driving = true
    apply(options)
    u.main_task = main
    local function handle(err) return record.test(err) or record.of_error(u, err) end
    local ok, r = compat.xpcall(drive, handle, main)
    u.main_task, u.driving, u.finishing, u.current = nil, false, false, nil
    apply {}
    if not ok or r then error(r, 0) end
    if main.status ~= "done" then error(main.record, 0) end
    return task.results(main)
  end

  function api.run(fn, ...)
    args.callable(fn, 1, "run", fn == nil and 0 or 1)
    return run_main({}, fn, ...)
  end

  local NAMES = { clock = true, seed = true, unhandled = true, budget = true, name = true }

  local function unhandled_option(options, value)
    if type(value) == "function" then
      options.unhandled, options.unhandled_fn = "call", value
    elseif value == "crash" or value == "report" then
      options.unhandled = value
    elseif type(value) == "string" then
      args.refuse(1, "run_with", 'option \'unhandled\': "report", "crash" or a function expected')
    elseif value ~= nil then
      args.option_error(value, 1, "run_with", "unhandled", '"report", "crash" or a function')
    end
  end

  local function check_options(given)
    args.options(given, 1, "run_with", NAMES, given == nil and 0 or 1)
    local options = { seed = given.seed, budget = given.budget }
    if options.seed ~= nil and (type(options.seed) ~= "number" or options.seed % 1 ~= 0
      or (math.type and math.type(options.seed) ~= "integer")) then
      args.option_error(options.seed, 1, "run_with", "seed", "integer")
    end
    if options.budget ~= nil then
      if type(options.budget) ~= "number" then
        args.option_error(options.budget, 1, "run_with", "budget", "number")
      end
      if options.budget <= 0 or options.budget ~= options.budget then
        args.refuse(1, "run_with", "option 'budget': seconds above 0 expected")
      end
    end
    local kind = args.option(given, 1, "run_with", "clock", "string")
    if kind == "virtual" then
      options.virtual = true
    elseif kind ~= nil and kind ~= "monotonic" then
      args.refuse(1, "run_with", 'option \'clock\': "virtual" or "monotonic" expected')
    end
    unhandled_option(options, given.unhandled)
    options.name = args.option(given, 1, "run_with", "name", "string")
    return options
  end

  function api.run_with(given, fn, ...)
    args.options(given, 1, "run_with", NAMES, given == nil and 0 or 1)
    args.callable(fn, 2, "run_with", fn == nil and 1 or 2)
    return run_main(check_options(given), fn, ...)
  end

  -- Steps ----------------------------------------------------------------------------------------------

  local function step(until_time)
    repeat
      loop.fire_timers()
      round(until_time)
    until plain.ready() == 0 or until_time == nil or plain.now() >= until_time
    if not list.is_empty(u.held) then unhandled.expire(u, plain.now()) end
    observe.flush(u)
  end

  function api.step(...)
    local budget = args.timeout((...), 1, "step") or 0
    check_not_running("step", "co.step inside a task: its loop makes the steps, so use co.yield")
    u.driving = true
    local ok, err = compat.pcall(step, budget > 0 and plain.now() + budget or nil)
    u.driving = false
    if not ok then error(err, 0) end
    return plain.ready() > 0
  end

  function api.timeout()
    if plain.ready() > 0 then return 0 end
    local next = next_time()
    if next == nil then return nil end
    return math.max(next - plain.now(), 0)
  end
end

return run
