-- The longest pause by the collector while many tasks are parked, for all peers in Lua 5.4: the load is the
-- same for all of them, and they differ in how their tasks park.
-- Usage: pause.lua gc_pause <n> <collector> <peer>

local measure = require "peers.measure"

-- The load: pieces of garbage of the size of a small answer, so many bytes for each parked task that the
-- collector comes round several times. It begins a cycle when the heap has doubled, and a task is some 1,000
-- bytes.
local PIECE_BYTES = 1000
local BYTES_PER_TASK = 4000
local LEAST_CYCLES = 2

-- A cycle of the collector has ended each time that this object is found dead and made anew.
local function count_cycles()
  local counter = { cycles = 0 }
  local function renew()
    setmetatable({}, {
      __gc = function()
        counter.cycles = counter.cycles + 1
        if not counter.stopped then renew() end
      end,
    })
  end
  renew()
  return counter
end

-- Makes garbage, and answers the longest time between two pieces. Whatever the collector does, it does when a
-- piece is allocated. The time is the processor's time of this process: what the system does for others
-- meanwhile is no pause of ours.
local function longest_pause(n)
  local clock, rep = os.clock, string.rep
  local part = rep("x", PIECE_BYTES // 4)
  collectgarbage()
  local counter = count_cycles()
  local longest, last = 0, clock()
  for _ = 1, n * BYTES_PER_TASK // PIECE_BYTES do
    rep(part, 4)
    local now = clock()
    if now - last > longest then longest = now - last end
    last = now
  end
  counter.stopped = true
  if counter.cycles < LEAST_CYCLES then
    error(("the collector came round %d times, at least %d expected"):format(counter.cycles, LEAST_CYCLES))
  end
  return longest
end

-- Each parks n tasks, calls `load`, and wakes them; answers how many woke, and what `load` returned.
local peers = {}

function peers.coropanic(n, load)
  local co = require "coropanic"
  local woken = 0
  local result = co.run(function()
    local ch = co.chan()
    local function task()
      ch:recv()
      woken = woken + 1
    end
    for _ = 1, n do co.spawn(task) end
    co.yield()
    measure.expect("parked tasks", co.stats().live - co.stats().ready, n + 1)
    local longest = load()
    ch:close()
    return longest
  end)
  return woken, result
end

function peers.lua(n, load)
  local create, resume, yield = coroutine.create, coroutine.resume, coroutine.yield
  local woken = 0
  local function task()
    yield()
    woken = woken + 1
  end
  local parked = {}
  for i = 1, n do
    parked[i] = create(task)
    resume(parked[i])
  end
  local result = load()
  for i = 1, n do resume(parked[i]) end
  return woken, result
end

function peers.cqueues(n, load)
  local condition = require "cqueues.condition"
  local controller = require("cqueues").new()
  local start = condition.new()
  local waiting, woken = 0, 0
  local function task()
    waiting = waiting + 1
    start:wait()
    woken = woken + 1
  end
  for _ = 1, n do controller:wrap(task) end
  assert(controller:step(0))
  measure.expect("parked tasks", waiting, n)
  local result = load()
  start:signal()
  assert(controller:loop())
  return woken, result
end

measure.main {
  gc_pause = function(n, name)
    local park = peers[name] or error(("no peer %q"):format(tostring(name)))
    local woken, longest = park(n, function() return longest_pause(n) end)
    measure.expect("tasks that woke", woken, n)
    return { seconds_longest = longest }
  end,
}
