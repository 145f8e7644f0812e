-- What a run of the benchmark says: on the terminal, in docs/performance.md, as raw figures and as a plot.

local cjson = require "cjson"
local machine = require "machine"
local peers = require "peers"
local statistics = require "statistics"

local report = {}

local OURS = "coropanic"
report.OURS = OURS

local BUILD = os.getenv "BUILD" or "build"
report.BUILD = BUILD

local BEGIN, END = "<!-- made by `make bench`: begin -->", "<!-- made by `make bench`: end -->"

-- Rows ------------------------------------------------------------------------------------------------------

local function three_digits(value)
  if value >= 100 then return ("%.0f"):format(value) end
  if value >= 10 then return ("%.1f"):format(value) end
  return ("%.2f"):format(value)
end

local function median_cost(results, workload)
  local unit = workload.unit
  return three_digits(statistics.costs(results).median * unit.per) .. " " .. unit.name
end

-- Small ratios need their digits to be told apart.
local function ratio_text(ratio) return (ratio < 0.1 and "%.4f" or "%.2f"):format(ratio) end

local function target_text(target)
  if target.times_faster then return ("%g times faster"):format(target.times_faster) end
  return ("at most %g"):format(target.at_most)
end

local function verdict(met) return met and "met" or "missed" end

---@class row
---@field workload string
---@field size string
---@field ours string
---@field peer string
---@field theirs string
---@field ratio string
---@field spread string
---@field target string
---@field verdict string  # whether the target is met, or why there is no ratio
---@field not_measured boolean?  # there is a target and no ratio
---@field plotted spread?  # the ratio
---@field bound number?  # the greatest ratio that meets the target

local function new_row(measurement, ours)
  return {
    workload = measurement.workload.name,
    size = ("%d"):format(measurement.size),
    ours = ours,
    peer = "", theirs = "", ratio = "", spread = "", target = "", verdict = "",
  }
end

local function set_ratio(row, ratio, target)
  row.ratio = ratio_text(ratio.median)
  row.spread = ratio_text(ratio.least) .. " to " .. ratio_text(ratio.greatest)
  row.plotted = ratio
  if target then
    row.bound = statistics.bound(target)
    row.target = target_text(target)
    row.verdict = verdict(ratio.median <= row.bound)
  end
end

--- The rows of one workload; the sizes of a workload may be compared with each other.
---@param measurements measurement[]  # one for each size
---@return row[]
function report.rows(measurements)
  local rows = {}
  local by_size = {}
  for _, measurement in ipairs(measurements) do
    local workload, size = measurement.workload, measurement.size
    local ours = measurement.results[OURS]
    by_size[size] = ours
    local our_cost = ours and median_cost(ours, workload) or "none"
    for _, peer in ipairs(workload.peers) do
      local row = new_row(measurement, our_cost)
      local theirs = measurement.results[peer]
      row.peer = peer
      row.theirs = theirs and median_cost(theirs, workload) or "none"
      row.verdict = measurement.why[peer] or measurement.why[OURS] or ""
      local target = statistics.target(workload, size, "against", peer)
      if ours and theirs then
        set_ratio(row, statistics.ratio(ours, theirs), target)
      elseif target then
        row.target, row.not_measured = target_text(target), true
      end
      rows[#rows + 1] = row
    end
    local target = statistics.target(workload, size, "against_size")
    local smaller = target and by_size[target.against_size]
    if ours and smaller then
      local row = new_row(measurement, our_cost)
      row.peer = ("%s %d"):format(OURS, target.against_size)
      row.theirs = median_cost(smaller, workload)
      set_ratio(row, statistics.ratio(ours, smaller), target)
      rows[#rows + 1] = row
    end
    target = statistics.target(workload, size, "at_most_cost")
    if target and ours then
      local row = new_row(measurement, our_cost)
      row.target = ("at most %g %s"):format(target.at_most_cost, workload.unit.name)
      row.verdict = verdict(statistics.costs(ours).median * workload.unit.per <= target.at_most_cost)
      rows[#rows + 1] = row
    end
  end
  return rows
end

--- All rows of a run, in order.
local function all_rows(run)
  local rows, group = {}, {}
  local function flush()
    for _, row in ipairs(report.rows(group)) do rows[#rows + 1] = row end
    group = {}
  end
  for _, measurement in ipairs(run.measurements) do
    if group[1] and group[1].workload ~= measurement.workload then flush() end
    group[#group + 1] = measurement
  end
  flush()
  return rows
end

-- The terminal ----------------------------------------------------------------------------------------------

local LINE = "%-16s %8s %10s  %-19s %10s  %7s %-18s %-16s %s"

local function print_line(...) print((LINE:format(...):gsub("%s+$", ""))) end

function report.print_head()
  print_line("workload", "n", "ours", "against", "theirs", "ratio", "least to greatest", "target", "")
end

---@param measurements measurement[]  # of one workload
function report.print(measurements)
  for _, row in ipairs(report.rows(measurements)) do
    print_line(row.workload, row.size, row.ours, row.peer, row.theirs, row.ratio, row.spread, row.target,
      row.verdict)
  end
end

local function count_verdicts(rows)
  local counts = { met = 0, missed = 0, ["not measured"] = 0 }
  for _, row in ipairs(rows) do
    local which = row.not_measured and "not measured" or row.verdict
    if counts[which] then counts[which] = counts[which] + 1 end
  end
  return ("targets: %d met, %d missed, %d not measured"):format(counts.met, counts.missed,
    counts["not measured"])
end

--- How many targets were met, and who was missing.
function report.print_targets(run)
  print(count_verdicts(all_rows(run)))
  if run.missing[1] then print("missing: " .. table.concat(run.missing, ", ")) end
end

-- Files -----------------------------------------------------------------------------------------------------

local function write(path, text)
  local directory = path:match "^(.*)/"
  assert(os.execute(("mkdir -p '%s'"):format(directory)))
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text))
end

--- Every figure as the peers gave it; a measurement a line.
function report.write_raw(run, path)
  local lines = {}
  for i, measurement in ipairs(run.measurements) do
    lines[i] = cjson.encode {
      workload = measurement.workload.name,
      n = measurement.size,
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
  write(path, ('{%s"measurements":[\n%s\n]}\n'):format(table.concat(text), table.concat(lines, ",\n")))
end

local function table_of(rows)
  local lines = {
    "| workload | n | ours | against | theirs | ratio (least to greatest) | target | |",
    "| --- | --: | --: | --- | --: | --: | --- | --- |",
  }
  for _, row in ipairs(rows) do
    local ratio = row.ratio == "" and "" or ("%s (%s)"):format(row.ratio, row.spread)
    lines[#lines + 1] = ("| %s | %s | %s | %s | %s | %s | %s | %s |"):format(row.workload, row.size, row.ours,
      row.peer, row.theirs, ratio, row.target, row.verdict)
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

--- Replaces the part of the document between the markers.
function report.write_document(run, path)
  local file <close> = assert(io.open(path))
  local text = file:read "a"
  local _, first = text:find(BEGIN, 1, true)
  local last = text:find(END, 1, true)
  if not (first and last and first < last) then error(path .. ": the markers are gone", 0) end
  local rows = all_rows(run)
  local made = table.concat({
    "",
    circumstances(run),
    (count_verdicts(rows):gsub("^t", "T")) .. ".",
    table_of(rows),
    list_of_workloads(run),
    "",
  }, "\n\n")
  write(path, text:sub(1, first) .. made:sub(2, -2) .. text:sub(last))
end

local PLOT = [[
set terminal svg size 900,%d font "sans-serif,11" background "white"
set output %q
set logscale x
set grid x
set key top outside horizontal
set xlabel "ratio of coropanic's cost to the other's: left of 1 coropanic is faster or smaller"
set yrange [%d.5:0.5]
set arrow from 1, graph 0 to 1, graph 1 nohead lw 2 lc "gray40"
set xrange [%g:%g]
plot %q using 2:1:3:4:ytic(6) with xerrorbars pt 7 ps 0.6 lc "#1f5fa8" title "median, least to greatest", \
     "" using 5:1 with points pt 2 ps 0.8 lc "#c03020" title "target: at most"
]]

--- The ratios as a plot, made by gnuplot; without it the former plot is left.
function report.write_plot(run, path)
  if not machine.first_line "gnuplot --version" then
    io.stderr:write("missing: gnuplot; ", path, " is not made anew\n")
    return
  end
  local lines, least, greatest = {}, 1, 1
  for _, row in ipairs(all_rows(run)) do
    local ratio = row.plotted
    if ratio then
      local label = ("%s %s / %s"):format(row.workload:gsub("_", " "), row.size, row.peer)
      lines[#lines + 1] = ('%d %g %g %g %s "%s"'):format(#lines + 1, ratio.median, ratio.least,
        ratio.greatest, row.bound and ("%g"):format(row.bound) or "NaN", label)
      least = math.min(least, ratio.least, row.bound or 1)
      greatest = math.max(greatest, ratio.greatest, row.bound or 1)
    end
  end
  local data = BUILD .. "/bench/ratios.txt"
  write(data, table.concat(lines, "\n") .. "\n")
  local script = BUILD .. "/bench/plot.gnuplot"
  write(script, PLOT:format(120 + 17 * #lines, path, #lines, least / 1.5, greatest * 1.5, data))
  assert(os.execute("gnuplot " .. script))
end

return report
