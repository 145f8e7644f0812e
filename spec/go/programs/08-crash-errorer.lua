local co = require "coropanic"

--- An error as Lua libraries make them: a table with a message.
co.run_with({ unhandled = "crash" }, function()
  error({ n = 7, message = "E seven" })
end)
