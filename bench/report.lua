-- What a run of the benchmark says, on the terminal and in documents.

local files = require "files"
local headline = require "headline"
local peers = require "peers"
local rows = require "rows"

local report = {}

local BUILD = os.getenv "BUILD" or "build"
report.BUILD = BUILD

-- The terminal ----------------------------------------------------------------------------------------------

local LINE = "%-18s %8s %-12s %10s  %-19s %10s  %7s %-18s %-16s %s"

local function print_line(...) print((LINE:format(...):gsub("%s+$", ""))) end

function report.print_head()
  print_line("workload", "n", "collector", "ours", "against", "theirs", "ratio", "least to greatest",
    "target", "")
end

---@param measurements measurement[]  # of one workload
function report.print(measurements)
  for _, row in ipairs(rows.of(measurements)) do
    print_line(row.label, row.size, row.collector, row.ours, row.peer, row.theirs, row.ratio, row.spread,
      row.target, row.verdict)
  end
end

local function count_verdicts(list)
  local counts = { met = 0, missed = 0, ["not measured"] = 0 }
  for _, row in ipairs(list) do
    local which = row.not_measured and "not measured" or row.verdict
    if counts[which] then counts[which] = counts[which] + 1 end
  end
  return ("targets: %d met, %d missed, %d not measured"):format(counts.met, counts.missed,
    counts["not measured"])
end

--- How many targets were met, and who was missing.
function report.print_targets(run)
  print(count_verdicts(rows.all(run)))
  if run.missing[1] then print("missing: " .. table.concat(run.missing, ", ")) end
end

-- Files -----------------------------------------------------------------------------------------------------

local function table_of(list)
  local lines = {
    "| workload | n | collector | ours | against | theirs | ratio (least to greatest) | target | |",
    "| --- | --: | --- | --: | --- | --: | --: | --- | --- |",
  }
  for _, row in ipairs(list) do
    local ratio = row.ratio == "" and "" or ("%s (%s)"):format(row.ratio, row.spread)
    lines[#lines + 1] = ("| %s | %s | %s | %s | %s | %s | %s | %s | %s |"):format(row.label, row.size,
      row.collector, row.ours, row.peer, row.theirs, ratio, row.target, row.verdict)
  end
  return table.concat(lines, "\n")
end

local function list_of_workloads(run)
  local lines, seen = { "| workload | what costs that much | n |", "| --- | --- | --- |" }, {}
  for _, measurement in ipairs(run.measurements) do
    local workload = measurement.workload
    if not seen[workload] then
      seen[workload] = true
      lines[#lines + 1] = ("| %s | %s | %s |"):format(workload.name, workload.operation, workload.size)
    end
  end
  return table.concat(lines, "\n")
end

local function circumstances(run)
  local where = run.machine
  local lines = {
    ("Run on %s, %d rounds, commit `%s`."):format(run.date, run.rounds, run.commit),
    ("%s, %d cores, %d MB; %s, %s; %s."):format(where.processor, where.cores, where.memory_megabytes,
      where.system, where.kernel, where.compiler),
    "",
    "| peer | version |",
    "| --- | --- |",
  }
  for _, peer in ipairs(peers) do
    if not peer.variant then
      lines[#lines + 1] = ("| %s | %s |"):format(peer.name, run.versions[peer.name] or "missing")
    end
  end
  return table.concat(lines, "\n")
end

local function against_floor(list)
  local chosen = {}
  for _, row in ipairs(list) do
    if row.peer == "floor" then chosen[#chosen + 1] = row end
  end
  return chosen
end

--- Writes the tables of documents: the headline's, what stands against the floor, and all.
function report.write_documents(run)
  local list, first = rows.all(run), headline.of(run)
  files.splice("README.md", "headline", first)
  files.splice("docs/performance.md", "headline", first)
  files.splice("docs/performance.md", "floors", table_of(against_floor(list)))
  files.splice("docs/performance.md", "figures", table.concat({
    circumstances(run),
    (count_verdicts(list):gsub("^t", "T")) .. ".",
    table_of(list),
    list_of_workloads(run),
  }, "\n\n"))
end

return report
