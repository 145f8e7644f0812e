local co = require "coropanic"

local open = 0
local function connect() open = open + 1 end
local function close() open = open - 1 end

local crawl = co.func(function(pages)
  local most = 0
  for _ = 1, pages do
    connect()
    co.defer(close) --> C103
    most = math.max(most, open)
  end
  return most
end)

print("open at a time:", crawl(1000))
--[[ prints
open at a time:	1000
]]
