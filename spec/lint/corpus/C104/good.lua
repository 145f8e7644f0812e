local co = require "coropanic"

co.run(function()
  local jobs = co.chan()
  local worker = co.spawn(function()
    while true do
      local ok, problem = co.pcall(function()
        return jobs:recv()()
      end)
      if not ok then io.stderr:write(tostring(problem):sub(1, 0)) end -- a log, and on
    end
  end)
  co.yield()
  worker:cancel()
  local _, record = worker:join()
  print("unwound by force:", record.forced == true)
end)
--[[ prints
unwound by force:	false
]]
