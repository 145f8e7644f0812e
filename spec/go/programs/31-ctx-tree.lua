local co = require "coropanic"
local P = require "go.println"

local context = co.context

co.run(function()
  local a, cancel_a = context.with_cancel(context.background())
  local b, cancel_b = context.with_cancel(a)
  local c = context.with_cancel(b)
  cancel_b()
  P(a:err(), b:err(), c:err())
  cancel_a()
  P(a:err())
end)
