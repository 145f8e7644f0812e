--- Fourteen figures of a running program, out of what the runtime counts anyway: `co.stats`, `co.census` and
--- `co.accounting`, and the levels of one pool and two channels.

local co = require "coropanic"

local sampler = {}

--- The names of the figures, in order.
sampler.names = {
  "live", -- tasks
  "density", -- live tasks, by those spawned in a mean second
  "cancelled", -- tasks, since the sample before
  "ended", -- likewise
  "spawned", -- likewise
  "lock_queue", -- tasks that wait for locks
  "lock_time", -- seconds waited for locks, in waits that have ended since the sample before
  "pool_taken", -- permits
  "pool_queue", -- tasks that wait for permits
  "queue_1", -- values in the channels
  "queue_2",
  "round_trip", -- of calls of the supplier since the sample before: mean seconds
  "round_trip_sd", -- their standard deviation, by histogram
  "idle", -- seconds since the last sample before which a task has ended
}

---@class sampler
local methods = {}
methods.__index = methods

--- Turns accounting on. Call `stop` in the end.
---@param pool coropanic.semaphore
---@param permits integer  # all of them
---@param queues coropanic.channel[]  # two
---@return sampler
function sampler.new(pool, permits, queues)
  co.accounting(true)
  local stats = co.stats()
  return setmetatable({
    pool = pool, permits = permits, queues = queues, began_at = co.now(), ended_at = co.now(),
    first_spawned = stats.spawned, before = stats, kept = co.accounting(),
  }, methods)
end

function methods:stop() -- luacheck: no unused args
  co.accounting(false)
end

--- Returns the number of waiting tasks by the word of the wait.
local function waiting()
  local census, counts = co.census(1), {}
  while census:step() do end
  for _, group in ipairs(census:groups()) do
    local word = group.status == "waiting" and group.operation
    if word then counts[word] = (counts[word] or 0) + group.count end
  end
  return counts
end

local NONE = { count = 0, sum = 0, buckets = {} } -- a histogram

--- Returns what was counted of the waits with this word now, and at the sample before.
local function histograms(now, before, word)
  return now.wait[word] or NONE, before.wait[word] or NONE
end

--- Returns mean and standard deviation of the durations that were counted between two looks at a histogram.
--- A duration of bucket k, from 2^(k-1) to 2^k nanoseconds, stands for one in its middle.
local function spread(now, before)
  local count = now.count - before.count
  if count == 0 then return 0, 0 end
  local mean, squares = (now.sum - before.sum) / count, 0
  for k, n in pairs(now.buckets) do
    local middle = k == 0 and 0 or 0.75e-9 * 2 ^ k
    squares = squares + (n - (before.buckets[k] or 0)) * (middle - mean) ^ 2
  end
  return mean, math.sqrt(squares / count)
end

--- Returns the figures, in the order of `names`.
---@return number[]
function methods:sample()
  local now, stats, kept, queued = co.now(), co.stats(), co.accounting(), waiting()
  local before, spawned = self.before, stats.spawned - self.before.spawned
  local ended = spawned - (stats.live - before.live)
  if ended > 0 then self.ended_at = now end
  local a_second = (stats.spawned - self.first_spawned) / math.max(now - self.began_at, 0.1)
  local locks, locks_before = histograms(kept, self.kept, "lock")
  local mean, deviation = spread(histograms(kept, self.kept, "wait"))
  local sample = {
    stats.live, stats.live / math.max(a_second, 1), stats.cancelled - before.cancelled, ended, spawned,
    queued.lock or 0, locks.sum - locks_before.sum, self.permits - self.pool:available(), queued.acquire or 0,
    #self.queues[1], #self.queues[2], mean, deviation, now - self.ended_at,
  }
  self.before, self.kept = stats, kept
  return sample
end

return sampler
