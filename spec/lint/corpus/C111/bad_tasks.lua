local co = require "coropanic"

local function show(_, record)
  print(record.kind, (record.message:match "a task can not .-:" or record.message:match "%a+"))
end

co.run(function()
  show(co.pcall(function()
    return co.current():join() --> C111
  end))
  local me
  me = co.spawn(function()
    me:await() --> C111
  end)
  show(me:join())

  local parent = co.spawn_with({ name = "parent" }, function()
    local this = co.current()
    local child = co.spawn_with({ name = "child" }, function()
      this:await() --> C111
    end)
    child:await()
  end)
  show(parent:join())

  parent = co.spawn(co.scope, function(s)
    s:spawn(function()
      co.current().parent:await() --> C111
    end)
  end)
  show(parent:join())

  local shelf = co.rwmutex()
  show(co.pcall(function()
    shelf:lock()
    co.defer(shelf.unlock, shelf)
    if shelf then
      local _ <close> = shelf:rguard() --> C111
    end
  end))
end)
--[[ prints
error	a task can not join itself:
error	a task can not await itself:
deadlock	deadlock
deadlock	deadlock
deadlock	rwmutex
]]
