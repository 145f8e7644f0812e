-- What the peers that are written in Lua share; runs in Lua 5.1 to 5.4, LuaJIT and Tarantool.
--
-- A peer is a program, `<program> <workload> <n> <collector> [variant]`, which prints one line of JSON and
-- ends with a status other than 0 when what it computed is wrong. It computes on one thread. Time is the
-- processor's time of that process: neither what other programs do meanwhile counts, nor waiting.
--
-- <collector> is "generational" or "incremental", the modes of Lua 5.4's; "running", for languages whose
-- collector is another; "stopped" while the watch runs; or "any", where it makes no difference.

local measure = {}

local clock = os.clock

--- Measures by another clock of the processor's time, in seconds.
function measure.use_clock(other) clock = other end

-- Operations that are timed at least: enough to see microseconds of the clock as nothing.
local LEAST = 2000000

-- Sizes that all peers share.
measure.CAPACITY = 100 -- of the buffered channel
measure.PER_BLOCK = 100 -- what is deferred in one frame
measure.WAKES = 400000 -- values sent at least
measure.ENDINGS = 50000 -- tasks that are ended together, at least
measure.LEVELS = 100000 -- scopes opened at least
measure.CHURN = 100000 -- tasks that come and go beside parked ones

-- Seconds for each of n timers, so that all are inserted before the first fires.
local SECONDS_PER_TIMER = 8e-6

-- Numbers from 0 to 1, the same each time: Park and Miller's minimal standard.
local function generator()
  local state = 1
  return function()
    state = (state * 16807) % 2147483647
    return state / 2147483647
  end
end

--- Brings a list into an order that has nothing to do with the former one, the same each time.
---@return table list
function measure.shuffle(list)
  local random = generator()
  for i = #list, 2, -1 do
    local k = math.floor(random() * i) + 1
    list[i], list[k] = list[k], list[i]
  end
  return list
end

--- n delays in no order, the same each time, and one that is longer than all of them.
---@return number[] delays
---@return number longer
function measure.delays(n)
  local delays, random = {}, generator()
  local shortest = n * SECONDS_PER_TIMER
  for i = 1, n do delays[i] = shortest * (1 + 0.1 * random()) end
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

local collector = "any" -- as the command line says

local function use_collector(name)
  collector = name
  if name == "generational" or name == "incremental" then
    collectgarbage(name)
  elseif name ~= "running" and name ~= "stopped" and name ~= "any" then
    error(("no collector %q"):format(tostring(name)), 0)
  end
end

--- A stop-watch, for what only a part of is to be timed. It starts from a heap without garbage, and may be
--- started again.
function measure.watch()
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
---@param operations integer  # in one call
---@param fn fun()
function measure.time(operations, fn)
  fn()
  local watch = measure.watch()
  watch.start()
  fn()
  watch.stop()
  return watch.result(operations)
end

--- Calls `fail "x"` below so many frames of Lua functions.
local function deep(frames, fail)
  if frames <= 1 then fail "x" end
  deep(frames - 1, fail)
  return 1
end
measure.deep = deep

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

-- "memory/defer" is a case of "memory", unless there is a function of its own for it.
local function find(name, tables)
  local job, case = name:match "^([^/]+)/(.+)$"
  for _, workloads in ipairs(tables) do
    if workloads[name] then return workloads[name] end
  end
  for _, workloads in ipairs(tables) do
    if workloads[job] then return workloads[job], case end
  end
end

--- Runs the workload that the command line names and prints its result.
---@param ... table<string, fun(n: integer, variant: string?, case: string?): table>
function measure.main(...)
  local name, n, variant = arg[1], tonumber(arg[2]), arg[4]
  local workload, case
  if name then workload, case = find(name, { ... }) end
  if not workload or not n then
    io.stderr:write(("usage: %s <workload> <n> <collector> [variant]\n"):format(arg[0]))
    os.exit(2)
  end
  use_collector(arg[3])
  local result = workload(n, variant, case)
  local fields = {}
  for field, value in pairs(result) do
    fields[#fields + 1] = ('"%s":%.9g'):format(field, value)
  end
  table.sort(fields)
  print("{" .. table.concat(fields, ",") .. "}")
  io.stdout:flush()
end

return measure
