local co = require "coropanic"

local stock, places, shelf = co.mutex(), co.semaphore(2), co.rwmutex()

local function take(count)
  stock:lock()
  local left = count - 1 -- nothing suspends here
  stock:unlock()
  co.yield()
  return left
end

local function serve()
  places:acquire()
  co.spawn(function() -- gives it back itself
    co.defer(places.release, places)
    co.sleep(1)
  end)
end

local function read()
  if not shelf:rlock(5) then return nil end
  co.defer(function() shelf:runlock() end)
  co.sleep(1)
  return "read"
end

local function protected()
  stock:lock()
  local ok, problem = pcall(co.sleep, 1) -- catches a cancellation, too
  stock:unlock()
  if not ok then error(problem, 0) end
  stock:lock()
  local done = pcall(function()
    co.yield()
    stock:unlock()
  end)
  co.yield() -- locked or not, which is not known here
  return done and "unlocked in it"
end

local shop = {}

-- Who opens also closes: that is not for this file to judge.
function shop.open() stock:lock() return "open" end

function shop.close() stock:unlock() end

local function use(lock)
  lock:lock() -- of what is not known here
  co.yield()
  lock:unlock()
end

co.run_with({ clock = "virtual" }, function()
  print(take(2))
  serve()
  print(co.call(read))
  print(protected())
  print(shop.open())
  shop.close()
  use(stock)
  if stock:lock(1) then
    stock:unlock()
  else
    co.sleep(1)
  end
  print(stock:locked(), shelf, places:available())
end)
--[[ prints
1
read
unlocked in it
open
false	rwmutex (unlocked)	2
]]
