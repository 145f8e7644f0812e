--- The business: prices, behind a token check and a quota, each answered by a slow back end. Every request
--- fans out to child tasks, and what it takes it gives back in a deferred call. Some prices are broken on
--- purpose; nothing here knows about HTTP but the status that it answers with.

local co = require "coropanic"
local suppliers = require "suppliers"
local tokens = require "tokens"

local service = {}

-- How long the back ends take to answer.
local LATENCY_SECONDS = { quota = 0.003, price = 0.005, audit = 0.001 }
local NEVER_SECONDS = 3600

local SLOTS = 256 -- quotes worked on at a time; more are refused
local TRIAL_QUOTAS = { trial = 25 } -- quotes that a trial token is good for; other tokens are not limited
local MAX_SKU = 999
local MAX_SKUS = 100 -- in one POST /quotes

-- Faulty data, as it creeps into every catalogue: what a request for one of these does is told in README.md.
local FAULTY = {
  [13] = { cents = nil, pack = 1 },
  [500] = { cents = 1200, pack = 0 },
}
local AUDITED = { [666] = true }
local STUCK = { [777] = true } -- the price of these never comes

local slots = { limit = SLOTS, in_use = 0, peak = 0, taken = 0, given_back = 0 }
local used = {} ---@type table<string, integer>  # quotes by trial token

local function refuse(code, message)
  co.panic { code = code, message = message }
end

local function check_slots()
  if slots.in_use >= slots.limit then
    refuse("SLOTS_EXHAUSTED", "too many quotes at a time")
  end
end

-- Comes after the deferred call that gives it back: to defer takes memory, and to take a slot can not fail.
local function take_slot()
  slots.taken = slots.taken + 1
  slots.in_use = slots.in_use + 1
  slots.peak = math.max(slots.peak, slots.in_use)
end

local function give_slot_back()
  slots.given_back = slots.given_back + 1
  slots.in_use = slots.in_use - 1
end

local function check_token(token)
  if not token then
    refuse("TOKEN_MISSING", "send 'Authorization: Bearer <token>'")
  end
  local state = tokens.look_up(token)
  if state == "expired" then
    refuse("TOKEN_EXPIRED", "the token has expired")
  elseif state ~= "valid" then
    refuse("TOKEN_UNKNOWN", "nobody has this token")
  end
end

local function check_quota(token)
  co.sleep(LATENCY_SECONDS.quota)
  local quota = token and TRIAL_QUOTAS[token]
  if quota then
    used[token] = (used[token] or 0) + 1
    if used[token] > quota then
      refuse("RATE_LIMITED", ("the trial ends after %d quotes"):format(quota))
    end
  end
end

local function look_up_price(sku)
  co.sleep(STUCK[sku] and NEVER_SECONDS or LATENCY_SECONDS.price)
  if sku > MAX_SKU then
    refuse("SKU_UNKNOWN", ("there is no sku %d"):format(sku))
  end
  local entry = FAULTY[sku] or { cents = 100 + 7 * sku, pack = 1 }
  return entry.cents / entry.pack
end

local function audit(sku)
  co.sleep(LATENCY_SECONDS.audit)
  co.panic(("the audit ledger refuses sku %d"):format(sku))
end

--- Prices all `skus` at once, while the token and the quota are checked. When one of these fails, the
--- others are cancelled, and its panic goes on here, and from here to who recovers it.
local price_all = co.func(function(token, skus)
  check_slots()
  co.defer(give_slot_back)
  take_slot()
  local prices = {}
  co.scope(function(scope)
    scope:spawn_with({ name = "token check" }, check_token, token)
    scope:spawn_with({ name = "rate limit" }, check_quota, token)
    for i, sku in ipairs(skus) do
      scope:spawn_with({ name = "price lookup " .. sku }, function()
        prices[i] = look_up_price(sku)
      end)
    end
  end)
  return prices
end)

local find_offers = co.func(function(sku)
  check_slots()
  co.defer(give_slot_back) -- also when its time is over
  take_slot()
  return suppliers.offers(sku)
end)

--- Takes the accounts of what is answered for without it. A server may set another one.
function service.report(record) io.stderr:write(tostring(record) .. "\n") end

--- The price of one article.
---@param token string?
---@param sku integer
---@return integer status, table answer
function service.quote(token, sku)
  local prices = price_all(token, { sku })
  if AUDITED[sku] then
    -- Nobody waits for it: under the background's context it is none of the request's business.
    co.spawn_with({ name = "audit", context = co.context.background() }, audit, sku)
    return 202, { sku = sku, state = "being audited" }
  end
  return 200, { sku = sku, cents = prices[1] }
end

--- What the suppliers offer, or what they offered last. Who did not answer is part of the answer, and the
--- account of it is ours to report.
---@param token string?
---@param sku integer
---@return integer status, table answer
function service.offers(token, sku)
  check_token(token)
  local answer, records = find_offers(sku)
  for _, record in ipairs(records) do service.report(record) end
  return 200, answer
end

--- The prices of several.
---@param token string?
---@param skus any  # from the client: to be checked
---@return integer status, table answer
function service.quotes(token, skus)
  if type(skus) ~= "table" or #skus == 0 or #skus > MAX_SKUS then
    refuse("BODY_INVALID", ('the body is to be {"skus":[...]} with 1 to %d numbers'):format(MAX_SKUS))
  end
  for i, sku in ipairs(skus) do
    local is_sku = type(sku) == "number" and sku >= 0 and sku < math.huge and sku % 1 == 0
    if not is_sku then
      refuse("BODY_INVALID", ("skus[%d] is not a sku"):format(i))
    end
    skus[i] = math.floor(sku) -- 3, if it was 3.0
  end
  return 200, { skus = skus, cents = price_all(token, skus) }
end

--- Counts of what quotes hold, to show that nothing leaks.
---@return { limit: integer, in_use: integer, peak: integer, taken: integer, given_back: integer }
function service.slots()
  return slots
end

return service
