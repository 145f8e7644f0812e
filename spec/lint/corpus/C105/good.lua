local co = require "coropanic"

co.run_with({ clock = "virtual" }, function()
  local account = co.mutex()
  local function withdraw()
    local _ <close> = account:guard()
    co.sleep(1) -- asks the bank
  end

  local careful = co.spawn_with({ name = "careful" }, withdraw)
  co.yield()
  careful:cancel()
  print("ended well:", (careful:join()))
  print("locked:", account:locked())
end)
--[[ prints
ended well:	false
locked:	false
]]
