local co = require "coropanic"

local function work() co.sleep(0.001) end

local function work_and_wait()
  print(pcall(co.run, work)) --> C109
end

co.run(function()
  co.call(work_and_wait)
  local ended = co.supervise(function(s) return s end)
  for _ = 1, 2 do
    print((pcall(ended.spawn_with, ended, {}, work))) --> C109
  end
end)
--[[ prints
false	co.run inside a task: use a scope to wait for tasks here, or spawn them and join them
false
false
]]
