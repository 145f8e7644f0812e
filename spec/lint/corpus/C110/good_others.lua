local co = require "coropanic"
local resilience = require "coropanic.resilience"

co.run_with({ clock = "virtual" }, function()
  local done, lock = co.chan(), co.mutex()
  local task = co.spawn(co.sleep, 1)
  co.call(function()
    co.defer(task.join, task, 5)
    co.defer(co.with_timeout, 2, function() done:recv() end)
    co.defer(function()
      co.sleep(1)
      co.yield()
      if lock:lock(1) then lock:unlock() end
      done:try_send(1)
      co.with_timeout(1, done.recv, done)
      pcall(function() resilience.timeout(1):call(done.recv, done) end)
      co.spawn_with({ daemon = true }, function() done:recv() end)
    end)
  end)
  print(co.now() < 6)
end)
--[[ prints
true
]]
