local co = require "coropanic"

co.run_with({ clock = "virtual" }, function()
  local other = co.spawn(co.sleep, 1)
  local task = co.spawn(function()
    other:await()
    return "waits for its sibling"
  end)
  print(task:await())

  local this = co.current()
  print(co.spawn(function() return this:join(1) end):await()) -- with a time-out

  local first, second = co.mutex(), co.mutex()
  first:lock()
  if second:try_lock() then second:unlock() end
  first:unlock()
  first:lock()
  first:unlock()
  local function lock_either(lock)
    local _ <close> = lock:guard()
    return "locked"
  end
  print(lock_either(first), lock_either(second))

  local places = co.semaphore(2)
  places:acquire()
  co.defer(places.release, places)
  places:acquire() -- the second permit
  co.defer(places.release, places)
  print(places:available())
end)
--[[ prints
waits for its sibling
false	nil
locked	locked
0
]]
