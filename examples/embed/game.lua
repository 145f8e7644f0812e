-- What the host in host.c runs: two things that happen at the same time, and one that goes wrong.
local co = require "coropanic"

local function patrol(name, steps)
  co.defer(print, name .. " goes home")
  for step = 1, steps do
    print(name .. " takes step " .. step)
    co.sleep(0.001)
  end
end

co.spawn_with({ name = "orc" }, patrol, "the orc", 2)

local elf = co.spawn_with({ name = "elf" }, function()
  co.defer(print, "the elf drops the bow")
  co.sleep(0.0005)
  error("out of arrows")
end)

local ok, record = elf:join()
print("the elf returned: " .. tostring(ok), record.message, "#trace " .. #record.trace_id)
