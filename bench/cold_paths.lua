-- The paths whose cache misses `make bench-guard` counts. Many tasks are woken in an order that has nothing
-- to do with that of their memory, and together they fit in no cache. Each function wakes tasks n times, so
-- that the difference between two n is the waking alone.

local co = require "coropanic"
local measure = require "peers.measure"

local paths = {}

local TASKS = 2000 -- some 3 MB

paths["switch in random order"] = function(n)
  local yield = co.yield
  local resumes = {}
  local function wait(resume) resumes[#resumes + 1] = resume end
  co.run(function()
    for _ = 1, TASKS do
      co.spawn(function()
        co.await(wait)
        for _ = 1, n // TASKS do yield() end
      end)
    end
    yield()
    for _, resume in ipairs(measure.shuffle(resumes)) do resume() end
  end)
end

paths["channel in random order"] = function(n)
  co.run(function()
    local channels = {}
    for i = 1, TASKS do
      channels[i] = co.chan()
      co.spawn(function() for _ in channels[i]:iter() do end end)
    end
    co.yield()
    measure.shuffle(channels)
    for _ = 1, n // TASKS do
      for i = 1, TASKS do channels[i]:send(i) end
      co.yield()
    end
    for i = 1, TASKS do channels[i]:close() end
  end)
end

paths["timer in random order"] = function(n)
  co.run_with({ clock = "virtual" }, function()
    local delays = {}
    for i = 1, TASKS do delays[i] = i end
    measure.shuffle(delays)
    for i = 1, TASKS do
      co.spawn(function()
        for _ = 1, n // TASKS do co.sleep(delays[i]) end
      end)
    end
  end)
end

return paths
