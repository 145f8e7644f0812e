local co = require "coropanic"

local context = co.context

co.run_with({ clock = "virtual" }, function()
  co.func(function() print "served" end) --> C106
  context.with_value(co.ctx(), "user", "ann") --> C106
  print("user:", co.ctx():value "user")
  local request = context.with_cancel(context.background()) --> C106
  local other, _ = context.with_cancel(request) --> C106
  co.spawn_with({ context = request, daemon = true }, co.sleep, 60)
  co.sleep(30)
  print("ended:", request:err(), other:err())
end)
--[[ prints
user:	nil
ended:	nil	nil
]]
