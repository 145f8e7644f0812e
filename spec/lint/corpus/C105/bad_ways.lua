local co = require "coropanic"

local stock, places, shelf = co.mutex(), co.semaphore(2), co.rwmutex()
local never = co.mutex()

local function take(count)
  stock:lock() --> C105
  if count == 0 then
    return "nothing"
  end
  stock:unlock()
  return "taken"
end

local function ask() co.sleep(1) end

local function serve()
  if places:acquire(1) then --> C105
    for _ = 1, 2 do ask() end
    places:release()
  end
end

local function read()
  local ok = shelf:rlock(5) --> C105
  if not ok then return end
  do
    local _ = co.pcall(co.sleep, 1)
  end
  shelf:runlock()
end

co.run_with({ clock = "virtual" }, function()
  print(take(0), stock:locked())
  co.with_timeout(0.5, serve)
  print(places:available(), "of 2 places")
  co.with_timeout(0.5, read)
  print(shelf)
  never:lock() --> C105
  print(never:locked())
end)
--[[ prints
nothing	true
1	of 2 places
rwmutex (1 reader)
true
]]
