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

--- Requests that nobody awaits any more, but that have to be seen through: what they make is closed.
local orphans = 0

--- How long libuv's loop is turned for orphans alone. Most are there at once; one that waits for ever, as
--- the opening of a pipe does, must not hide a deadlock or hold up the end of a run.
local ORPHANS_SECONDS = 1

--- When that ends.
local orphans_until = 0

--- The task that drives libuv's loop.
local driver

--- Makes libuv's descriptor readable. It does not keep libuv's loop alive.
local bell

--- Our turn of libuv's loop runs, and calls back.
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

--- How long there is something to expect of libuv's loop: for ever, until the given time, or not at all.
---@return number? seconds  # nil: for ever
local function patience()
  if awaited > 0 then
    return nil
  end
  return orphans > 0 and math.max(orphans_until - co.now(), 0) or 0
end

--- Turns libuv's loop while there is something to expect of it: when it has no work left, who awaits is
--- asleep for ever, and that must show. A host that has begun to run the loop goes on by itself.
---@param is_over? fun(): boolean  # whether no more is wanted
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

--- Waits until the driver has begun. Turns libuv's loop where it can't: what deferred calls spawn when the
--- run ends is cancelled before it begins.
---@param is_over fun(): boolean  # whether the loop need not be turned any more
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

--- What luv returns of an error.
local function failure(name, text)
  return function()
    return nil, name .. ": " .. text, name
  end
end

local canceled = failure("ECANCELED", "operation canceled")
local already = failure("EALREADY", "connection already in progress")
local bad_file = failure("EBADF", "bad file descriptor")
local invalid = failure("EINVAL", "invalid argument")

--- The calls that are awaited, by handle, in a list.
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

--- A call's callback has come, or is not awaited any more.
local function settle(call)
  call.done = true
  awaited = awaited - 1
  if not call.handle then
    return
  end
  unregister(call)
  if call.kind.stop and not call.handle:is_closing() then -- libuv would abort the process
    call.kind.stop(call.handle)
  end
end

--- Ends the calls of a handle that nothing will call back any more: those that `stop` stops, or, when the
--- handle is closed, all but those that libuv itself calls back.
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

--- luv 1.44 crashes when a Lua state ends before libuv has closed a handle: the handle's finalizer frees it.
--- This one's finalizer comes first, because it is newer, and lets libuv close what is to be closed.
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

--- What stands in the place of luv's functions that close or stop a handle, by these.
---@type table<function, function>
local enders = {}

--- Does what `fn` does, then wakes the tasks that await something of the handle.
local function ending(fn, stops)
  local function after(handle, ...)
    if stops then
      end_calls(handle, fn)
    elseif is_handle(handle) and luv.is_closing(handle) then
      close_before_the_end()
      end_calls(handle)
    end
    if awaited > 0 then
      expect_more() -- libuv calls its requests back in its own time
    end
    return ...
  end
  return function(handle, ...)
    return after(handle, fn(handle, ...))
  end
end

--- Has the methods of a kind of handles tell of it too.
local function replace_methods(metatable)
  local methods = metatable.__index
  if enders[methods.close] then
    for name, fn in pairs(methods) do
      methods[name] = enders[fn] or fn
    end
  end
end

-- Awaiting ------------------------------------------------------------------------------------------------

--- The name of an error of libuv: "ENOENT" of "ENOENT: no such file or directory: x".
local function name_of(err)
  return type(err) == "string" and err:match "^(%u[%u%d_]+)" or nil
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

--- How a function is awaited.
---@class coropanic.uv.kind
---@field convert function  # of what the callback is given, to what is returned
---@field is_luv boolean?  # a function of luv, and so of the handle that is its first argument
---@field place integer?  # of the callback among the arguments; the last
---@field stop function?  # what would call back again and again is stopped when it has once
---@field alone boolean?  # a second call for the same handle would take the first one's callback
---@field outlives boolean?  # libuv calls back also when the handle is closed
---@field unmade function?  # closes what is made, where nobody takes it
---@field kept boolean?  # what arrives for nobody is for the next
---@field aborts boolean?  # must not be given a handle that is closing
---@field certain boolean?  # is not cancelled: who has it closed means it
---@field in_turn boolean?  # one at a time for its first argument

---@type table<function, coropanic.uv.kind>
local kinds = {}

---@type coropanic.uv.kind
local OTHER = { convert = given }

--- What `read_start` has read for a task that was cancelled before it came to take it, by stream.
local unread = setmetatable({}, { __mode = "k" })

--- The directories that a thread of libuv's is in, each with an event of its leaving.
local busy = setmetatable({}, { __mode = "k" })

local await_leaving = co.func(function(directory)
  awaited = awaited + 1
  co.defer(function() awaited = awaited - 1 end)
  busy[directory]:wait()
end)

--- The directories that have been closed, or are about to be: libuv has freed what there was of them.
local closed = setmetatable({}, { __mode = "k" })

--- False: it is closed.
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

--- libuv is through with the call.
local function conclude(call)
  local directory = call.directory
  if directory then
    call.directory = nil
    busy[directory]:set()
    busy[directory] = nil
  end
end

--- Closes what a call has made of which nobody knows.
local function discard(call, err, ...)
  if err == nil and call.kind.unmade then
    call.kind.unmade(...)
  elseif call.kind.kept then
    unread[call.handle] = unread[call.handle] or {}
    table.insert(unread[call.handle], table.pack(err, ...))
  end
end

--- Who does not wait any more, because it is being cancelled, gives up the request; or what it has made.
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
    pcall(luv.cancel, call.request) -- not everything can be cancelled
  end
  if call.orphan then
    see_driven(function() return not call.orphan end)
  elseif awaited == 0 and is_driven() then
    ring()
  end
end

--- Calls the function with the callback in its place.
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

--- What keeps the call from being made, as something that returns the error; nil: nothing does.
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

--- What was read before is there at once.
local function take_unread(call)
  local pieces = call.kind.kept and unread[call.handle]
  if not pieces then
    return nil
  end
  co.select(0) -- a suspension point, as waiting is
  local piece = table.remove(pieces, 1)
  if #pieces == 0 then
    unread[call.handle] = nil
  end
  return piece
end

--- Calls `fn(..., callback)` and waits for the callback. A function of luv returns what it would without a
--- callback, if it could wait: its results, or `nil, err, name`. Another one returns what the callback is
--- given.
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
      co.select(0) -- raises a cancellation that has come since the callback
    end
    call.results = nil
    return call.convert(...)
  end
  return finish(co.await(function(resume) begin(call, resume, arguments) end))
end)

-- luv's functions -----------------------------------------------------------------------------------------

--- Functions of luv whose callback is given an error, or nil and the results.
local WITH_ERROR = [[
  fs_access fs_chmod fs_chown fs_close fs_closedir fs_copyfile fs_fchmod fs_fchown fs_fdatasync
  fs_fstat fs_fsync fs_ftruncate fs_futime fs_lchown fs_link fs_lstat fs_lutime fs_mkdir fs_mkdtemp
  fs_mkstemp fs_open fs_opendir fs_read fs_readdir fs_readlink fs_realpath fs_rename fs_rmdir
  fs_scandir fs_sendfile fs_stat fs_statfs fs_symlink fs_unlink fs_utime fs_write getaddrinfo
  getnameinfo pipe_connect random shutdown tcp_connect udp_send write write2
]]

--- Functions of luv whose callback can't fail.
local WITHOUT_ERROR = "close signal_start signal_start_oneshot tcp_close_reset timer_start"

--- Those that refuse a handle that is closing. Others abort the process, or work on what is gone.
local REFUSE_CLOSING = "close read_start shutdown tcp_close_reset timer_start write write2"

--- What is more to be known of some.
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

--- Makes the kinds of all functions of luv: whatever starts something has a function that stops it.
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

--- Puts what tells of a handle's end in the place of luv's functions, which the methods are too.
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

--- `uv.fs_stat(path)` is `uv.await(luv.fs_stat, path)` in a task, and luv's own function outside of tasks,
--- in libuv's callbacks, or when it is given a callback. A handle can also be closed where waiting for that
--- is impossible.
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
