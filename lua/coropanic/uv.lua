--- luv, libuv's binding, for tasks: a call that would take a callback waits for it instead. Everything else
--- is luv's own. libuv's loop is driven by ours, and only while a task awaits something of it.

local co = require "coropanic"

if not package.loaded.luv and select(2, coroutine.running()) == false then
  -- luv runs callbacks on the coroutine that has loaded it: none that is parked, or that ends, will do.
  error "coropanic.uv loads luv, which belongs to the main program: require it before co.run"
end
local luv = require "luv"

local uv = {}

-- Driving libuv's loop ------------------------------------------------------------------------------------

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
--- asleep for ever, and that must show. A host that has begun to run the loop goes on by itself.
local function turn()
  while awaited > 0 and not luv.loop_mode() do
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

--- The end of a run cancels it, but others' deferred calls may still await something: it has one for them.
local function drive()
  co.defer(turn)
  turn()
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

-- Awaiting ------------------------------------------------------------------------------------------------

--- A call's callback has come, or is not awaited any more.
local function settle(call)
  call.done = true
  awaited = awaited - 1
  if call.stop then
    pcall(call.stop, call.handle) -- which may be closed by now
  end
end

--- Who does not wait any more, because it is being cancelled, gives up the request.
local function leave(call)
  if call.done then
    return
  end
  settle(call)
  pcall(luv.cancel, call.request) -- not everything can be cancelled
  if awaited == 0 and is_driven() then
    ring()
  end
end

--- Calls the function with the callback in its place. `refused` is given what luv returns instead of calling
--- back.
local function begin(call, resume, refused, arguments)
  local function callback(...)
    if not call.done then
      settle(call)
      resume(...)
    end
  end
  local place = call.place or arguments.n + 1
  table.move(arguments, place, arguments.n, place + 1)
  arguments[place] = callback
  call.done = false
  awaited = awaited + 1
  local request, err, name = call.fn(table.unpack(arguments, 1, math.max(arguments.n + 1, place)))
  call.request = request
  if request == nil and err ~= nil and not call.done then
    settle(call)
    refused(err, name)
  else
    expect_more()
  end
end

--- The name of an error of libuv: "ENOENT" of "ENOENT: no such file or directory: x".
local function name_of(err)
  return type(err) == "string" and err:match "^(%u[%u%d]+)" or nil
end

--- What a function of luv returns when it is called without a callback, of what its callback is given.
local function returned(err, ...)
  if err ~= nil then
    return nil, err, name_of(err)
  elseif select("#", ...) == 0 then
    return true
  end
  return ...
end

--- The same where nothing is a result too: at the end of a stream.
local function read(err, data)
  if err ~= nil then
    return nil, err, name_of(err)
  end
  return data
end

local function given(...)
  return ...
end

--- Functions of luv whose callback is given an error, or nil and the results.
local WITH_ERROR = [[
  fs_access fs_chmod fs_chown fs_close fs_closedir fs_copyfile fs_fchmod fs_fchown fs_fdatasync
  fs_fstat fs_fsync fs_ftruncate fs_futime fs_lchown fs_link fs_lstat fs_lutime fs_mkdir fs_mkdtemp
  fs_mkstemp fs_open fs_opendir fs_read fs_readdir fs_readlink fs_realpath fs_rename fs_rmdir
  fs_scandir fs_sendfile fs_stat fs_statfs fs_symlink fs_unlink fs_utime fs_write getaddrinfo
  getnameinfo pipe_connect random shutdown tcp_connect udp_send write write2
]]

--- Functions of luv whose callback can't fail.
local WITHOUT_ERROR = "close signal_start timer_start"

--- Where the callback is not the last parameter.
local PLACES = { fs_opendir = 2 }

--- What would call back again and again is stopped when it has once, lest something come that nobody awaits.
local STOPS = { read_start = "read_stop", signal_start = "signal_stop", timer_start = "timer_stop" }

--- How functions of luv, and the methods that are the same functions, are awaited.
---@type table<function, { convert: function, place: integer?, stop: function? }>
local kinds = {}
local OTHER = { convert = given }

--- Calls `fn(..., callback)` and waits for the callback. A function of luv returns what it would without a
--- callback, if it could wait: its results, or `nil, err, name`. Another one returns what the callback is
--- given.
---@param fn fun(...)
---@return any ...
uv.await = co.func(function(fn, ...)
  local arguments = table.pack(...)
  local kind = kinds[fn] or OTHER
  local call = { fn = fn, place = kind.place, stop = kind.stop, handle = arguments[1], done = true }
  local convert = kind.convert
  co.defer(leave, call)
  local function finish(...)
    return convert(...)
  end
  return finish(co.await(function(resume)
    local function refused(err, name)
      convert = function()
        return nil, err, name
      end
      resume()
    end
    begin(call, resume, refused, arguments)
  end))
end)

--- `uv.fs_stat(path)` is `uv.await(luv.fs_stat, path)` in a task, and luv's own function outside of tasks or
--- when it is given a callback.
local function awaiting(fn)
  return function(...)
    local count = select("#", ...)
    if co.current() == nil or count > 0 and type((select(count, ...))) == "function" then
      return fn(...)
    end
    return uv.await(fn, ...)
  end
end

local function add(names, convert)
  for name in names:gmatch "%S+" do
    local fn = luv[name]
    if fn then -- versions of luv differ
      kinds[fn] = { convert = convert, place = PLACES[name], stop = luv[STOPS[name]] }
      uv[name] = awaiting(fn)
    end
  end
end

add(WITH_ERROR, returned)
add("read_start", read)
add(WITHOUT_ERROR, given)

return setmetatable(uv, { __index = luv })
