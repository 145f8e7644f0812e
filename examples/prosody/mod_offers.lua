--- A module of Prosody: `GET /offers/tea` asks all suppliers at the same time what tea costs, and answers
--- with the offers. A supplier that fails or is too slow is left out. The log then says why, and names the
--- trace of the request.
---
---     modules_enabled = { "offers" }
---     offers_suppliers = { acme = "https://acme.example/price", bolt = "https://bolt.example/price" }

local co = require "coropanic"
local prosody = require "coropanic.prosody"
local array = require "util.array"
local json = require "util.json"

local suppliers = module:get_option("offers_suppliers", {})
local seconds = module:get_option_number("offers_seconds", 0.5)
local report_seconds = module:get_option_number("offers_report_seconds", 3600)

local tasks = prosody.start(module) -- they end with the module
local served = 0

--- Asks one supplier. Prosody's client sends the trace with the request.
---@return number cents
local function ask(url, item)
  local response, err = prosody.request(url .. "/" .. item)
  if not response or response.code ~= 200 then
    error(err or "status " .. response.code, 0)
  end
  return assert(tonumber(response.body), "the answer is no number")
end

--- Returns the offers by supplier, and the names of the suppliers that are left out.
local function collect(item)
  local offers, left_out = {}, {}
  co.scope(function(scope)
    for name, url in pairs(suppliers) do
      scope:spawn_with({ name = "ask " .. name }, function()
        local ok, in_time, cents = co.pcall(co.with_timeout, seconds, ask, url, item)
        if ok and in_time then
          offers[name] = cents
          return
        end
        left_out[#left_out + 1] = name
        local record = ok and cents or in_time
        module:log("warn", "%s is left out: %s, trace %s", name, record.message, record.trace_id)
      end)
    end
  end)
  table.sort(left_out)
  return offers, left_out
end

module:depends "http"
module:provides("http", {
  route = {
    ["GET /*"] = tasks:http(function(event, item)
      local offers, left_out = collect(item)
      if next(offers) == nil then
        return 502
      end
      served = served + 1
      event.response.headers.content_type = "application/json"
      return json.encode { item = item, offers = offers, left_out = array(left_out) }
    end),
  },
})

tasks:spawn(function()
  while true do
    co.sleep(report_seconds)
    module:log("info", "%d requests served so far", served)
  end
end)
