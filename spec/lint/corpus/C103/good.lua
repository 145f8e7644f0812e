local co = require "coropanic"

local open = 0
local function connect() open = open + 1 end
local function close() open = open - 1 end

local function crawl(pages)
  local most = 0
  for _ = 1, pages do
    co.call(function() -- each page has a frame of its own
      connect()
      co.defer(close)
      most = math.max(most, open)
    end)
  end
  return most
end

print("open at a time:", crawl(1000))
--[[ prints
open at a time:	1
]]
