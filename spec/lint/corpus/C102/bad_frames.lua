local co = require "coropanic"

local recover = co.recover

local serve = co.func(function()
  co.defer(function()
    co.call(function()
      print("further in:", recover()) --> C102
    end)
  end)
  print("in the body:", recover()) --> C102
  co.panic "no tea"
end)

print("served:", (pcall(serve)))
print("in a task:", co.run(function() return (co.recover()) end)) --> C102
--[[ prints
in the body:	nil
further in:	nil
served:	false
in a task:	nil
]]
