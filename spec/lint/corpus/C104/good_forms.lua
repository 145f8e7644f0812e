local co = require "coropanic"

local function work() co.sleep(60) end

local function fail(problem) error(problem, 0) end

--- Cancels a task, and prints how it ended.
local function cancelled(fn)
  co.run_with({ clock = "virtual" }, function()
    local task = co.spawn(fn)
    co.yield()
    task:cancel()
    local ok, record = task:join()
    print(ok, record.kind, record.forced)
  end)
end

cancelled(function() return pcall(work) end)
cancelled(function() assert(pcall(work)) end)
cancelled(function()
  local ok, problem = pcall(work)
  if not ok then return "told" end
  error(problem)
end)
cancelled(function()
  local ok, problem = xpcall(work, debug.traceback)
  if ok then print "worked" else fail(problem) end
end)
cancelled(function()
  while pcall(work) do print "worked" end
end)
cancelled(function()
  local results = {}
  results[1] = { pcall(work) } -- may be looked at later
  return #results
end)
cancelled(function()
  co.defer(function()
    local ok = pcall(work)
    if ok then print "shielded" end
  end)
  pcall(error, "nothing here suspends")
  co.sleep(60)
end)
--[[ prints
false	cancelled	nil
false	cancelled	nil
false	cancelled	nil
false	cancelled	nil
false	cancelled	nil
false	cancelled	nil
shielded
false	cancelled	nil
]]
