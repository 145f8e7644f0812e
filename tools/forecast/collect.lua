--- Runs programs of one kind, one for each seed, under the virtual clock, and writes a line of figures for
--- every 0.1 seconds of theirs:   lua5.4 collect.lua KIND FIRST_SEED LAST_SEED > KIND.csv

local here = arg[0]:match "^(.*)/" or "."
package.path = here .. "/?.lua;" .. package.path

local co = require "coropanic"
local programs = require "programs"
local sampler = require "sampler"

local PERIOD = 0.1 -- seconds
local SAMPLES = 700

--- What is known of one run.
---@class collected
---@field deadlock number?  # when it struck
---@field order number?  # when co.order has warned first
---@field forecast number?  # when co.forecast has warned first
---@field samples number[][]  # each begins with its time

--- Notes when `watcher` has warned first.
local function note_warning(found, name, watcher)
  if not found[name] and watcher:stats().warnings > 0 then found[name] = co.now() end
end

--- Lets a program run until it is over or stands still.
---@param found collected
local function watch(found, kind, seed)
  local order = co.order()
  order:reset()
  local forecast = co.forecast()
  local program = programs.new(kind, seed)
  local sampling = sampler.new(program.pool, programs.PERMITS, program.queues)
  program:start()
  for _ = 1, SAMPLES do
    co.sleep(PERIOD)
    local sample = sampling:sample()
    table.insert(sample, 1, co.now())
    found.samples[#found.samples + 1] = sample
    note_warning(found, "order", order)
    note_warning(found, "forecast", forecast)
    found.deadlock = program:deadlocked_at()
    if found.deadlock then break end
  end
  sampling:stop()
end

--- What ends a run: otherwise it would wait for requests that never end.
local END = {}

---@return collected
local function run(kind, seed)
  local found = { samples = {} }
  local options = { clock = "virtual", seed = seed, unhandled = function() end }
  local ok, record = pcall(co.run_with, options, function()
    watch(found, kind, seed)
    co.panic(END)
  end)
  if not ok and record.value ~= END then error(record) end
  return found
end

local kind, first, last = arg[1], tonumber(arg[2]), tonumber(arg[3])
if not kind or programs.kinds[kind] == nil or not first or not last then
  io.stderr:write("collect: KIND FIRST_SEED LAST_SEED expected\n")
  os.exit(2)
end
print("kind,seed,deadlock,order,forecast,time," .. table.concat(sampler.names, ","))
for seed = first, last do
  local found = run(kind, seed)
  local moments = { found.deadlock or -1, found.order or -1, found.forecast or -1 }
  local head = ("%s,%d,%.6g,%.6g,%.6g"):format(kind, seed, table.unpack(moments))
  for _, sample in ipairs(found.samples) do
    for i, value in ipairs(sample) do sample[i] = ("%.9g"):format(value) end
    print(head .. "," .. table.concat(sample, ","))
  end
end
