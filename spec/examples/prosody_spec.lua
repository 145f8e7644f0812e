--- examples/prosody/mod_offers.lua in the real Prosody, which also plays the suppliers.

local http = require "socket.http"
local ltn12 = require "ltn12"
local json = require "cjson"
local prosody_process = require "spec.hosts.prosody_process"

local SETTINGS = [[
modules_enabled = { "spec_suppliers", "offers" }
offers_report_seconds = 0.05
offers_suppliers = {
  acme = "http://127.0.0.1:$port/suppliers/acme", bolt = "http://127.0.0.1:$port/suppliers/bolt",
  poet = "http://127.0.0.1:$port/suppliers/poet", snail = "http://127.0.0.1:$port/suppliers/snail",
  away = "http://127.0.0.1:1",
}
]]

describe("examples/prosody/mod_offers.lua", function()
  local prosody

  setup(function() prosody = prosody_process.start { host = SETTINGS } end)
  teardown(function() prosody:stop() end)

  local function get(item)
    local pieces = {}
    local _, code = http.request {
      url = ("http://127.0.0.1:%d/offers/%s"):format(prosody.port, item),
      headers = { traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" },
      sink = ltn12.sink.table(pieces),
    }
    return code, table.concat(pieces)
  end

  it("collects the offers and logs who is left out, under the request's trace", function()
    local code, answer = get "tea"
    assert.equal(200, code)
    assert.same({
      item = "tea",
      offers = { acme = 250, bolt = 240 },
      left_out = { "away", "poet", "snail" },
    }, json.decode(answer))
    local TRACE = ", trace 0af7651916cd43dd8448eb211c80319c"
    prosody:wait_for("snail is left out: context deadline exceeded" .. TRACE)
    prosody:wait_for("away is left out: connection refused" .. TRACE)
    prosody:wait_for "poet is left out: "
  end)

  it("answers 502 if there is no offer", function()
    assert.equal(502, (get "gold"))
  end)

  it("reports from a task of its own", function()
    prosody:wait_for "1 requests served so far"
  end)
end)
