local co = require "coropanic"

co.run(function()
  local stock = { tea = 3, cake = 1 }
  local function count(item)
    co.sleep(0.001) -- asks the shelf
    return stock[item]
  end

  local items = { "tea", "cake" }
  local ok, message = pcall(table.sort, items, function(a, b)
    return count(a) < count(b) --> C101
  end)
  print(ok, message:match ": (.*)")
end)
--[[ prints
false	'sleep' can not suspend here: the C function 'table.sort' is in the way; do this before or after it
]]
