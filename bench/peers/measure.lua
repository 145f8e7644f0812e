-- What the peers that are written in Lua share; runs in Lua 5.1 to 5.4, LuaJIT and Tarantool.
--
-- A peer is a program, `<program> <workload> <n> [variant]`, which prints one line of JSON and ends with a
-- status other than 0 when what it computed is wrong. Time is the processor's time of the process: everything
-- measured here runs on one thread, and what other programs do meanwhile does not count, nor does waiting.

local measure = {}

local clock = os.clock

--- Measures by another clock of the processor's time, in seconds.
function measure.use_clock(other) clock = other end

-- Operations that are timed at least: enough to see microseconds of the clock as nothing.
local LEAST = 2000000

-- Sizes that all peers share.
measure.CAPACITY = 100 -- of the buffered channel
measure.PER_BLOCK = 100 -- what is deferred in one frame

-- Seconds for each of n timers, so that all are inserted before the first fires.
local SECONDS_PER_TIMER = 8e-6

--- n delays in no order, the same each time, and one that is longer than all of them.
---@return number[] delays
---@return number longer
function measure.delays(n)
  local delays, state = {}, 1
  local shortest = n * SECONDS_PER_TIMER
  for i = 1, n do
    state = (state * 16807) % 2147483647 -- Park and Miller's minimal standard
    delays[i] = shortest * (1 + 0.1 * state / 2147483647)
  end
  return delays, shortest * 1.2
end

--- How often to insert and fire n timers.
function measure.repeats_of_timers(n) return math.max(math.floor(50000 / n), 1) end

--- How often to repeat what does `per_round` operations, so that there are enough of them.
---@param per_round integer
---@param least integer?  # operations in all, LEAST if nil
---@return integer  # 2 or more
function measure.rounds(per_round, least)
  return math.max(math.floor((least or LEAST) / per_round), 2)
end

--- A stop-watch, for what only a part of is to be timed. It starts from a heap without garbage.
---@param collector "running" | "stopped"  # while it runs
function measure.watch(collector)
  assert(collector == "running" or collector == "stopped")
  local watch, began = { seconds = 0 }, nil
  function watch.start()
    collectgarbage()
    collectgarbage()
    if collector == "stopped" then
      collectgarbage "stop"
    end
    began = clock()
  end
  function watch.stop()
    watch.seconds = watch.seconds + (clock() - began)
    began = nil
    collectgarbage "restart"
  end
  --- What the peer answers.
  ---@param operations integer
  function watch.result(operations)
    assert(not began, "the watch still runs")
    return { operations = operations, seconds = watch.seconds }
  end
  return watch
end

--- Times one call of `fn`, after one that warms up.
---@param collector "running" | "stopped"
---@param operations integer  # in one call
---@param fn fun()
function measure.time(collector, operations, fn)
  fn()
  local watch = measure.watch(collector)
  watch.start()
  fn()
  watch.stop()
  return watch.result(operations)
end

--- Raises an error if a workload came to a wrong result.
function measure.expect(what, got, wanted)
  if got ~= wanted then
    error(("%s: %s, and not %s"):format(what, tostring(got), tostring(wanted)), 2)
  end
end

--- Bytes of the Lua heap, without garbage.
---@return number
function measure.heap()
  for _ = 1, 3 do
    collectgarbage()
  end
  return collectgarbage "count" * 1024
end

--- Bytes of memory that the process occupies, as Linux tells it; without garbage.
---@return number
function measure.resident()
  for _ = 1, 3 do
    collectgarbage()
  end
  local file = assert(io.open "/proc/self/status")
  local text = file:read "*a"
  file:close()
  return tonumber(text:match "VmRSS:%s*(%d+) kB") * 1024
end

--- Runs the workload that the command line names and prints its result.
---@param workloads table<string, fun(n: integer, variant: string?): table>
function measure.main(workloads)
  local name, n, variant = arg[1], tonumber(arg[2]), arg[3]
  local workload = workloads[name]
  if not workload or not n then
    io.stderr:write(("usage: %s <workload> <n> [variant]\n"):format(arg[0]))
    os.exit(2)
  end
  local result = workload(n, variant)
  local fields = {}
  for field, value in pairs(result) do
    fields[#fields + 1] = ('"%s":%.9g'):format(field, value)
  end
  table.sort(fields)
  print("{" .. table.concat(fields, ",") .. "}")
  io.stdout:flush()
end

return measure
