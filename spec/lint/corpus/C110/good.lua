local co = require "coropanic"

local function handler(record) print("given up:", record.kind) end

co.run_with({ unhandled = handler }, function()
  local answers = co.chan()
  co.spawn_with({ daemon = true }, function()
    co.defer(function()
      print("sent:", co.select(0.01, { answers, "bye" }) == 1)
    end)
    co.sleep(60)
  end)
  co.yield()
end)
--[[ prints
sent:	false
]]
