local co = require "coropanic"

co.run_with({ seed = 1 }, function()
  local urgent = co.chan(1000)
  local alias = urgent
  for i = 1, 1000 do urgent:send(i) end
  local taken = { 0, 0 }
  for _ = 1, 1000 do
    local case = co.select(nil, urgent, alias) --> C108
    taken[case] = taken[case] + 1
  end
  print("as the second:", taken[2] > 400 and taken[2] < 600)

  local full = co.chan(1)
  full:send(1)
  local first, second = 0, 0
  for i = 1, 1000 do
    local case = co.select(0, full, { full, i }) --> C108
    if case == 1 then first = first + 1 else second = second + 1 end
  end
  print("in turns:", first == second)
end)
--[[ prints
as the second:	true
in turns:	true
]]
