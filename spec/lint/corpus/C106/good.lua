local co = require "coropanic"

co.run(function()
  local task = co.spawn(function()
    error("no tea", 0)
  end)
  local ok, record = task:join()
  print(ok or record.message)
end)
--[[ prints
no tea
]]
