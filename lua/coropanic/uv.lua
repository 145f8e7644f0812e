--- luv, libuv's binding, for tasks: a call that would take a callback waits for the result instead.
--- Everything else is luv's own. Our loop drives libuv's, only while a task awaits a result of it.

local co = require "coropanic"

if not package.loaded.luv and select(2, coroutine.running()) == false then
  -- luv runs callbacks on the coroutine that has loaded it. That coroutine must not wait or end.
  error "coropanic.uv loads luv, which belongs to the main program: require it before co.run"
end
local luv = require "luv"

co.cooperative()

local uv = {}

-- Driving libuv's loop ------------------------------------------------------------------------------------

--- The number of awaited calls that have not called back.
local awaited = 0

--- The number of requests that no task awaits any more, but that must be finished, to close the objects that
--- they make.
local orphans = 0

--- How long libuv's loop is turned for orphans alone. Most finish at once. One that waits for ever, such as
--- the opening of a pipe, must not hide a deadlock or hold up the end of a run.
local ORPHANS_SECONDS = 1

--- The end of that time.
local orphans_until = 0

--- The task that drives libuv's loop.
local driver

--- A handle that makes libuv's descriptor readable. It does not keep libuv's loop alive.
local bell

--- True while we turn libuv's loop, which calls back.
local turning = false

local function ring()
  if not bell or bell:is_closing() then
    bell = luv.new_async(function() end)
    bell:unref()
  end
  bell:send()
end

local function turn_once()
  turning = true
  luv.run "nowait"
  turning = false
end

--- Returns how long libuv's loop may still call back: for ever, for some seconds, or not at all (0).
---@return number? seconds  # nil: for ever
local function patience()
  if awaited > 0 then
    return nil
  end
  return orphans > 0 and math.max(orphans_until - co.now(), 0) or 0
end

--- Turns libuv's loop while it may call back. When it has no work left, a task that awaits a result is asleep
--- for ever, and must be seen as such. If a host has begun to run libuv's loop, the host goes on alone.
---@param is_over? fun(): boolean  # true: stop turning
local function turn(is_over)
  while patience() ~= 0 and not luv.loop_mode() do
    turn_once()
    local seconds = patience()
    if seconds == 0 or not luv.loop_alive() or is_over and is_over() then
      return
    end
    local milliseconds = luv.backend_timeout()
    if milliseconds == 0 then
      co.yield()
    else
      local next_timer = milliseconds > 0 and milliseconds / 1000 or math.huge
      local limit = math.min(next_timer, seconds or math.huge)
      co.wait_fd(luv.backend_fd(), "r", limit < math.huge and limit or nil)
    end
  end
end

--- The driver's function. The end of a run cancels the driver, but deferred calls of other tasks may still
--- await results; for them it has a deferred call.
local function drive()
  co.defer(turn)
  turn()
end

local function is_driven()
  local status = driver and driver:status()
  return status == "ready" or status == "running" or status == "waiting"
end

--- Makes our loop turn libuv's soon: neither poll nor a time-out tells of the work that was just begun. If a
--- host runs libuv's loop, the host does it.
local function expect_more()
  if luv.loop_mode() then
    return
  end
  if is_driven() then
    ring()
  else
    -- It serves all tasks, so it belongs to no trace and no scope.
    driver = co.spawn_with({
      name = "libuv",
      daemon = true,
      detached_trace = true,
      context = co.context.background(),
    }, drive)
  end
end

--- Waits until the driver has begun. Turns libuv's loop if the driver can't begin: a task that a deferred
--- call spawns at the end of the run is cancelled before it begins.
---@param is_over fun(): boolean  # true: the loop need not be turned any more
local function see_driven(is_over)
  expect_more()
  while driver and driver:status() == "ready" and not is_over() do
    co.yield()
  end
  if not is_over() and not luv.loop_mode() and not is_driven() then
    turn(is_over)
  end
end

-- Calls of a handle ---------------------------------------------------------------------------------------

--- Makes a function that returns an error as luv does.
local function failure(name, text)
  return function()
    return nil, name .. ": " .. text, name
  end
end

local canceled = failure("ECANCELED", "operation canceled")
local already = failure("EALREADY", "connection already in progress")
local bad_file = failure("EBADF", "bad file descriptor")
local invalid = failure("EINVAL", "invalid argument")

--- The awaited calls, as a list for each handle.
---@type table<userdata, table[]>
local calls_of = setmetatable({}, { __mode = "k" })

local function is_handle(value)
  return type(value) == "userdata" and (pcall(luv.is_closing, value))
end

local function register(call)
  local calls = calls_of[call.handle] or {}
  calls_of[call.handle] = calls
  calls[#calls + 1] = call
end

local function unregister(call)
  local calls = calls_of[call.handle]
  for i = #calls, 1, -1 do
    if calls[i] == call then
      table.remove(calls, i)
    end
  end
  if #calls == 0 then
    calls_of[call.handle] = nil
  end
end

--- Call it when the callback of a call has come or is no longer awaited.
local function settle(call)
  call.done = true
  awaited = awaited - 1
  if not call.handle then
    return
  end
  unregister(call)
  if call.kind.stop and not call.handle:is_closing() then -- libuv aborts the process if the handle is closing
    call.kind.stop(call.handle)
  end
end

--- Ends the calls of a handle that will get no callback any more: those that `stop` stops, or, when the
--- handle is closed, all except those that libuv calls back itself.
local function end_calls(handle, stop)
  local calls = calls_of[handle] or {}
  for _, call in ipairs(table.move(calls, 1, #calls, 1, {})) do
    local ended
    if stop then
      ended = call.kind.stop == stop
    else
      ended = not call.kind.outlives
    end
    if ended and not call.done then
      settle(call)
      call.finish(canceled)
    end
  end
end

--- luv 1.44 crashes if a Lua state ends before libuv has closed a handle, because the handle's finalizer
--- frees it. The finalizer of this object runs first, because it is newer, and lets libuv finish closing.
local last_turn

local function close_before_the_end()
  if last_turn then
    getmetatable(last_turn).__gc = nil
  end
  last_turn = setmetatable({}, {
    __gc = function()
      if not luv.loop_mode() then
        turn_once()
      end
    end,
  })
end

--- luv's functions that close or stop a handle -> their replacements.
---@type table<function, function>
local enders = {}

--- Makes a function that calls `fn`, then wakes the tasks that await a result of the handle.
local function ending(fn, stops)
  local function after(handle, ...)
    if stops then
      end_calls(handle, fn)
    elseif is_handle(handle) and luv.is_closing(handle) then
      close_before_the_end()
      end_calls(handle)
    end
    if awaited > 0 then
      expect_more() -- libuv calls its own requests back later
    end
    return ...
  end
  return function(handle, ...)
    return after(handle, fn(handle, ...))
  end
end

--- Replaces the methods of a kind of handles likewise.
local function replace_methods(metatable)
  local methods = metatable.__index
  if enders[methods.close] then
    for name, fn in pairs(methods) do
      methods[name] = enders[fn] or fn
    end
  end
end

-- Awaiting ------------------------------------------------------------------------------------------------

--- Returns the name of an error of libuv: "ENOENT" of "ENOENT: no such file or directory: x".
local function name_of(err)
  return type(err) == "string" and err:match "^(%u[%u%d_]+)" or nil
end

--- Converts the arguments of a callback to the results that luv's function has without a callback.
local function returned(err, ...)
  if err ~= nil then
    return nil, err, name_of(err)
  elseif select("#", ...) == 0 then
    return true
  end
  return ...
end

--- The same if no data is a result too: at the end of a stream.
local function read(err, data)
  if err ~= nil then
    return nil, err, name_of(err)
  end
  return data
end

local function given(...)
  return ...
end

--- The way in which a function is awaited.
---@class coropanic.uv.kind
---@field convert function  # converts the callback's arguments to results
---@field is_luv boolean?  # a function of luv; its first argument is the handle
---@field place integer?  # the callback's position among the arguments; nil: the last
---@field stop function?  # stops a function that would call back again and again
---@field alone boolean?  # a second call for the same handle would take the first one's callback
---@field outlives boolean?  # libuv calls back even if the handle is closed
---@field unmade function?  # closes the object that was made, if no task takes it
---@field kept boolean?  # data that no task takes is kept for the next call
---@field aborts boolean?  # must not get a handle that is closing
---@field certain boolean?  # is never cancelled: a task that closes something means it
---@field in_turn boolean?  # runs one at a time for its first argument

---@type table<function, coropanic.uv.kind>
local kinds = {}

---@type coropanic.uv.kind
local OTHER = { convert = given }

--- By stream, the data that `read_start` has read for a task that was cancelled before it took them.
local unread = setmetatable({}, { __mode = "k" })

--- The directories that a thread of libuv is using -> an event that is set when it leaves.
local busy = setmetatable({}, { __mode = "k" })

local await_leaving = co.func(function(directory)
  awaited = awaited + 1
  co.defer(function() awaited = awaited - 1 end)
  busy[directory]:wait()
end)

--- The directories that were closed, or are about to be: libuv has freed their memory.
local closed = setmetatable({}, { __mode = "k" })

--- Waits until no thread uses the directory, and takes it. Returns false if it is closed.
local function enter(call, directory)
  while busy[directory] do
    await_leaving(directory)
  end
  if closed[directory] then
    return false
  end
  busy[directory] = co.event()
  call.directory = directory
  closed[directory] = call.kind.certain
  return true
end

--- Call it when libuv has finished the call.
local function conclude(call)
  local directory = call.directory
  if directory then
    call.directory = nil
    busy[directory]:set()
    busy[directory] = nil
  end
end

--- Closes the object that a call has made, if no task takes it.
local function discard(call, err, ...)
  if err == nil and call.kind.unmade then
    call.kind.unmade(...)
  elseif call.kind.kept then
    unread[call.handle] = unread[call.handle] or {}
    table.insert(unread[call.handle], table.pack(err, ...))
  end
end

--- Gives up the request of a task that is being cancelled, or the object that the request has made.
local function leave(call)
  if call.results then
    discard(call, table.unpack(call.results, 1, call.results.n))
  end
  if not call.begun then
    conclude(call)
  end
  if call.done then
    return
  end
  settle(call)
  local kind = call.kind
  if call.begun and (kind.unmade or kind.certain or kind.in_turn) then
    call.orphan = true
    orphans = orphans + 1
    orphans_until = co.now() + ORPHANS_SECONDS
  end
  if not kind.certain then
    pcall(luv.cancel, call.request) -- not every request can be cancelled
  end
  if call.orphan then
    see_driven(function() return not call.orphan end)
  elseif awaited == 0 and is_driven() then
    ring()
  end
end

--- Calls the function with the callback at its position.
local function begin(call, resume, arguments)
  function call.finish(convert)
    call.convert = convert
    resume()
  end
  local function callback(...)
    conclude(call)
    if call.orphan then
      call.orphan = false
      orphans = orphans - 1
      discard(call, ...)
    elseif not call.done then
      settle(call)
      if resume(...) then
        call.results = table.pack(...) -- until the task has taken them: it may be cancelled before
      else
        discard(call, ...)
      end
    end
  end
  local place = call.kind.place or arguments.n + 1
  table.move(arguments, place, arguments.n, place + 1)
  arguments[place] = callback
  call.done = false
  awaited = awaited + 1
  if call.handle then
    register(call)
  end
  local request, err, name = call.fn(table.unpack(arguments, 1, math.max(arguments.n + 1, place)))
  call.request = request
  call.begun = true
  if request == nil and err ~= nil and not call.done then
    conclude(call)
    settle(call)
    call.finish(function() return nil, err, name end)
  else
    see_driven(function() return call.done end)
  end
end

--- Returns a function that returns the error because of which the call can't be made; nil if it can.
local function find_obstacle(call)
  if call.kind.aborts and luv.is_closing(call.handle) then
    return invalid
  end
  local kind = call.kind
  for _, other in ipairs(kind.alone and calls_of[call.handle] or {}) do
    if other.kind == kind or kind.stop and other.kind.stop == kind.stop then
      return already
    end
  end
end

--- Returns data that were read for an earlier call.
local function take_unread(call)
  local pieces = call.kind.kept and unread[call.handle]
  if not pieces then
    return nil
  end
  co.select(0) -- a suspension point, like a wait
  local piece = table.remove(pieces, 1)
  if #pieces == 0 then
    unread[call.handle] = nil
  end
  return piece
end

--- Calls `fn(..., callback)` and waits for the callback. A function of luv returns what it would return
--- without a callback: its results, or `nil, err, name`. Any other function returns the callback's arguments.
---@param fn fun(...)
---@return any ...
uv.await = co.func(function(fn, ...)
  local arguments = table.pack(...)
  local kind = kinds[fn] or OTHER
  local call = { fn = fn, kind = kind, convert = kind.convert, done = true }
  if kind.is_luv and is_handle(arguments[1]) then
    call.handle = arguments[1]
    replace_methods(getmetatable(call.handle))
    local obstacle = find_obstacle(call)
    if obstacle then
      return obstacle()
    end
    local piece = take_unread(call)
    if piece then
      return kind.convert(table.unpack(piece, 1, piece.n))
    end
  end
  co.defer(leave, call)
  if kind.in_turn and type(arguments[1]) == "userdata" and not enter(call, arguments[1]) then
    return bad_file()
  end
  local function finish(...)
    if kind.unmade then
      co.select(0) -- raises a cancellation that came after the callback
    end
    call.results = nil
    return call.convert(...)
  end
  return finish(co.await(function(resume) begin(call, resume, arguments) end))
end)

-- luv's functions -----------------------------------------------------------------------------------------

--- Functions of luv whose callback gets an error, or nil and the results.
local WITH_ERROR = [[
  fs_access fs_chmod fs_chown fs_close fs_closedir fs_copyfile fs_fchmod fs_fchown fs_fdatasync
  fs_fstat fs_fsync fs_ftruncate fs_futime fs_lchown fs_link fs_lstat fs_lutime fs_mkdir fs_mkdtemp
  fs_mkstemp fs_open fs_opendir fs_read fs_readdir fs_readlink fs_realpath fs_rename fs_rmdir
  fs_scandir fs_sendfile fs_stat fs_statfs fs_symlink fs_unlink fs_utime fs_write getaddrinfo
  getnameinfo pipe_connect random shutdown tcp_connect udp_send write write2
]]

--- Functions of luv whose callback can't fail.
local WITHOUT_ERROR = "close signal_start signal_start_oneshot tcp_close_reset timer_start"

--- The functions that refuse a handle that is closing. Others abort the process, or use freed objects.
local REFUSE_CLOSING = "close read_start shutdown tcp_close_reset timer_start write write2"

--- Further properties of some functions.
---@type table<string, coropanic.uv.kind>
local DETAILS = {
  close = { outlives = true, certain = true },
  fs_close = { certain = true },
  fs_closedir = { certain = true, in_turn = true },
  fs_mkdtemp = { unmade = luv.fs_rmdir },
  fs_mkstemp = {
    unmade = function(file, path)
      luv.fs_close(file)
      luv.fs_unlink(path)
    end,
  },
  fs_open = { unmade = luv.fs_close },
  fs_opendir = { unmade = luv.fs_closedir, place = 2 },
  fs_readdir = { in_turn = true },
  fs_scandir = {
    unmade = function(request)
      repeat -- the last one frees it
      until not luv.fs_scandir_next(request)
    end,
  },
  listen = { alone = true },
  pipe_connect = { outlives = true, alone = true },
  read_start = { kept = true },
  shutdown = { outlives = true },
  signal_start_oneshot = { stop = luv.signal_stop, alone = true },
  tcp_close_reset = { outlives = true, certain = true },
  tcp_connect = { outlives = true },
  udp_send = { outlives = true },
  write = { outlives = true },
  write2 = { outlives = true },
}

--- Makes the kinds of all functions of luv. A function that starts something has one that stops it.
local function learn()
  for name, fn in pairs(luv) do
    if type(fn) == "function" then
      local kind = DETAILS[name] or {}
      local started = name:match "^(.+)_start$"
      if started then
        kind.stop = luv[started .. "_stop"]
        kind.alone = true
      end
      kind.convert = given
      kind.is_luv = true
      kind.aborts = not (" " .. REFUSE_CLOSING .. " "):find(" " .. name .. " ", 1, true)
      kinds[fn] = kind
    end
  end
end

--- Replaces luv's functions that end a handle, and the methods that are the same functions.
local function replace_enders()
  for name, fn in pairs(luv) do
    local closes = name == "close" or name == "tcp_close_reset"
    if closes or name:find "._stop$" then
      local ender = ending(fn, not closes)
      enders[fn] = ender
      kinds[ender] = kinds[fn]
      luv[name] = ender
    end
  end
  for metatable in pairs(debug and debug.getregistry().uv_handle or {}) do
    replace_methods(metatable)
  end
end

local function is_callable(value)
  local meta = getmetatable(value)
  return type(value) == "function" or type(meta) == "table" and meta.__call ~= nil
end

--- Makes the function `uv.fs_stat`, and the like. `uv.fs_stat(path)` is `uv.await(luv.fs_stat, path)` in a
--- task. It is luv's own function outside tasks, in libuv's callbacks, or with a callback as argument. A
--- handle can be closed even if waiting for that is impossible.
local function awaiting(fn)
  return function(...)
    local count = select("#", ...)
    if turning or co.current() == nil or count > 0 and is_callable((select(count, ...))) then
      return fn(...)
    elseif fn == luv.close and not coroutine.isyieldable() then
      return fn(...)
    end
    return uv.await(fn, ...)
  end
end

local function add(names, convert)
  for name in names:gmatch "%S+" do
    local fn = luv[name]
    if fn then -- versions of luv differ
      kinds[fn].convert = convert
      uv[name] = awaiting(fn)
    end
  end
end

learn()
replace_enders()
add(WITH_ERROR, returned)
add("read_start", read)
add(WITHOUT_ERROR, given)

return setmetatable(uv, { __index = luv })
