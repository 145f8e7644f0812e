local coropanic = require "coropanic"

local sleep, chan = coropanic.sleep, coropanic.chan
local words = chan()
local breaker = require("coropanic.resilience").breaker {}

local function show(ok, ...)
  local message = select(select("#", ...), ...)
  print(ok, tostring(message):match "'[^']*' can not suspend here")
end

coropanic.run(function()
  show(pcall(function()
    return (" tea"):rep(2):gsub("%a+", function() return words:recv() end) --> C101
  end))
  show(pcall(string.gsub, "tea and cake", "%a+", function() return words:recv() end)) --> C101
  show(load(function() sleep(1) end)) --> C101
  show(pcall(table.sort, { 1, 2 }, function() return breaker:call(coropanic.yield) end)) --> C101
  package.preload["shop.prices"] = function() coropanic.yield() end --> C101
  show(pcall(require, "shop.prices"))
  local order = {}
  order.__index = order
  order.__tostring = function() return coropanic.yield() or "" end --> C101
  show(pcall(tostring, setmetatable({}, order)))
  local generator = coroutine.wrap(function()
    local held <close> = setmetatable({}, { __close = function() sleep(1) end }) --> C101
    coroutine.yield(held)
  end)
  generator()
  local ok, message = pcall(generator)
  print(ok, message:match "'sleep' inside a coroutine")
end)
--[[ prints
false	'recv' can not suspend here
false	'recv' can not suspend here
nil	'sleep' can not suspend here
false	'yield' can not suspend here
false	'yield' can not suspend here
false	'yield' can not suspend here
false	'sleep' inside a coroutine
]]
