--- The port: what the guest needs of its host. This module is the host's table, which has these functions:
---
---   state()               the universe (universe.lua) of the running code: of a request, or of the program
---   running()             a key of the running coroutine: the coroutine, or compat.MAIN
---   spawn(task, body, ...)  makes a host coroutine that runs body(...) once its turn comes; where the host
---                         allows it, not before the running code suspends
---   park(task, seconds)   suspends the running coroutine until wake(task) or, if `seconds` is not nil, until
---                         so much time has passed: then universe.fire(task) may be called, or park returns
---   wake(task)            lets a parked task go on; if it is not parked yet, its next park returns at once
---   now()                 seconds of a monotonic clock; of the virtual one, if the run has that
---   random(n)             n random bytes, for ids
---
--- and may have these:
---
---   name                  "plain", "nginx", ...
---   exact                 the host switches between coroutines by itself, so that the running one must be
---   asked
---                         for each time
---   sources               the names of chunks in which its threads wait -> true: no places for reports
---   report(text)          writes a report of a panic; else it goes to stderr
---   exit(status)          ends the process; else os.exit
---   wall()                nanoseconds since 1970, as precise as the host can; else os.time
---   order(n)              a number from 0 to n - 1, where the guest chooses at random; else math.random
---   start_timer(seconds, fn) → timer, stop_timer(timer)    calls fn() once, in the loop
---   open(kernel)          called once, when the guest is loaded; adds functions of the host's own
---                         (co.run, co.step, co.wait_fd, ...) to kernel.api

local function host()
  if type(rawget(_G, "ngx")) == "table" then return "nginx" end
  local core = rawget(_G, "core")
  if type(core) == "table" and core.register_task then return "haproxy" end
  if type(rawget(_G, "love")) == "table" then return "love" end
  local vim = rawget(_G, "vim")
  if type(vim) == "table" and (vim.uv or vim.loop) or package.loaded.luv then return "luv" end
  return "plain"
end

return require("coropanic.host." .. host())
