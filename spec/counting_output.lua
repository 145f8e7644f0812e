-- busted's plain output, and a last line that busted itself does not print. A pending test counts as
-- failed: this project skips nothing.

-- Under `make hostile` the collector pauses for a tenth of the heap only, instead of doubling it.
if os.getenv "TEST_HOSTILE" then collectgarbage("incremental", 110, 400) end

-- What busted needs of a block or test once its file has ended.
local KEPT = { attributes = true, descriptor = true, name = true }

return function(options)
  local busted = require "busted"
  local handler = require "busted.outputHandlers.plainTerminal"(options)

  --- busted would keep each test to the end, with all that its function refers to: a collection then takes
  --- longer from file to file, and hundreds of specs collect.
  local function forget_blocks_of(element)
    for _, child in ipairs(busted.children(element)) do
      forget_blocks_of(child)
      for key in pairs(child) do
        if not KEPT[key] then child[key] = nil end
      end
    end
  end

  local luv -- closes its loop with the module that was loaded first, and goes on using it

  busted.subscribe({ "file", "end" }, function(file)
    luv = luv or package.loaded.luv
    forget_blocks_of(file)
    file.env = nil
    handler.successes = {} -- their number is counted besides
    return nil, true
  end)
  busted.subscribe({ "exit" }, function()
    local failed = handler.failuresCount + handler.errorsCount + handler.pendingsCount
    print(("busted: %d passed, %d failed"):format(handler.successesCount, failed))
    return nil, true
  end)
  return handler
end
