local co = require "coropanic"
local P = require "go.println"

local f = co.func(function(p)
  local s
  co.defer(function()
    local r = co.recover()
    if r ~= nil then
      co.set_results(s, "caught " .. r)
    end
  end)
  s = "half"
  if p then
    co.panic("x")
  end
  return "whole", nil
end)

co.run_with({ unhandled = "crash" }, function()
  P(f(true))
  P(f(false))
end)
