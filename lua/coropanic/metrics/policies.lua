--- The metrics of policies (coropanic.resilience) that have a name, from `policy:stats()` when somebody asks.

local family = require "coropanic.metrics.family"
local registry = require "coropanic.resilience.registry"

local policies = {}

---@type table<string, coropanic.metric>
policies.families = {}

---@class coropanic.metrics.of_policies
---@field family coropanic.metric
---@field label string?
---@field values (string | false)[]  # of the label; false: there is none
---@field read fun(stats: table, value: string | false): number

local by_kind = {} ---@type table<string, coropanic.metrics.of_policies[]>

--- Defines `coropanic_KIND_NAME` with a label for the policy, and perhaps another one.
---@param read (string | fun(stats: table, value: string): number)?  # the field of the stats; nil: `value` is
---@param label string?  # beside that of the policy
---@param values string[]?  # that it may have
local function define(type_of, kind, name, help, read, label, values)
  local made = family.new {
    kind = type_of, name = ("coropanic_%s_%s"):format(kind, name), help = help, labels = { kind, label },
    is_optional = true, -- not shown while there is no such policy
  }
  policies.families[made.name] = made
  by_kind[kind] = by_kind[kind] or {}
  local function read_field(stats, value) return stats[value or read] or 0 end
  table.insert(by_kind[kind], {
    family = made, label = label, values = values or { false },
    read = type(read) == "function" and read or read_field,
  })
end

local function counter(...) return define("counter", ...) end
local function gauge(...) return define("gauge", ...) end

local ENDS = { "ok", "failed", "cancelled" }

gauge("breaker", "state", "Breakers, by their states.", function(stats, value)
  return stats.state == value and 1 or 0
end, "state", { "closed", "open", "half-open", "isolated" })
counter("breaker", "calls", "Calls that a breaker let through, by their outcomes.", nil, "outcome",
  { "ok", "failed", "ignored", "cancelled", "lost" })
counter("breaker", "refused", "Calls that a breaker has refused.", "refused")
counter("breaker", "opened", "How often a breaker has opened.", "opened")

counter("retry", "calls", "Calls, by how their last attempts ended.", nil, "outcome", { "ok", "failed" })
counter("retry", "retries", "Attempts after the first.", "retries")
counter("retry", "denied", "Attempts that the budget has denied.", "denied")

counter("budget", "calls", "Calls that fill the budget.", "calls")
counter("budget", "extra", "Attempts beyond the first, of retries and hedges.", "extra")
counter("budget", "denied", "Attempts that the budget has denied.", "denied")

gauge("bulkhead", "running", "Calls that run.", "running")
gauge("bulkhead", "waiting", "Calls that wait for their turn.", "waiting")
counter("bulkhead", "calls", "Calls that had their turn, by their outcomes.", nil, "outcome", ENDS)
counter("bulkhead", "refused", "Calls for which there was no room.", "refused")

counter("hedge", "calls", "Calls, by their outcomes.", nil, "outcome", { "ok", "failed" })
counter("hedge", "hedges", "Attempts after the first, by whether theirs was the answer.", nil, "result",
  { "won", "lost" })
counter("hedge", "denied", "Attempts that the budget has denied.", "denied")

counter("boundary", "runs", "Runs that have begun.", "runs")
counter("boundary", "trips", "Runs that too many time-outs have ended.", "trips")
counter("boundary", "timeouts", "Children that have ended by a time-out.", "timeouts")
counter("boundary", "compensations", "Compensations that were called.", "compensations")
counter("boundary", "fallbacks", "Runs that have answered with the fallback.", "fallbacks")

gauge("supervisor", "running", "Children that run.", "running")
counter("supervisor", "restarts", "Restarts of children that have ended.", "restarts")
counter("supervisor", "left", "Children that were left behind, because they did not end in time.", "left")

local function text_of(one, name, value)
  local text = ('%s="%s"'):format(one.family.labels[1], family.escape(name))
  return value and ('%s,%s="%s"'):format(text, one.label, value) or text
end

-- Sets the series of the policies of a name. A counter also has what those counted that are gone.
local function set_series(one, entry, all)
  local is_counter = one.family.kind == "counter"
  if not is_counter and #all == 0 then return end
  for _, value in ipairs(one.values) do
    local sum = is_counter and one.read(entry.gone, value) or 0
    for _, stats in ipairs(all) do sum = sum + one.read(stats, value) end
    one.family:at(text_of(one, entry.name, value)).value = sum
  end
end

--- Brings all of them up to date. A policy that is gone has no gauge any more.
function policies.refresh()
  for kind, list in pairs(by_kind) do
    for _, one in ipairs(list) do one.family.series, one.family.count = {}, 0 end
    for _, entry in ipairs(registry.list(kind)) do
      local all = {}
      for i, policy in ipairs(entry.live) do all[i] = policy:stats() end
      for _, one in ipairs(list) do set_series(one, entry, all) end
    end
  end
end

return policies
