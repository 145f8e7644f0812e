--- nginx with lua-nginx-module. See guest/port.lua for what a host is.
---
--- A task is a light thread, and parking is a wait for a semaphore, so that tasks may also suspend in
--- whatever nginx suspends in: ngx.sleep, cosockets, subrequests. Each request, and each run of a timer,
--- has a universe of its own, in ngx.ctx: nginx uses the same threads again for later requests, so that
--- nothing is kept by thread alone.
---
--- nginx switches between light threads without telling us. That is why `state` looks which task runs.
---
---   nginx/run.lua    co.run, and how a universe ends
---   nginx/wrap.lua   functions of nginx that end threads
---   nginx/suspends.lua  functions of nginx that suspend threads
---   nginx/trace.lua  the trace of a request

local clock = require "coropanic.host.plain.clock"
local compat = require "coropanic.guest.compat"
local context = require("resty.core.ctx").get_ctx_table -- ngx.ctx, without its metatables
local semaphore = require "ngx.semaphore"
local universe = require "coropanic.guest.universe"

local ngx = ngx

local nginx = { name = "nginx" }

local running, MAIN = compat.running, compat.MAIN
nginx.running = running
nginx.exact = true -- nginx itself switches between light threads
nginx.sources = { [compat.getinfo(semaphore.wait, "S").source] = true }

--- The field of ngx.ctx.
local KEY = "coropanic"

-- Our fields of a universe:
--   unborn         tasks whose light threads begin when the running one suspends
--   inline         nothing can suspend any more: deferred calls run where they are
--   driver         the semaphore of the thread that waits for the end of the tasks, once it has waited
--   driver_waits   it does now
--   poked          it has to look again before it waits
--   ending         it also wants to know of tasks that wait for ever
--   in_place       co.run runs the task that is spawned next itself
--   leaving        the request ends
--   timers         those of start_timer that have not fired

-- The universe -------------------------------------------------------------------------------------------

--- Code in init_by_lua and the like works for no request.
local process = universe.new()

--- Gives the universe the trace of its request; set by trace.lua.
function nginx.begin_trace() end

--- Adds what was set in init_by_lua or init_worker_by_lua; set by run.lua.
function nginx.inherit_handlers() end

--- The universe of the request; nil: it has none.
function nginx.find()
  local ok, ctx = pcall(context)
  if not ok then return nil end
  return ctx[KEY]
end

function nginx.state()
  local ok, ctx = pcall(context)
  if not ok then return process end
  local u = ctx[KEY]
  if u == nil then
    u = universe.new()
    u.unborn, u.timers = {}, {}
    ctx[KEY] = u
    nginx.begin_trace(u)
    nginx.inherit_handlers(u, process)
  end
  local c = u.by[running() or MAIN]
  if c then u.current = c.task end
  return u
end

-- Time and chance ----------------------------------------------------------------------------------------

nginx.now, nginx.wall = clock.now, clock.wall

local worker_pid

--- Workers are forks of the master: they must not share the random bytes that it has read.
function nginx.random(n)
  local pid = ngx.worker.pid()
  if pid ~= worker_pid then
    worker_pid = pid
    clock.forget()
  end
  return clock.random(n)
end

--- nginx cuts off what is longer (NGX_MAX_ERROR_STR, less its own words).
local LOG_LINE = 1900

function nginx.report(text)
  local first = 1
  while #text - first >= LOG_LINE do
    local piece = text:sub(first, first + LOG_LINE - 1)
    piece = piece:match "^.*\n" or piece
    ngx.log(ngx.ERR, piece)
    first = first + #piece
  end
  ngx.log(ngx.ERR, text:sub(first))
end

-- Light threads ------------------------------------------------------------------------------------------

local begin_thread, sleep = ngx.thread.spawn, ngx.sleep
local wait = semaphore.wait

--- Semaphores of ended tasks.
local spare, spares, MAX_SPARES = {}, 0, 1024

local function take_semaphore()
  if spares == 0 then return semaphore.new(0) end
  local s = spare[spares]
  spare[spares] = nil
  spares = spares - 1
  return s
end

nginx.take_semaphore = take_semaphore

--- Nobody waits for it, and nobody has posted to it.
local function give_back_semaphore(s)
  if spares < MAX_SPARES then
    spares = spares + 1
    spare[spares] = s
  end
end
nginx.give_back_semaphore = give_back_semaphore

function nginx.give_back(t)
  local s = t.semaphore
  t.semaphore = nil
  -- the light thread of a task that was cancelled may still wait for it
  if s and t.status == "done" then give_back_semaphore(s) end
end

local function run_body(t, body)
  body(t)
  nginx.ended(t)
end

local ENDED = { done = true, panicked = true, cancelled = true, exited = true }

--- The tasks of this worker whose light threads have not begun.
nginx.births = 0

--- Begins the light threads of new tasks. Each runs until it suspends.
local function begin_unborn(u)
  local unborn = u.unborn
  while unborn[1] do
    u.unborn = {}
    nginx.births = nginx.births - #unborn
    for _, t in ipairs(unborn) do
      local body = t.body
      t.body = nil
      -- some have ended before they began
      if body and ENDED[t.status] == nil then begin_thread(run_body, t, body) end
    end
    unborn = u.unborn
  end
end
nginx.begin_unborn = begin_unborn

--- Begins those of the running request, whose code is about to suspend.
function nginx.begin_here()
  local u = nginx.find()
  if u == nil or not u.unborn[1] then return end
  local current = nginx.state().current
  begin_unborn(u)
  u.current = current
end

--- Whether a light thread of the running request runs, and no coroutine inside it.
function nginx.is_in_thread()
  local u = nginx.find()
  return u ~= nil and u.by[running() or MAIN] ~= nil
end

--- They shall not begin any more.
function nginx.forget_unborn(u)
  nginx.births = nginx.births - #u.unborn
  u.unborn = {}
end

--- The task has ended as its body has left it; set by run.lua.
function nginx.ended() end

--- Runs the body in the running thread, whatever it is.
local function run_inline(u, t, body)
  local key = running() or MAIN
  local c = u.by[key]
  run_body(t, body)
  u.by[key] = c
end
nginx.run_inline = run_inline

function nginx.spawn(t, body)
  local u = t.universe
  if u.inline then return run_inline(u, t, body) end
  t.body = body
  if u.in_place then
    u.in_place = false -- co.run runs it itself
    return
  end
  u.unborn[#u.unborn + 1] = t
  nginx.births = nginx.births + 1
  if u.current == nil then begin_unborn(u) end
end

--- nginx has no wait without an end.
local LONG = 86400
nginx.LONG = LONG

--- The task's light thread will never go on: it has swallowed its exit too often, and only its parent
--- could kill it.
local function park_for_good()
  local s = semaphore.new(0)
  while true do wait(s, LONG) end
end

function nginx.park(t, seconds)
  local u = t.universe
  if t.forced then
    nginx.forced(t)
    return park_for_good()
  end
  local yields = t.status ~= "waiting"
  begin_unborn(u)
  if yields then return sleep(0) end
  if t.status ~= "waiting" then return end -- a task that has just begun has woken it
  if u.ending then nginx.poke(u) end
  local s = t.semaphore
  if s == nil or t.parked then -- a light thread that the task has lost waits for the old one
    s = take_semaphore()
    t.semaphore = s
  end
  local coroutine = t.coroutine
  local thread = coroutine.thread
  t.parked = true
  local deadline = seconds and clock.now() + seconds
  local left = seconds or LONG
  local posted
  repeat
    posted = wait(s, left > 0 and left or 0)
    if coroutine.thread ~= thread then return park_for_good() end
    if deadline and not posted then left = deadline - clock.now() end
  until not t.parked or left <= 0
  if not t.parked and not posted then wait(s, 0) end -- woken just when its time had passed
  t.parked = false
end

function nginx.wake(t)
  if not t.parked then return end
  t.parked = false
  t.semaphore:post(1)
end

-- Timers -------------------------------------------------------------------------------------------------

local function run_timer(timer)
  local left = timer.at - clock.now()
  while not timer.stopped and left > 0 do
    wait(timer.semaphore, math.min(left, LONG))
    left = timer.at - clock.now()
  end
  timer.universe.timers[timer] = nil
  if not timer.stopped then timer.fn() end
end

function nginx.start_timer(seconds, fn)
  local u = nginx.state()
  local timer = {
    universe = u, at = clock.now() + seconds, fn = fn, stopped = false, semaphore = semaphore.new(0),
  }
  u.timers[timer] = true
  begin_thread(run_timer, timer)
  return timer
end

function nginx.stop_timer(timer)
  if timer.stopped then return end
  timer.stopped = true
  timer.semaphore:post(1)
end

function nginx.open(kernel)
  require("coropanic.host.nginx.trace").open(kernel, nginx)
  require("coropanic.host.nginx.run").open(kernel, nginx)
  require("coropanic.host.nginx.suspends").open(nginx)
  require("coropanic.host.nginx.wrap").open(kernel, nginx)
end

return nginx
