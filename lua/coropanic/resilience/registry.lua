--- The policies that were given a name, for metrics and the Trace Explorer. It keeps none of them alive: only
--- the counts of one that is gone stay, added to those of its name, because a counter never falls.
---
--- There are at most MAX_NAMES names of a kind; policies with further ones are counted as "other".

local co = require "coropanic"

if require "coropanic.resilience.cooperates" then co.cooperative() end

local registry = {}

registry.MAX_NAMES = 100

--- The name of those that have come too late for one of their own.
registry.OTHER = "other"

-- So many policies of a name may be there before those that are gone are looked for.
local LEAST_LIMIT = 8

local WEAK = { __mode = "v" }

---@class coropanic.resilience.entry
---@field name string
---@field live table  # policies by number, weak
---@field counts table<integer, table<string, integer>>  # of each, gone or not, by the same numbers
---@field gone table<string, integer>  # of those whose counts are not kept apart any more
---@field last integer  # the number of the last one
---@field limit integer  # beyond it, the gone ones are looked for

---@type table<string, { count: integer, entries: table<string, coropanic.resilience.entry> }>
local kinds = {}

local function new_entry(name)
  return {
    name = name, live = setmetatable({}, WEAK), counts = {}, gone = {}, last = 0, limit = LEAST_LIMIT,
  }
end

local function entry_of(kind, name)
  local known = kinds[kind]
  if not known then
    known = { count = 0, entries = {} }
    kinds[kind] = known
  end
  if not known.entries[name] and known.count >= registry.MAX_NAMES then name = registry.OTHER end
  local entry = known.entries[name]
  if not entry then
    entry = new_entry(name)
    known.entries[name], known.count = entry, known.count + 1
  end
  return entry
end

-- Adds up the counts of the policies that are gone, and gives the others new numbers.
local function forget_gone(entry)
  local live, counts, last = setmetatable({}, WEAK), {}, 0
  for i = 1, entry.last do
    local policy = entry.live[i]
    if policy then
      last = last + 1
      live[last], counts[last] = policy, entry.counts[i]
    else
      for name, count in pairs(entry.counts[i]) do entry.gone[name] = (entry.gone[name] or 0) + count end
    end
  end
  entry.live, entry.counts, entry.last = live, counts, last
  entry.limit = math.max(LEAST_LIMIT, 2 * last)
end

--- Notes a policy under its name.
---@param kind string  # "breaker"
---@param policy table  # with `name` and `counts`
function registry.add(kind, policy)
  local entry = entry_of(kind, policy.name)
  if entry.last >= entry.limit then forget_gone(entry) end
  entry.last = entry.last + 1
  entry.live[entry.last], entry.counts[entry.last] = policy, policy.counts
end

--- Returns what there is of a kind, in the order of the names: the policies that are alive, and the counts of
--- those that are gone.
---@param kind string
---@return { name: string, live: table[], gone: table<string, integer> }[]
function registry.list(kind)
  local list = {}
  for _, entry in pairs(kinds[kind] and kinds[kind].entries or {}) do
    forget_gone(entry)
    local live = {}
    for i = 1, entry.last do live[#live + 1] = entry.live[i] end
    list[#list + 1] = { name = entry.name, live = live, gone = entry.gone }
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

return registry
