-- busted's plain output, and a last line that busted itself does not print. A pending test counts as
-- failed: this project skips nothing.

-- Under `make hostile` the collector pauses for a tenth of the heap only, instead of doubling it.
if os.getenv "TEST_HOSTILE" then collectgarbage("incremental", 110, 400) end

return function(options)
  local busted = require "busted"
  local handler = require "busted.outputHandlers.plainTerminal"(options)
  busted.subscribe({ "exit" }, function()
    local failed = handler.failuresCount + handler.errorsCount + handler.pendingsCount
    print(("busted: %d passed, %d failed"):format(handler.successesCount, failed))
    return nil, true
  end)
  return handler
end
