local co = require "coropanic"
local P = require "go.println"

co.run(function()
  local o = co.once(function()
    P("once")
    co.panic("x")
  end)
  local try = co.func(function()
    co.defer(function() P("r", (co.recover())) end)
    -- co.once has results, as sync.OnceValue: it would panic again. This is what sync.Once's Do does.
    if not o:done() then o() end
  end)
  try()
  try()
end)
