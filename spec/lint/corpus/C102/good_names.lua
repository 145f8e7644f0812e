local co = require "coropanic"

-- Deferred elsewhere, by name and through co.func.
local answer = co.func(function()
  print("answer to", (co.recover()))
end)

local shop = {}

-- What becomes of a field is not known.
function shop.recover() return co.recover() end

local serve = co.func(function()
  co.defer(answer)
  co.panic "no tea"
end)

local serve_too = co.func(function()
  co.defer(shop.recover)
  co.panic "no cake"
end)

serve()
serve_too()
--[[ prints
answer to	no tea
]]
