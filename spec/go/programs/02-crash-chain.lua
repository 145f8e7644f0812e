local co = require "coropanic"

co.run_with({ unhandled = "crash" }, function()
  co.defer(function() co.panic("C") end)
  co.defer(function() co.panic("B") end)
  co.panic("A")
end)
