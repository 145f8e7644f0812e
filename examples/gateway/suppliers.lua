--- The suppliers, and what keeps the failure of one from spreading. Each question to one goes through
---
---     hedge ▶ retry ▶ breaker ▶ bulkhead ▶ time-out ▶ the supplier
---
--- and all questions of a request through one boundary: when three of them in a row time out, the others are
--- cancelled, and the answer is what the suppliers have offered last. Where a breaker refuses, only that
--- supplier's offers are its last ones. What is asked beyond the first time, by retries and hedges of all
--- suppliers, comes from one budget.

local co = require "coropanic"
local resilience = require "coropanic.resilience"

local suppliers = {}

local NEVER_SECONDS = 3600
local ANSWER_SECONDS = 0.5 -- for one attempt
local HEDGE_SECONDS = 0.1  -- then we ask a second time
local QUANTITIES = { 1, 10, 100 }

local budget = resilience.budget { name = "suppliers", ratio = 0.1, minimum = 10, window = 10 }

---@class Supplier
---@field seconds number  # until it answers
---@field is_up boolean   # otherwise it never does
---@field asked integer
---@field answered integer
---@field given_up integer  # questions that nobody waits for any more
---@field policy table

---@param name string
---@param seconds number
---@return Supplier
local function new_supplier(name, seconds)
  return {
    seconds = seconds, is_up = true, asked = 0, answered = 0, given_up = 0,
    policy = resilience.compose(
      resilience.hedge { name = name, after = HEDGE_SECONDS, budget = budget },
      resilience.retry { name = name, attempts = 2, budget = budget },
      resilience.breaker { name = name, consecutive = 20, open_for = 1 },
      resilience.bulkhead { name = name, permits = 64, queue = 64 },
      resilience.timeout(ANSWER_SECONDS)),
  }
end

local all = {
  acme = new_supplier("acme", 0.004),
  bolt = new_supplier("bolt", 0.006),
  crow = new_supplier("crow", 0.008),
}

-- What stands in for a call over the network.
local answer = co.func(function(supplier, sku, quantity)
  supplier.asked = supplier.asked + 1
  local has_answered = false
  co.defer(function()
    local outcome = has_answered and "answered" or "given_up"
    supplier[outcome] = supplier[outcome] + 1
  end)
  co.sleep(supplier.is_up and supplier.seconds or NEVER_SECONDS)
  has_answered = true
  return (90 + 7 * sku) * quantity
end)

-- Offers -------------------------------------------------------------------------------------------------

local last = {} ---@type table<integer, table<string, integer[]>>  # by sku, of which there are few

-- What time-outs in a row leave: the answer is then made of the last offers alone.
local function give_up(record) return {}, record end

local boundary = resilience.boundary { name = "offers", trip = #QUANTITIES, fallback = give_up }

--- Asks a supplier for an offer. Where a breaker refuses there is none, but the request has not failed for
--- it: so the other questions go on, and one of them may be that by which the breaker finds out whether the
--- supplier answers again.
local function ask(supplier, sku, quantity)
  local ok, result = co.pcall(supplier.policy.call, supplier.policy, answer, supplier, sku, quantity)
  if ok then return result end
  if result.error_code ~= "BREAKER_OPEN" then error(result, 0) end
end

--- Asks all suppliers for all quantities, in tasks of the boundary.
---@return table<string, integer[]> offers, table[] tasks
local function ask_all(b, sku)
  local offers, tasks = {}, {}
  for name, supplier in pairs(all) do
    offers[name] = {}
    for i, quantity in ipairs(QUANTITIES) do
      local options = { name = ("supplier %s, %d pieces"):format(name, quantity) }
      tasks[#tasks + 1] = b:spawn_with(options, function()
        offers[name][i] = ask(supplier, sku, quantity)
      end)
    end
  end
  return offers, tasks
end

local function is_complete(offers)
  for i = 1, #QUANTITIES do
    if not offers[i] then return false end
  end
  return true
end

--- Makes offers that are not complete the last ones that were, and keeps the others for that.
---@return string[]? stale  # the suppliers of last offers
---@return string[]? left_out  # those that have never made one
local function fill_up(offers, sku)
  local stale, left_out = {}, {}
  last[sku] = last[sku] or {}
  for name in pairs(all) do
    if offers[name] and is_complete(offers[name]) then
      last[sku][name] = offers[name]
    else
      offers[name] = last[sku][name]
      table.insert(offers[name] and stale or left_out, name)
    end
  end
  return stale[1] and stale, left_out[1] and left_out
end

--- The records of the tasks that have timed out, too few to trip.
local function records_of(tasks)
  local records = {}
  for _, task in ipairs(tasks) do
    local ok, record = task:join()
    if not ok then records[#records + 1] = record end
  end
  return records
end

--- What the suppliers offer for an article, or what they have offered last.
---@param sku integer
---@return { sku: integer, quantities: integer[], offers: table, stale: string[]?, left_out: string[]?,
---fallback: true? } answer  # `fallback`: the boundary has tripped
---@return table[] records  # of time-outs, to be reported
function suppliers.offers(sku)
  local tasks
  local offers, record = boundary:run(function(b)
    local asked
    asked, tasks = ask_all(b, sku)
    return asked
  end)
  local records = record and { record } or records_of(tasks)
  local stale, left_out = fill_up(offers, sku)
  return {
    sku = sku, quantities = QUANTITIES, offers = offers, stale = stale, left_out = left_out,
    fallback = record and true,
  }, records
end

-- For operators, and for the demo ------------------------------------------------------------------------

--- Makes a supplier answer, or never answer.
---@param name string
---@param is_up boolean
---@return boolean known
function suppliers.set(name, is_up)
  local supplier = all[name]
  if supplier then supplier.is_up = is_up end
  return supplier ~= nil
end

--- What the suppliers themselves have seen.
---@return table<string, { asked: integer, answered: integer, given_up: integer }>
function suppliers.ledger()
  local ledger = {}
  for name, one in pairs(all) do
    ledger[name] = { asked = one.asked, answered = one.answered, given_up = one.given_up }
  end
  return ledger
end

return suppliers
