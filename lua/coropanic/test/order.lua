--- Turns co.order on while a test runs under one seed: the tasks of another run do not wait for its own.

local co = require "coropanic"

local order = {}

--- Forgets what other runs did, and turns the order on. Returns a function that turns it off again, if it
--- was off. The guest has no order.
function order.begin()
  local is_there, found = pcall(co.order, { start = false })
  if not is_there then return function() end end
  local was_on = found:stats().on
  found:reset()
  co.order()
  return function()
    if not was_on then found:stop() end
  end
end

return order
