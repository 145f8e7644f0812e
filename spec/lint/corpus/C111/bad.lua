local co = require "coropanic"

co.run(function()
  local stock = co.mutex()
  local function count()
    local _ <close> = stock:guard()
    local _ <close> = stock:guard() --> C111
  end

  local _, record = co.pcall(count)
  print(record.kind, record.message:match "^(.-) %(")
end)
--[[ prints
deadlock	mutex is already held by this task
]]
