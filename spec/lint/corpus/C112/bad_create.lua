local co = require "coropanic"

local create = coroutine.create

local function wait() co.sleep(0.001) end

local function body() wait() end --> C112

co.run(function()
  local thread = create(body)
  local _, message = coroutine.resume(thread)
  print(message:match ": ('.-) that")
  thread = create(function()
    co.scope(function(s) s:spawn(wait) end) --> C112
  end)
  _, message = coroutine.resume(thread)
  print(message:match ": ('.-): ")
end)
--[[ prints
'sleep' inside a coroutine
'scope' inside a coroutine that coropanic did not make
]]
