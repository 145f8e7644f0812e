--- The functions of nginx that end threads without unwinding them, or start work that belongs to the
--- trace. They are replaced in the table `ngx` when the guest is loaded, so load it before other code
--- takes copies of them:
---
---   ngx.exit, ngx.exec, ngx.redirect    the tasks' deferred calls run before. They may suspend
---   ngx.thread.kill                     a task's deferred calls run, and its joiners are woken
---   ngx.location.capture, .capture_multi, ngx.timer.at, .every
---                                       the subrequest, or the timer's function, continues the trace
---
--- What else nginx ends, at a client's abort above all, is left to log_by_lua: see coropanic.nginx.

local wrap = {}

function wrap.open(kernel, nginx)
  local compat = require "coropanic.guest.compat"
  local observe = require "coropanic.guest.observe"
  local record = require "coropanic.guest.record"
  local task = require "coropanic.guest.task"
  local unhandled = require "coropanic.guest.unhandled"

  local api, ngx = kernel.api, ngx

  -- The end of a request ---------------------------------------------------------------------------------

  --- In these phases threads are still alive and can't be waited for: the log phase comes after.
  local PASSES = { header_filter = true, body_filter = true, log = true, balancer = true, init = true,
    init_worker = true, set = true, exit_worker = true }

  local function has_work(u)
    if u.live > 0 then return true end
    for _, c in pairs(u.others) do
      if c.frames and c.frames.depth > 0 then return true end
    end
    return false
  end

  --- Ends all tasks where they are, the running one too, and waits until their deferred calls have run.
  local function lose_all(u, reason)
    u.current = nil
    while u.live > 0 do
      local t = u.last
      while t do
        local before = t.before
        if not t.lost then
          t.lost = true
          task.lose(u, t, record.exit(u, reason, "cancelled", "shutdown"))
        end
        t = before
      end
      if u.live > 0 then nginx.wait(u) end
    end
    nginx.forget_unborn(u)
  end

  local function leave(reason)
    local u = nginx.find()
    if u == nil or u.leaving or u.inline or PASSES[ngx.get_phase()] or not has_work(u) then return end
    u.leaving = true
    u.current = nil
    nginx.as_driver(u, lose_all, reason)
    nginx.run_all_frames(u, reason)
    unhandled.flush(u)
    observe.flush(u)
  end

  local function wrap_end(name)
    local original = ngx[name]
    ngx[name] = function(...)
      leave("ngx." .. name)
      return original(...)
    end
    return original
  end
  nginx.exit = wrap_end "exit"
  wrap_end "exec"
  wrap_end "redirect"

  local kill = ngx.thread.kill

  local function after_kill(thread, ok, ...)
    local u = ok and nginx.find()
    local c = u and u.by[thread]
    local t = c and c.task
    if t and not kernel.ended(t) then
      local current = u.current
      task.lose(u, t, record.exit(u, "ngx.thread.kill", "cancelled", "explicit"))
      u.current = current
      nginx.begin_unborn(u)
    end
    return ok, ...
  end

  function ngx.thread.kill(thread) return after_kill(thread, kill(thread)) end

  -- Work that belongs to the trace -----------------------------------------------------------------------

  local function wrap_capture(name)
    local original = ngx.location[name]
    ngx.location[name] = function(...)
      if nginx.find() then
        for header, value in pairs(api.trace.inject {}) do ngx.req.set_header(header, value) end
      end
      return original(...)
    end
  end
  wrap_capture "capture"
  wrap_capture "capture_multi"

  --- The function, which runs under the trace of the code that runs now, in a universe of its own.
  local function traced(fn)
    if type(fn) ~= "function" then return fn end -- ngx.timer complains
    local context = nginx.find() and nginx.branch_trace()
    return function(...)
      local u = nginx.state()
      if context then u.trace_context = context end
      local results = compat.pack(compat.pcall(fn, ...))
      nginx.run_pending(u, "the timer's function has ended")
      if not results[1] then error(tostring(results[2]), 0) end
      return compat.unpack(results, 2, results.n)
    end
  end

  for _, name in ipairs { "at", "every" } do
    local original = ngx.timer[name]
    ngx.timer[name] = function(delay, fn, ...) return original(delay, traced(fn), ...) end
  end
end

return wrap
