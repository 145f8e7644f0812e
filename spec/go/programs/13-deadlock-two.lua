local co = require "coropanic"

--- Go's program locks mutexes. Ours tell an owner that locks again at once, so these are semaphores.
co.run_with({ unhandled = "crash" }, function()
  local a, b = co.semaphore(1), co.semaphore(1)
  a:acquire()
  b:acquire()
  co.spawn(function()
    b:acquire()
  end)
  a:acquire()
end)
