local co = require "coropanic"

--- Lua has no nil channel to send on, but a select has nil cases, which are never ready.
co.run_with({ unhandled = "crash" }, function()
  co.select(nil, nil)
end)
