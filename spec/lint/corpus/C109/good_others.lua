local co = require "coropanic"

local kept

local function prepare()
  for i = 1, 2 do
    if kept and i == 1 then kept:spawn(print) end
    co.scope(function(s)
      kept = i == 2 and s or nil
      s:spawn(function()
        s:spawn(print, "from a task of the scope", i)
      end)
    end)
  end
end

co.run(prepare)
co.run(function() print "one run behind the other" end)
local task = co.run(function() return co.current() end)
local list = { run = print }
list.run(task:status())
--[[ prints
from a task of the scope	1
from a task of the scope	2
one run behind the other
done
]]
