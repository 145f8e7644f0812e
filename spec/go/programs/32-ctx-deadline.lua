local co = require "coropanic"
local P = require "go.println"

local context = co.context

co.run(function()
  local c, cancel = context.with_timeout(context.background(), 0.001)
  co.defer(cancel)
  c:done():recv()
  P(c:err())
  local d, cancel_d = context.with_timeout(c, 3600)
  co.defer(cancel_d)
  P(d:err())
end)
