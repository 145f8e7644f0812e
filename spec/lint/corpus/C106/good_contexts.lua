local co = require "coropanic"

local context = co.context

local function cancelled(ctx)
  local child, cancel = context.with_cancel(ctx)
  cancel "at once"
  return child
end

co.run_with({ clock = "virtual" }, function()
  co.func(function() print "served" end)()
  local request = context.with_timeout(co.ctx(), 10) -- ends by itself
  local child, cancel = context.with_cancel(request)
  co.defer(cancel)
  print(cancelled(child):cause())
  co.spawn(print, "joined"):await()
  local tasks = { list = {} }
  function tasks.list:join() return self end
  tasks.list:join() -- of another library
end)
--[[ prints
served
at once
joined
]]
