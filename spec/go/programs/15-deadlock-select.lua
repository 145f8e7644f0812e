local co = require "coropanic"

co.run_with({ unhandled = "crash" }, function()
  co.select()
end)
