--- After the kernels of GoKer (Yuan et al., "GoBench: a benchmark suite of real-world Go concurrency bugs",
--- CGO 2021) whose goroutines take two locks in both orders: the project and issue, and the fault alone. Each
--- is run so that it does not deadlock: one task after the other.

local co = require "coropanic"

local kernels = {}
local function kernel(name, locks, tasks)
  kernels[#kernels + 1] = { name = name, locks = locks, tasks = tasks }
end

--- Calls `fn` with the mutex locked, as a function that begins with a deferred unlock.
local function locked(mutex, fn)
  mutex:lock()
  co.call(function()
    co.defer(mutex.unlock, mutex)
    fn()
  end)
end

kernel("cockroach#7504: a lease is released under its own lock, and added under that of the cache",
  { "leaseState.mu", "tableNameCache.mu" },
  function(lease, cache)
    return {
      function() locked(lease, function() locked(cache, function() end) end) end, -- LeaseManager.Release
      function() locked(cache, function() locked(lease, function() end) end) end, -- tableNameCache.get
    }
  end)

kernel("cockroach#10214: heartbeats are sent under the lock that a replica's tick takes last",
  { "coalescedMu", "raftMu" },
  function(coalesced, raft)
    local function report_unreachable() locked(raft, function() end) end
    return {
      function() locked(coalesced, report_unreachable) end, -- sendQueuedHeartbeats
      function() locked(raft, function() locked(coalesced, function() end) end) end, -- Replica.tick
    }
  end)

kernel("moby#4951: a device is deleted under the lock of all, and deactivated under its own first",
  { "DeviceSet", "DevInfo" },
  function(devices, info)
    return {
      function() locked(devices, function() locked(info, function() end) end) end,
      function()
        info:lock()
        devices:lock()
        devices:unlock()
        info:unlock()
      end,
    }
  end)

kernel("kubernetes#13135: the cacher watches under its lock, and the cache tells it under its own",
  { "Cacher", "watchCache" },
  function(cacher, cache)
    return {
      function() locked(cacher, function() locked(cache, function() end) end) end, -- Cacher.Watch
      function() locked(cache, function() locked(cacher, function() end) end) end, -- watchCache.Replace
    }
  end)

return kernels
