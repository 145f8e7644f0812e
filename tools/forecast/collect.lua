--- Runs programs of one kind, one for each seed, under the virtual clock, and writes a line of figures for
--- every 0.1 seconds of theirs:   lua5.4 collect.lua KIND FIRST_SEED LAST_SEED > KIND.csv

local here = arg[0]:match "^(.*)/" or "."
package.path = here .. "/?.lua;" .. package.path

local co = require "coropanic"
local programs = require "programs"
local sampler = require "sampler"

local PERIOD = 0.1 -- seconds
local SAMPLES = 700

--- Lets the program run until it is over or stands still.
---@return number? deadlocked_at
---@return number[][] samples  # each begins with its time
local function watch(program, samples)
  local sampling = sampler.new(program.pool, programs.PERMITS, program.queues)
  program:start()
  for _ = 1, SAMPLES do
    co.sleep(PERIOD)
    local sample = sampling:sample()
    table.insert(sample, 1, co.now())
    samples[#samples + 1] = sample
    if program:deadlocked_at() then break end
  end
  sampling:stop()
  return program:deadlocked_at()
end

--- What ends a run: otherwise it would wait for requests that never end.
local END = {}

---@return number? deadlocked_at
---@return number[][] samples
local function run(kind, seed)
  local samples, deadlocked_at = {}, nil
  local options = { clock = "virtual", seed = seed, unhandled = function() end }
  local ok, record = pcall(co.run_with, options, function()
    deadlocked_at = watch(programs.new(kind, seed), samples)
    co.panic(END)
  end)
  if not ok and record.value ~= END then error(record) end
  return deadlocked_at, samples
end

local kind, first, last = arg[1], tonumber(arg[2]), tonumber(arg[3])
if not kind or programs.kinds[kind] == nil or not first or not last then
  io.stderr:write("collect: KIND FIRST_SEED LAST_SEED expected\n")
  os.exit(2)
end
print("kind,seed,deadlock,time," .. table.concat(sampler.names, ","))
for seed = first, last do
  local deadlocked_at, samples = run(kind, seed)
  local head = ("%s,%d,%.6g"):format(kind, seed, deadlocked_at or -1)
  for _, sample in ipairs(samples) do
    for i, value in ipairs(sample) do sample[i] = ("%.9g"):format(value) end
    print(head .. "," .. table.concat(sample, ","))
  end
end
