--- Calls of luv, libuv's binding, awaited in tasks. libuv's loop is driven by ours, and only while a task
--- awaits something of it.

local co = require "coropanic"
local luv = require "luv"

local uv = {}

--- Calls that are awaited and have not called back.
local awaited = 0

--- The task that drives libuv's loop.
local driver

--- Makes libuv's descriptor readable. It does not keep libuv's loop alive.
local bell

local function ring()
  if not bell or bell:is_closing() then
    bell = luv.new_async(function() end)
    bell:unref()
  end
  bell:send()
end

--- Turns libuv's loop while there is something to expect of it: when it has no work left, who awaits is
--- asleep for ever, and that must show.
local function drive()
  while awaited > 0 do
    luv.run "nowait"
    if awaited == 0 or not luv.loop_alive() then
      return
    end
    local milliseconds = luv.backend_timeout()
    if milliseconds == 0 then
      co.yield()
    else
      co.wait_fd(luv.backend_fd(), "r", milliseconds > 0 and milliseconds / 1000 or nil)
    end
  end
end

local function is_driven()
  local status = driver and driver:status()
  return status == "ready" or status == "running" or status == "waiting"
end

--- Has the loop turned soon: what was just begun is in nobody's poll and no time-out. Where a host runs
--- libuv's loop, it does that itself.
local function expect_more()
  if luv.loop_mode() then
    return
  end
  if is_driven() then
    ring()
  else
    -- It serves all tasks, and so belongs to none, nor to a scope.
    driver = co.spawn_with({
      name = "libuv",
      daemon = true,
      detached_trace = true,
      context = co.context.background(),
    }, drive)
  end
end

--- Who does not wait any more, because it is being cancelled, gives up the request.
local function leave(call)
  if call.done then
    return
  end
  call.done = true
  awaited = awaited - 1
  pcall(luv.cancel, call.request) -- not everything can be cancelled
  if awaited == 0 and is_driven() then
    ring()
  end
end

local function begin(call, resume, fn, ...)
  local arguments = table.pack(...)
  local function callback(...)
    if not call.done then
      call.done = true
      awaited = awaited - 1
      resume(...)
    end
  end
  arguments[arguments.n + 1] = callback
  awaited = awaited + 1
  local request, err, name = fn(table.unpack(arguments, 1, arguments.n + 1))
  call.request = request
  if request == nil and err ~= nil then
    callback(err, name) -- refused at once: there will be no callback
  else
    expect_more()
  end
end

--- Calls `fn(..., callback)` and waits for the callback.
---@param fn fun(...)  # of luv, or a method of its objects
---@return any ...  # the callback's arguments; an error that luv returns at once comes first, as there
uv.await = co.func(function(fn, ...)
  local arguments = table.pack(...)
  local call = { done = true }
  co.defer(leave, call)
  return co.await(function(resume)
    call.done = false
    begin(call, resume, fn, table.unpack(arguments, 1, arguments.n))
  end)
end)

--- `uv.fs_stat(path)` is `uv.await(luv.fs_stat, path)`, for every function of luv whose last parameter is a
--- callback.
return setmetatable(uv, {
  __index = function(_, name)
    local fn = luv[name]
    if fn == nil then
      error(("luv has no function '%s'"):format(tostring(name)), 2)
    end
    local function awaiting(...)
      return uv.await(fn, ...)
    end
    uv[name] = awaiting
    return awaiting
  end,
})
