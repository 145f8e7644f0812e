-- Suppliers for examples/prosody/mod_offers.lua, in Prosody itself.

local co = require "coropanic"

local tasks = require "coropanic.prosody".start(module)

module:depends "http"
module:provides("http", {
  name = "suppliers",
  route = {
    ["GET /acme/tea"] = tasks:http(function()
      co.sleep(0.002)
      return "250"
    end),
    ["GET /bolt/tea"] = tasks:http(function() return "240" end),
    ["GET /snail/tea"] = tasks:http(function() co.sleep(3600) end),
    ["GET /poet/tea"] = tasks:http(function() return "dear" end),
  },
})
