local co = require "coropanic"

co.run_with({ unhandled = "crash" }, function()
  co.defer(function()
    local r = co.recover()
    co.panic(r)
  end)
  co.panic("A")
end)
