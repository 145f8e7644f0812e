local co = require "coropanic"
local P = require "go.println"

co.run_with({ unhandled = "crash" }, function()
  local task = co.spawn(function()
    co.defer(P, "after")
    co.call(function()
      co.defer(function() P("r", (co.recover())) end)
      co.defer(function() co.panic("p") end)
      co.goexit()
    end)
    P("never")
  end)
  task:join()
  P("alive")
end)
