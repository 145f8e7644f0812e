local co = require "coropanic"
local P = require "go.println"

co.run_with({ unhandled = "crash" }, function()
  local task = co.spawn(function()
    co.defer(function() P("outer recover", (co.recover())) end)
    co.defer(function() co.goexit() end)
    co.panic("lost")
  end)
  task:join()
  P("alive")
end)
