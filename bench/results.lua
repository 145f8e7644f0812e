-- Every figure of a run, as bench/results/latest.json has it: what the tables and the plot are made of.

local cjson = require "cjson"
local files = require "files"
local workloads = require "workloads"

local results = {}

--- Writes a run as the peers gave it; a measurement a line.
function results.write(run, path)
  local lines = {}
  for i, measurement in ipairs(run.measurements) do
    lines[i] = cjson.encode {
      workload = measurement.workload.name,
      n = measurement.size,
      collector = measurement.collector,
      results = measurement.results,
      without = next(measurement.why) and measurement.why or nil,
    }
  end
  local head = {
    { "date", run.date }, { "commit", run.commit }, { "rounds", run.rounds }, { "machine", run.machine },
    { "versions", run.versions }, { "missing", run.missing[1] and run.missing or cjson.empty_array },
  }
  local text = {}
  for i, field in ipairs(head) do
    text[i] = ("%s:%s,\n"):format(cjson.encode(field[1]), cjson.encode(field[2]))
  end
  files.write(path, ('{%s"measurements":[\n%s\n]}\n'):format(table.concat(text), table.concat(lines, ",\n")))
end

--- Reads what `write` has written. Workloads that are no more are left out.
function results.read(path)
  local file <close> = assert(io.open(path))
  local run = cjson.decode(file:read "a")
  local by_name = {}
  for _, workload in ipairs(workloads) do by_name[workload.name] = workload end
  local measurements = {}
  for _, line in ipairs(run.measurements) do
    local workload = by_name[line.workload]
    if workload then
      measurements[#measurements + 1] = {
        workload = workload,
        size = line.n,
        collector = line.collector,
        results = line.results,
        why = line.without or {},
      }
    end
  end
  run.measurements = measurements
  return run
end

return results
