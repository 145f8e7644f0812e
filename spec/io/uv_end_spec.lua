--- What ends under a task that awaits it, and what arrives for a task that does not wait any more.

local luv = require "luv"
local socket = require "socket"
local co = require "coropanic"
local uv = require "coropanic.uv"
local helpers = require "spec.helpers"

local NEVER_MS = 3600000
local MUCH = ("x"):rep(10000000) -- more than the system keeps between two sockets

--- Descriptors and sockets of the other side, closed when the test ends.
local others = {}

local function new_stream()
  local ends = luv.socketpair()
  local stream = luv.new_tcp()
  stream:open(ends[1])
  others[#others + 1] = ends[2]
  return stream, ends[2]
end

--- A server that takes no connections: those beyond its backlog are not answered.
local function full_server()
  local server = assert(socket.bind("127.0.0.1", 0, 0))
  local _, port = server:getsockname()
  others[#others + 1] = server
  for _ = 1, 3 do
    local client = socket.tcp()
    client:settimeout(0)
    client:connect("127.0.0.1", port)
    others[#others + 1] = client
  end
  return tonumber(port)
end

local function close_others()
  for _, other in ipairs(others) do
    if type(other) == "number" then
      luv.fs_close(other)
    else
      other:close()
    end
  end
  others = {}
end

--- The handles that tasks can await: how to make one, and how to await it.
local awaited = {
  timer = { luv.new_timer, function(timer) return uv.timer_start(timer, NEVER_MS, 0) end },
  signal = { luv.new_signal, function(signal) return uv.signal_start(signal, "sigusr2") end },
  ["signal, once"] = {
    luv.new_signal,
    function(signal) return uv.signal_start_oneshot(signal, "sigusr2") end,
  },
  ["stream that is read"] = { new_stream, function(stream) return uv.read_start(stream) end },
  ["stream that is written"] = { new_stream, function(stream) return uv.write(stream, MUCH) end },
  ["pipe that is read"] = {
    function()
      local ends = luv.pipe()
      local pipe = luv.new_pipe()
      pipe:open(ends.read)
      others[#others + 1] = ends.write
      return pipe
    end,
    function(pipe) return uv.read_start(pipe) end,
  },
  ["stream that is shut down"] = {
    function()
      local stream = new_stream()
      stream:write(MUCH)
      return stream
    end,
    function(stream) return uv.shutdown(stream) end,
  },
  ["connection that is made"] = {
    luv.new_tcp,
    function(tcp) return uv.tcp_connect(tcp, "127.0.0.1", full_server()) end,
  },
  ["server"] = {
    function()
      local tcp = luv.new_tcp()
      tcp:bind("127.0.0.1", 0)
      return tcp
    end,
    function(tcp) return uv.await(tcp.listen, tcp, 1) end,
  },
  ["socket of datagrams"] = {
    function()
      local udp = luv.new_udp()
      udp:bind("127.0.0.1", 0)
      return udp
    end,
    function(udp) return uv.await(udp.recv_start, udp) end,
  },
  ["descriptor"] = {
    function()
      local ends = luv.socketpair()
      others[#others + 1] = ends[1]
      others[#others + 1] = ends[2]
      return luv.new_poll(ends[1])
    end,
    function(poll) return uv.await(luv.poll_start, poll, "r") end,
  },
  ["file that is watched"] = {
    luv.new_fs_event,
    function(event) return uv.await(luv.fs_event_start, event, "spec", {}) end,
  },
  ["file that is looked at"] = {
    luv.new_fs_poll,
    function(poll) return uv.await(luv.fs_poll_start, poll, "spec", NEVER_MS) end,
  },
}

--- The ways in which a handle is closed.
local ways = {
  ["uv.close"] = function(handle) uv.close(handle) end,
  ["the method"] = function(handle) handle:close() end,
  ["luv.close"] = function(handle) luv.close(handle) end,
  ["another task"] = function(handle) co.spawn(uv.close, handle):join() end,
  ["uv.walk"] = function(handle)
    uv.walk(function(other)
      if other == handle then
        uv.close(other)
      end
    end)
  end,
  ["a callback of libuv"] = function(handle)
    local timer = luv.new_timer()
    timer:start(1, 0, function()
      uv.close(handle)
      timer:close()
    end)
    uv.fs_stat "."
  end,
}

describe("a handle that is closed while a task awaits it", function()
  after_each(function()
    helpers.end_all_tasks()
    close_others()
    for _ = 1, 10 do
      luv.run "nowait"
    end
  end)

  for name, how in pairs(awaited) do
    local new, await = table.unpack(how)
    for way, close in pairs(ways) do
      it(("wakes the task with ECANCELED: a %s, by %s"):format(name, way), function()
        co.run(function()
          local handle = new()
          local waiter = co.spawn(await, handle)
          co.sleep(0.005)
          assert.equal("waiting", waiter:status())
          close(handle)
          local joined, value, err, code = waiter:join(60)
          assert.is_true(joined)
          assert.is_nil(value)
          assert.matches("^ECANCELED", err)
          assert.equal("ECANCELED", code)
        end)
      end)
    end
  end

  it("wakes it also when the connection is reset", function()
    co.run(function()
      local stream = new_stream()
      local waiter = co.spawn(uv.read_start, stream)
      co.sleep(0.001)
      uv.tcp_close_reset(stream)
      assert.equal("ECANCELED", select(4, waiter:join(60)))
    end)
  end)

  it("wakes all tasks that await something of it", function()
    co.run(function()
      local stream = new_stream()
      local tasks = {
        co.spawn(uv.read_start, stream),
        co.spawn(uv.write, stream, MUCH),
        co.spawn(uv.shutdown, stream),
      }
      co.sleep(0.001)
      stream:close()
      for _, task in ipairs(tasks) do
        assert.equal("ECANCELED", select(4, task:join(60)))
      end
    end)
  end)

  it("wakes it when a host closes it between two steps", function()
    local timer = luv.new_timer()
    local waiter = co.spawn(uv.timer_start, timer, NEVER_MS, 0)
    for _ = 1, 3 do
      co.step()
    end
    timer:close()
    co.step()
    assert.equal("ECANCELED", select(4, waiter:join(0)))
  end)

  it("leaves it closed when the waiter is cancelled too", function()
    for name, how in pairs(awaited) do
      local new, await = table.unpack(how)
      co.run(function()
        local handle = new()
        local waiter = co.spawn(await, handle)
        co.sleep(0.005)
        handle:close()
        waiter:cancel()
        waiter:join()
        assert.is_true(handle:is_closing(), name)
      end)
    end
  end)

  it("does not abort the process, whoever cancels the waiter, nor at the end of the run", function()
    local result = helpers.run_script [[
      local co, uv = require "coropanic", require "coropanic.uv"
      for _, close in ipairs { uv.close, function(handle) handle:close() end } do
        co.run(function()
          local signal = uv.new_signal()
          co.spawn_with({ daemon = true }, uv.signal_start, signal, "sigusr2")
          co.sleep(0.001)
          co.spawn_with({ daemon = true }, function()
            co.defer(close, signal)
            co.sleep(3600)
          end)
          co.yield()
        end)
      end
      print "the end"
    ]]
    assert.equal("the end\n", result.stdout)
    assert.equal(0, result.status)
  end)

  it("does not crash a state that ends before libuv has closed it", function()
    local result = helpers.run_script [[
      local co, uv = require "coropanic", require "coropanic.uv"
      uv.close(uv.new_timer())
      local stream = uv.new_tcp()
      co.run(function() co.spawn_with({ daemon = true }, uv.close, stream) co.yield() end)
      uv.new_signal():close()
      print "the end"
    ]]
    assert.equal("the end\n", result.stdout)
    assert.equal(0, result.status)
  end)
end)

describe("a handle that is closing", function()
  after_each(function()
    helpers.end_all_tasks()
    close_others()
    luv.run "nowait"
  end)

  it("is refused, although libuv would abort the process or go on with it", function()
    co.run(function()
      for name, how in pairs(awaited) do
        local new, await = table.unpack(how)
        for _, close in ipairs { uv.close, luv.close } do
          local handle = new()
          close(handle)
          local value, err, code = await(handle)
          assert.is_nil(value, name)
          assert.is_string(err, name)
          assert.equal(err:match "^%u+", code)
        end
      end
      local pipe = luv.new_pipe()
      uv.close(pipe)
      assert.equal("EINVAL", select(3, uv.pipe_connect(pipe, "/tmp")))
      helpers.assert_error("is already closing", uv.close, pipe)
    end)
  end)
end)

describe("a handle that a task awaits", function()
  after_each(function()
    helpers.end_all_tasks()
    close_others()
    for _ = 1, 10 do
      luv.run "nowait"
    end
  end)

  for name, stop in pairs { timer = "stop", signal = "stop", ["stream that is read"] = "read_stop" } do
    it(("wakes it with ECANCELED when it is stopped: a %s"):format(name), function()
      local new, await = table.unpack(awaited[name])
      co.run(function()
        local handle = new()
        co.defer(uv.close, handle)
        local waiter = co.spawn(await, handle)
        co.sleep(0.001)
        handle[stop](handle)
        assert.equal("ECANCELED", select(4, waiter:join(60)))
        waiter = co.spawn(await, handle)
        co.sleep(0.001)
        uv[({ timer = "timer_stop", signal = "signal_stop" })[name] or "read_stop"](handle)
        assert.equal("ECANCELED", select(4, waiter:join(60)))
      end)
    end)
  end

  it("is refused to a second one, whose callback would take the place of the first one's", function()
    co.run(function()
      for _, name in ipairs { "timer", "signal", "stream that is read", "server", "descriptor" } do
        local new, await = table.unpack(awaited[name])
        local handle = new()
        local first = co.spawn(await, handle)
        co.sleep(0.001)
        assert.equal("EALREADY", select(3, await(handle)), name)
        assert.equal("waiting", first:status())
        uv.close(handle)
        assert.equal("ECANCELED", select(4, first:join(60)), name)
      end
    end)
  end)

  it("gives the first of two readers what comes, then the second", function()
    co.run(function()
      local stream, fd = new_stream()
      co.defer(uv.close, stream)
      local first = co.spawn(uv.read_start, stream)
      co.yield()
      assert.equal("EALREADY", select(3, uv.read_start(stream)))
      luv.fs_write(fd, "one")
      assert.same({ true, "one" }, { first:join() })
      luv.fs_write(fd, "two")
      assert.equal("two", uv.read_start(stream))
    end)
  end)

  it("is not collected", function()
    co.run(function()
      local task = co.spawn(function() uv.timer_start(luv.new_timer(), 5, 0) end)
      co.yield()
      collectgarbage()
      collectgarbage()
      assert.is_true(task:join(60))
      luv.walk(function(handle)
        if handle:get_type() == "timer" then
          handle:close()
        end
      end)
    end)
  end)
end)

describe("what arrives for a task that does not wait any more", function()
  local function descriptors()
    local request, count = luv.fs_scandir "/proc/self/fd", 0
    while luv.fs_scandir_next(request) do
      count = count + 1
    end
    return count
  end

  --- Has everything made that is made once.
  local function warm_up()
    local task = co.spawn(uv.fs_open, "/dev/null", "r", 0)
    co.yield()
    co.yield()
    task:cancel()
    for _ = 1, 10 do
      uv.fs_stat "."
      co.sleep(0.001)
    end
  end

  --- How many turns of the loop the task gets before it is cancelled: before, in and after the turn in which
  --- libuv calls back.
  local MOST_TURNS = 12

  --- How many descriptors are open after `fn()` that were not before, once libuv has seen everything through.
  local function growth(fn)
    warm_up()
    local before = descriptors()
    fn()
    for round = 1, 500 do -- a busy machine takes more than a few
      uv.fs_stat "."
      co.sleep(0.001)
      if round >= 20 and descriptors() <= before then break end
    end
    return descriptors() - before
  end

  --- Calls `fn(...)` in tasks that are cancelled at all times, and returns how many descriptors that leaves.
  --- What a task has been given, `close` closes.
  local function leaked(close, fn, ...)
    local arguments = table.pack(...)
    return growth(function()
      for turns = 0, MOST_TURNS do
        for _ = 1, 10 do
          local task = co.spawn(fn, table.unpack(arguments, 1, arguments.n))
          for _ = 1, turns do
            co.yield()
          end
          local cancelled = task:cancel()
          local results = table.pack(task:join())
          assert.equal(not cancelled, results[1])
          if results[1] then
            close(table.unpack(results, 2, results.n))
          end
        end
      end
    end)
  end

  it("is closed: a file", function()
    co.run(function() assert.equal(0, leaked(luv.fs_close, uv.fs_open, "/dev/null", "r", 0)) end)
  end)

  it("is closed by the task that has been given it, if that defers it", function()
    co.run(function()
      assert.equal(0, leaked(function() end, function()
        local file = uv.fs_open("/dev/null", "r", 0)
        co.defer(luv.fs_close, file)
        co.yield()
      end))
    end)
  end)

  it("is closed when the time runs out", function()
    co.run(function()
      assert.equal(0, growth(function()
        for i = 1, 50 do
          local ok, file = co.with_timeout(i * 1e-6, uv.fs_open, "/dev/null", "r", 0)
          if ok then
            luv.fs_close(file)
          end
        end
      end))
    end)
  end)

  it("is closed when the task is cancelled in the turn of the loop that has brought it", function()
    local check = luv.new_check() -- called back behind requests
    co.run(function()
      assert.equal(0, growth(function()
        for _ = 1, 5 do
          local task = co.spawn(uv.fs_open, "/dev/null", "r", 0)
          co.yield() -- it has asked for it
          luv.sleep(5) -- libuv's thread has opened it
          check:start(function() task:cancel() end)
          assert.is_false((task:join()))
          check:stop()
        end
      end))
    end)
    check:close()
    luv.run "nowait"
  end)

  it("is closed and removed: temporary files and directories", function()
    local base = os.tmpname()
    os.remove(base)
    luv.fs_mkdir(base, 448)
    co.run(function()
      local function close_file(file, path)
        luv.fs_close(file)
        luv.fs_unlink(path)
      end
      assert.equal(0, leaked(close_file, uv.fs_mkstemp, base .. "/fXXXXXX"))
      assert.equal(0, leaked(luv.fs_rmdir, uv.fs_mkdtemp, base .. "/dXXXXXX"))
    end)
    assert.is_nil(luv.fs_scandir_next(luv.fs_scandir(base)))
    luv.fs_rmdir(base)
  end)

  it("is closed: directories", function()
    co.run(function()
      assert.equal(0, leaked(luv.fs_closedir, uv.fs_opendir, "spec"))
      assert.equal(0, leaked(function() end, uv.fs_scandir, "spec"))
    end)
  end)

  it("is closed although the run ends", function()
    co.run(warm_up)
    local before = descriptors()
    for turns = 0, MOST_TURNS do
      co.run(function()
        co.spawn_with({ daemon = true }, function()
          co.defer(luv.fs_close, uv.fs_open("/dev/null", "r", 0))
          co.sleep(NEVER_MS)
        end)
        for _ = 1, turns do
          co.yield()
        end
      end)
    end
    assert.equal(before, descriptors())
  end)

  it("is no reason for a deferred call that uses libuv first in the end of a run to wait for ever", function()
    local count = 0
    for turns = 0, 3 do
      co.run(function()
        for _ = 1, 2 do
          co.spawn_with({ daemon = true }, function()
            co.defer(function()
              assert.equal("directory", uv.fs_stat(".").type)
              count = count + 1
            end)
            co.sleep(NEVER_MS)
          end)
        end
        for _ = 0, turns do
          co.yield()
        end
      end)
    end
    assert.equal(8, count)
  end)

  it("does not keep a run from ending if it never arrives", function()
    local path = os.tmpname()
    os.remove(path)
    os.execute("mkfifo " .. path)
    local ended
    local previous = co.on_exit(function() ended = co.now() end)
    helpers.run(function()
      co.spawn(luv.sleep, 5) -- before the time runs out, libuv's thread is at it
      -- nobody writes into it, and so the opening waits for ever
      local ok = co.with_timeout(0.001, uv.fs_open, path, "r", 0)
      assert.is_false(ok)
    end)
    co.on_exit(previous)
    luv.fs_close(assert(luv.fs_open(path, luv.constants.O_RDWR, 0)))
    os.remove(path)
    for _ = 1, 5 do
      luv.run "nowait"
      luv.sleep(1)
    end
    assert.is_true(ended < 60)
  end)

  it("is kept for the next reader of the stream", function()
    co.run(function()
      local stream, fd = new_stream()
      co.defer(uv.close, stream)
      local received = {}
      for i = 1, MOST_TURNS do
        local task = co.spawn(uv.read_start, stream)
        co.yield()
        luv.fs_write(fd, ("<%d>"):format(i))
        for _ = 1, i do
          co.yield()
        end
        task:cancel()
        local ok, piece = task:join()
        received[#received + 1] = ok and piece or nil
      end
      luv.fs_write(fd, "end")
      local text = table.concat(received)
      while not text:find "end" do
        text = text .. uv.read_start(stream)
      end
      assert.equal("<1><2><3><4><5><6><7><8><9><10><11><12>end", text)
    end)
    close_others()
  end)

  it("is closed all the same: a file or a directory that was to be closed", function()
    local function close_both_and_cancel(turns)
      local file = luv.fs_open("/dev/null", "r", 0)
      local directory = luv.fs_opendir("spec", nil, 1)
      local tasks = { co.spawn(uv.fs_close, file), co.spawn(uv.fs_closedir, directory) }
      for _ = 1, turns do
        co.yield()
      end
      for _, task in ipairs(tasks) do
        task:cancel()
      end
      if turns == 0 then -- they were cancelled before they began
        luv.fs_close(file)
        luv.fs_closedir(directory)
      end
    end
    co.run(function()
      assert.equal(0, growth(function()
        for turns = 0, MOST_TURNS do
          for _ = 1, 5 do
            close_both_and_cancel(turns)
          end
        end
      end))
    end)
  end)

  it("of a directory is waited for by who closes it: no thread is in it then", function()
    co.run(function()
      for turns = 0, MOST_TURNS do
        local directory = assert(uv.fs_opendir("spec", 10))
        local readers = { co.spawn(uv.fs_readdir, directory), co.spawn(uv.fs_readdir, directory) }
        for _ = 1, turns do
          co.yield()
        end
        readers[1]:cancel()
        assert.is_true(uv.fs_closedir(directory))
        readers[2]:join(60)
        assert.equal("EBADF", select(3, uv.fs_closedir(directory)))
        assert.equal("EBADF", select(3, uv.fs_readdir(directory)))
      end
    end)
  end)
end)
