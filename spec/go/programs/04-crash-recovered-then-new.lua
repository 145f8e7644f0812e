local co = require "coropanic"

co.run_with({ unhandled = "crash" }, function()
  co.defer(function()
    co.recover()
    co.panic("B")
  end)
  co.panic("A")
end)
