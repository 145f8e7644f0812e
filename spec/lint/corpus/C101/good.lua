local co = require "coropanic"

co.run(function()
  local stock = { tea = 3, cake = 1 }
  local function count(item)
    co.sleep(0.001) -- asks the shelf
    return stock[item]
  end

  local items, counts = { "tea", "cake" }, {}
  for _, item in ipairs(items) do
    counts[item] = count(item) -- before the sort
  end
  table.sort(items, function(a, b) return counts[a] < counts[b] end)
  print(table.concat(items, " "))
end)
--[[ prints
cake tea
]]
