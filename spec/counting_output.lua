-- busted's plain output, and a last line that busted itself does not print. A pending test counts as
-- failed: this project skips nothing.
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
