local co = require "coropanic"

local function handler(record) print("given up:", record.kind) end

co.run_with({ unhandled = handler }, function()
  local answers = co.chan()
  co.spawn_with({ daemon = true }, function()
    co.defer(function()
      answers:send "bye" --> C110
    end)
    co.sleep(60)
  end)
  co.yield()
  -- The end of the run cancels the daemon, whose deferred call waits for somebody to receive.
end)
--[[ prints
given up:	deadlock
]]
