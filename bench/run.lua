-- The benchmark: runs each workload on every peer in interleaved rounds, each run a process of its own, and
-- writes what came out. `make bench` builds what it needs and calls it, from the root of the checkout.
--   ROUNDS=9     rounds, 5 if it is not set
--   ONLY=switch  only workloads whose name contains it; the figures then go to build/bench/, and replace
--                nothing
-- With the argument `report` it runs nothing, and makes tables and plot of the last run anew.

local cjson = require "cjson"
local machine = require "machine"
local peers = require "peers"
local plot = require "plot"
local report = require "report"
local results = require "results"
local rows = require "rows"
local workloads = require "workloads"

local ROUNDS = math.tointeger(tonumber(os.getenv "ROUNDS" or 5))
if not ROUNDS or ROUNDS < 1 then error("ROUNDS: a whole number from 1 on expected", 0) end
local ONLY = os.getenv "ONLY"
if ONLY == "" then ONLY = nil end

-- Seconds that a run may take before it counts as failed.
local PATIENCE = 120

local OURS = rows.OURS

local function progress(...) io.stderr:write(string.format(...), "\n") end

-- Peers -----------------------------------------------------------------------------------------------------

---@return table<string, peer> by_name
---@return table<string, string> versions
---@return string[] missing  # names
local function find_peers()
  local by_name, versions, missing = {}, {}, {}
  for _, peer in ipairs(peers) do
    by_name[peer.name] = peer
    versions[peer.name] = machine.first_line(peer.version)
    if not versions[peer.name] then
      missing[#missing + 1] = peer.name
      progress("missing: %s", peer.name)
    end
  end
  return by_name, versions, missing
end

-- Single programs are shared: they are told whom to be.
local function command_of(peer, workload, size, collector)
  local program = peer.programs and peer.programs[workload.name:match "^[^/]+"]
  local whom = peer.variant or program and peer.name or ""
  return ("%s %s %d %s %s"):format(program or peer.program, workload.name, size, collector, whom)
end

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local complaints = os.tmpname()

--- Runs a program once.
---@return table? result  # nil: it failed
---@return string? why
local function measure(command)
  local pipe = assert(io.popen(("timeout %d %s 2>%s"):format(PATIENCE, command, complaints)))
  local output = pipe:read "a"
  local ok, _, status = pipe:close()
  if not ok then
    local why = status == 124 and ("more than %d s"):format(PATIENCE) or read(complaints):match "[^\n]+"
    return nil, why or "status " .. status
  end
  local last = output:match "([^\n]+)\n*$"
  local parsed, result = pcall(cjson.decode, last or "")
  if not parsed then return nil, "no result in its output" end
  return result
end

-- Rounds ----------------------------------------------------------------------------------------------------

--- Why a peer is not asked for a size of a workload; nil if it is.
local function excuse(peer, versions, workload, size)
  if not versions[peer.name] then return "missing" end
  local needs = workload.needs
  if needs and not machine.first_line("command -v " .. needs) then return needs .. " is missing" end
  local limit = workload.limits and workload.limits[peer.name]
  if limit and size > limit[1] then return limit[2] end
end

---@class measurement
---@field workload table
---@field size integer
---@field collector string
---@field results table<string, table[]>  # by peer, a result for each round
---@field why table<string, string>  # peers without results
---@field failed boolean

-- The collector that a peer is told for a row's.
local function collector_of(peer, collector)
  local has_modes = collector == "generational" or collector == "incremental"
  return peer.own_collector and has_modes and "running" or collector
end

---@class job  # a program, and the measurements for which it is run
---@field peer peer
---@field command string
---@field measurements measurement[]

--- The measurements of a workload at a size, one for each collector, and the jobs that make them.
---@return measurement[], job[]
local function plan(by_name, versions, workload, size)
  local measurements, jobs, job_of = {}, {}, {}
  for i, collector in ipairs(workload.collectors) do
    local measurement =
      { workload = workload, size = size, collector = collector, results = {}, why = {}, failed = false }
    measurements[i] = measurement
    for _, name in ipairs { OURS, table.unpack(workload.peers) } do
      local peer = by_name[name]
      measurement.why[name] = excuse(peer, versions, workload, size)
      if not measurement.why[name] then
        measurement.results[name] = {}
        local command = command_of(peer, workload, size, collector_of(peer, collector))
        if not job_of[command] then
          job_of[command] = { peer = peer, command = command, measurements = {} }
          jobs[#jobs + 1] = job_of[command]
        end
        table.insert(job_of[command].measurements, measurement)
      end
    end
  end
  return measurements, jobs
end

local function do_job(job, round)
  if job.failed then return end
  local name = job.peer.name
  local result, why = measure(job.command)
  job.failed = not result
  for _, measurement in ipairs(job.measurements) do
    if result then
      measurement.results[name][round] = result
    else
      measurement.why[name] = "failed: " .. why
      measurement.failed = true
    end
  end
  if not result then progress("failed: %s: %s", job.command, why) end
end

---@return measurement[]
local function run_rounds(by_name, versions, workload, size)
  local measurements, jobs = plan(by_name, versions, workload, size)
  local most = workload.rounds and workload.rounds[size] or ROUNDS
  for round = 1, math.min(ROUNDS, most) do
    -- Back and forth, so that nobody always comes first.
    local first, last, step = 1, #jobs, 1
    if round % 2 == 0 then first, last, step = last, first, -1 end
    for i = first, last, step do do_job(jobs[i], round) end
  end
  for _, measurement in ipairs(measurements) do
    for name in pairs(measurement.why) do measurement.results[name] = nil end
  end
  return measurements
end

local function selected()
  local chosen = {}
  for _, workload in ipairs(workloads) do
    if not ONLY or workload.name:find(ONLY, 1, true) then chosen[#chosen + 1] = workload end
  end
  if not chosen[1] then error(("ONLY: no workload has %q in its name"):format(ONLY), 0) end
  return chosen
end

local LATEST = "bench/results/latest.json"

local function write_documents()
  local run = results.read(LATEST)
  report.write_documents(run)
  plot.write(run, "docs/performance.svg")
end

local function main()
  local run = {
    date = os.date "!%Y-%m-%dT%H:%M:%SZ",
    commit = machine.first_line "git describe --always --dirty --abbrev=10 --exclude '*'" or "unknown",
    rounds = ROUNDS,
    machine = machine.describe(),
    measurements = {},
  }
  local by_name
  by_name, run.versions, run.missing = find_peers()
  if not run.versions[OURS] then error("coropanic does not load: is it built?", 0) end
  local failed = false
  report.print_head()
  for _, workload in ipairs(selected()) do
    local measurements = {}
    for _, size in ipairs(workload.sizes) do
      progress("%s %d", workload.name, size)
      for _, measurement in ipairs(run_rounds(by_name, run.versions, workload, size)) do
        measurements[#measurements + 1] = measurement
        run.measurements[#run.measurements + 1] = measurement
        failed = failed or measurement.failed
      end
    end
    report.print(measurements)
  end
  os.remove(complaints)
  report.print_targets(run)
  if ONLY then
    results.write(run, report.BUILD .. "/bench/partial.json")
  else
    results.write(run, LATEST)
    write_documents()
  end
  return not failed
end

if arg[1] == "report" then
  write_documents()
else
  os.exit(main(), true)
end
