local co = require "coropanic"

local try = pcall

local function work() co.sleep(60) end

--- Cancels a task, and prints whether it went on after that.
local function cancelled(fn)
  co.run_with({ clock = "virtual" }, function()
    local went_on = false
    local task = co.spawn(fn, function() went_on = true end)
    co.yield()
    task:cancel()
    local ok = task:join()
    print(ok, "went on:", went_on)
  end)
end

cancelled(function(note)
  pcall(work) --> C104
  note()
end)
cancelled(function(note)
  if xpcall(work, debug.traceback) then --> C104
    print "worked"
  end
  note()
end)
cancelled(function(note)
  local ok = try(work) --> C104
  if ok then print "worked" else note() end
end)
cancelled(function(note)
  local tries = 0
  repeat
    tries = tries + 1
  until tries == 3 or pcall(note)
  while not pcall(work) do --> C104
    note()
    co.yield()
  end
end)
--[[ prints
false	went on:	true
false	went on:	true
false	went on:	true
false	went on:	true
]]
