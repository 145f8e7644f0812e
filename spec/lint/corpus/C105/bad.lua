local co = require "coropanic"

co.run_with({ clock = "virtual" }, function()
  local account = co.mutex()
  local function withdraw()
    account:lock() --> C105
    co.sleep(1) -- asks the bank
    account:unlock()
  end

  local careless = co.spawn_with({ name = "careless" }, withdraw)
  co.yield()
  careless:cancel()
  print("ended well:", (careless:join()))
  local _, record = co.pcall(account.lock, account)
  print(record.message:match "^(.-) %(")
end)
--[[ prints
ended well:	false
mutex is held by task 2 "careless", which has ended
]]
