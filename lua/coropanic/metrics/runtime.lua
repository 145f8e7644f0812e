--- The metrics of the runtime, from co.stats(), co.accounting() and the stream of events.

local co = require "coropanic"
local family = require "coropanic.metrics.family"

local runtime = {}

--- The most error codes of panics that have a series of their own.
local MAX_CODES = 64

-- co.accounting counts by powers of two, in nanoseconds: here are those from 1 us to 8.6 s.
local FIRST_POWER, LAST_POWER = 10, 33

local BOUNDS = {}
for power = FIRST_POWER, LAST_POWER do BOUNDS[#BOUNDS + 1] = 2 ^ power / 1e9 end
BOUNDS[#BOUNDS + 1] = math.huge

---@type table<string, coropanic.metric>
runtime.families = {}

local function define(kind, name, help, labels, unit)
  name = "coropanic_" .. name
  local made = family.new {
    kind = kind, name = name, help = help, labels = labels or {}, unit = unit,
    bounds = kind == "histogram" and BOUNDS or nil,
  }
  if not labels then made:at "" end
  runtime.families[name] = made
  return made
end

local tasks = define("gauge", "tasks", "Tasks that have not ended, by what they do.", { "state" })
local panics = define("counter", "panics", "Panics and errors of which a record was made, by their code.",
  { "error_code" })
local cancelled = define("counter", "cancelled", "Tasks and scopes that were asked to end, by who asked.",
  { "source" })
local deadlocks = define("counter", "deadlocks", "Panics of tasks that nothing could wake any more.")
local timeouts = define("counter", "timeouts", "Tasks and scopes whose time was up.")
local memory = define("gauge", "memory_bytes", "Memory in use by Lua.", nil, "bytes")
local dropped = define("counter", "metrics_dropped_series",
  "Values that were counted in a series \"other\", because their metric has too many series.")

local delays = define("histogram", "scheduling_delay_seconds",
  "From the moment a task is ready until it runs.", {}, "seconds")
local runs = define("histogram", "run_seconds", "How long a task held the loop in one go.", {}, "seconds")
local waits = define("histogram", "wait_seconds", "How long tasks waited, by what they waited in.",
  { "operation" }, "seconds")
local cycles = define("counter", "collector_cycles", "Cycles of Lua's collector.")
local idle = define("counter", "idle_seconds", "Time in which the loop slept.", nil, "seconds")

--- Counters of co.stats().
local OF_STATS = {
  spawned = define("counter", "tasks_spawned", "Tasks that were ever spawned."),
  switches = define("counter", "switches", "Resumptions of tasks."),
  unhandled = define("counter", "unhandled", "Panics that nobody has handled."),
  recovered = define("counter", "recovered", "Panics that co.recover has stopped."),
  leaked = define("counter", "leaked", "Tasks that were found asleep with nothing left to wake them."),
}

local function set(metric, text, value) metric:at(text).value = value end

local codes = 0

--- Returns the label for a panic's code, of which only the first MAX_CODES have one.
local function code_label(code)
  local text = ('error_code="%s"'):format(family.escape(code))
  if panics.series[text] then return text end
  if codes >= MAX_CODES then return 'error_code="other"' end
  codes = codes + 1
  return text
end

local function count(metric, text, trace)
  local series = metric:at(text)
  series.value = series.value + 1
  if trace then family.note_exemplar(series, 1, 1, trace) end
end

local function on_panic(record)
  local flags = tonumber(record.trace_flags or "0", 16) or 0
  count(panics, code_label(record.error_code), {
    trace_id = record.trace_id, span_id = record.span_id, sampled = flags % 2 == 1,
  })
  if record.kind == "deadlock" then count(deadlocks, "") end
end

co.observe({ "panic", "cancel" }, function(kind, object, extra)
  if kind == "panic" then
    on_panic(object)
    return
  end
  count(cancelled, ('source="%s"'):format(extra))
  if extra == "deadline" then count(timeouts, "") end
end)

local function refresh_tasks(stats)
  local running = co.current() and 1 or 0
  set(tasks, 'state="ready"', stats.ready)
  set(tasks, 'state="running"', running)
  set(tasks, 'state="waiting"', math.max(stats.live - stats.ready - running, 0))
end

--- Makes a series what co.accounting has counted by powers of two: bucket k has durations below 2^k ns.
local function set_histogram(metric, text, histogram)
  local series = metric:at(text)
  local counts = series.counts
  for i = 1, #counts do counts[i] = 0 end
  local function bucket_of(power) return math.min(math.max(power - FIRST_POWER + 1, 1), #counts) end
  for power, number in pairs(histogram.buckets) do
    local bucket = bucket_of(power)
    counts[bucket] = counts[bucket] + number
  end
  series.exemplars = {}
  for power, exemplar in pairs(histogram.exemplars) do series.exemplars[bucket_of(power)] = exemplar end
  series.value = histogram.sum
end

-- The guest has no accounting, and so no such figures.
local has_accounting = pcall(co.accounting, true)

local function refresh_accounting()
  if not has_accounting then return end
  local kept = co.accounting()
  if not kept then -- other code has turned it off more often than on
    co.accounting(true)
    kept = co.accounting()
  end
  set_histogram(delays, "", kept.delay)
  set_histogram(runs, "", kept.run)
  for operation, histogram in pairs(kept.wait) do
    set_histogram(waits, ('operation="%s"'):format(family.escape(operation)), histogram)
  end
  set(cycles, "", kept.cycles)
  set(idle, "", kept.idle)
end

--- Brings up to date what is not counted as it happens.
function runtime.refresh()
  local stats = co.stats()
  refresh_tasks(stats)
  for name, metric in pairs(OF_STATS) do set(metric, "", stats[name]) end
  refresh_accounting()
  set(memory, "", collectgarbage "count" * 1024)
  set(dropped, "", family.dropped())
end

return runtime
