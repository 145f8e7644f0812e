-- Timers.

local co = require "coropanic"
local measure = require "peers.measure"

local workloads = {}

-- Each of n tasks waits for an event with a time-out. The events of one half come, so their timers are
-- cancelled; those of the other half fire.
function workloads.timers(n)
  local repeats = measure.repeats_of_timers(n)
  local watch = measure.watch()
  local fired, cancelled = 0, 0
  local delays, longer = measure.delays(n)
  for _ = 1, repeats do
    co.run_with({ clock = "virtual" }, function()
      local start = co.event()
      local half = co.event()
      local never = co.event()
      local function task(i)
        local event = i % 2 == 0 and half or never
        start:wait()
        if event:wait(delays[i]) then
          cancelled = cancelled + 1
        else
          fired = fired + 1
        end
      end
      for i = 1, n do co.spawn(task, i) end
      co.yield()
      watch.start()
      start:set()
      co.yield()
      half:set()
      co.sleep(longer)
      watch.stop()
    end)
  end
  measure.expect("fired", fired, repeats * (n - n // 2))
  measure.expect("cancelled", cancelled, repeats * (n // 2))
  return watch.result(repeats * n)
end

return workloads
