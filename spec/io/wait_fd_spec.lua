--- Tasks that wait for descriptors.

local uv = require "luv"
local co = require "coropanic"
local helpers = require "spec.helpers"

--- Two connected sockets; they are closed when the test ends.
local open = {}
local function pair()
  local ends = uv.socketpair()
  open[#open + 1] = ends[1]
  open[#open + 1] = ends[2]
  return ends[1], ends[2]
end

local function put(fd, text) assert(uv.fs_write(fd, text or "x")) end

local function take(fd) return assert(uv.fs_read(fd, 100)) end

--- Closes a descriptor of `pair` early.
local function close(fd)
  for i, other in ipairs(open) do
    if other == fd then
      table.remove(open, i)
    end
  end
  uv.fs_close(fd)
end

--- Fills what the system keeps between two sockets.
local function fill(fd)
  while co.wait_fd(fd, "w", 0) do
    put(fd, ("x"):rep(1000))
  end
end

describe("co.wait_fd", function()
  after_each(function()
    helpers.end_all_tasks()
    while #open > 0 do
      uv.fs_close(table.remove(open))
    end
  end)

  it("returns what of the wanted is ready", function()
    local a, b = pair()
    co.run(function()
      assert.equal("w", co.wait_fd(a, "w"))
      assert.equal("w", co.wait_fd(a, "rw"))
      put(b)
      assert.equal("r", co.wait_fd(a, "r"))
      assert.equal("rw", co.wait_fd(a, "rw"))
    end)
  end)

  it("parks the task while the others go on", function()
    local a, b = pair()
    local lines, say = helpers.log()
    co.run(function()
      co.spawn(function()
        say("ready for", co.wait_fd(a, "r"))
      end)
      co.yield()
      co.yield()
      say "writes"
      put(b)
    end)
    assert.same({ "writes", "ready for r" }, lines)
  end)

  it("waits for another process although nothing else is to be done: that is no deadlock", function()
    local a, b = pair()
    local child = uv.new_pipe()
    child:open(b)
    open[#open] = nil
    local options = { args = { "-c", "echo done" }, stdio = { nil, child } }
    local handle = uv.spawn("/bin/sh", options, function() end)
    assert.is_truthy(handle)
    co.run(function()
      assert.equal("r", co.wait_fd(a, "r"))
      assert.equal("done\n", take(a))
    end)
    child:close()
    handle:close()
    uv.run()
  end)

  it("returns nil when the time runs out", function()
    local a = pair()
    helpers.run(function()
      assert.is_nil(co.wait_fd(a, "r", 60))
      assert.equal(60, co.now())
    end)
  end)

  it("under the virtual clock lets time pass only when nothing is ready", function()
    local a, b = pair()
    helpers.run(function()
      put(b)
      assert.equal("r", co.wait_fd(a, "r", 60))
      assert.equal(0, co.now())
    end)
  end)

  it("with a time-out of 0 only looks, also outside tasks", function()
    local a, b = pair()
    assert.is_nil(co.wait_fd(a, "r", 0))
    assert.equal("w", co.wait_fd(a, "rw", 0))
    put(b)
    assert.equal("rw", co.wait_fd(a, "rw", 0))
    helpers.run(function() assert.equal("r", co.wait_fd(a, "r", 0)) end)
  end)

  it("outside tasks gives what is ready, and says that waiting needs a task", function()
    local a, b = pair()
    helpers.assert_error("'wait_fd' outside a task", co.wait_fd, a, "r")
    helpers.assert_error("'wait_fd' outside a task", co.wait_fd, a, "r", 1)
    put(b)
    assert.equal("r", co.wait_fd(a, "r"))
    assert.equal("rw", co.wait_fd(a, "rw", 1))
  end)

  it("prefers what is ready to the end of the time", function()
    local a, b = pair()
    co.run(function()
      local task = co.spawn(co.wait_fd, a, "r", 0.001)
      co.yield()
      put(b)
      local until_then = co.now() + 0.002
      while co.now() < until_then do
        assert.is_true(true) -- keeps the loop from looking
      end
      assert.equal("r", task:await())
    end)
  end)

  it("wakes all that wait for one descriptor", function()
    local a, b = pair()
    local woken = 0
    co.run(function()
      for _ = 1, 5 do
        co.spawn(function()
          co.wait_fd(a, "r")
          woken = woken + 1
        end)
      end
      co.yield()
      put(b)
    end)
    assert.equal(5, woken)
  end)

  it("lets one task read and another write", function()
    local a, b = pair()
    fill(a)
    co.run(function()
      local reader = co.spawn(co.wait_fd, a, "r")
      local writer = co.spawn(co.wait_fd, a, "w")
      co.yield()
      put(b)
      assert.equal("r", reader:await())
      assert.equal("waiting", writer:status())
      while co.wait_fd(b, "r", 0) do
        take(b)
      end
      assert.equal("w", writer:await())
    end)
  end)

  it("takes the end of the other side for readiness", function()
    local a, b = pair()
    fill(a)
    co.run(function()
      local writer = co.spawn(co.wait_fd, a, "rw")
      co.yield()
      close(b)
      assert.equal("rw", writer:await())
      assert.equal("r", co.wait_fd(a, "r"))
    end)
  end)

  it("takes regular files for ready", function()
    local file = assert(uv.fs_open("README.md", "r", 438))
    co.run(function() assert.equal("rw", co.wait_fd(file, "rw")) end)
    uv.fs_close(file)
  end)

  it("asks objects for their descriptor", function()
    local a, b = pair()
    local with_getfd = { getfd = function(self) return self.number end, number = a }
    local with_fileno = { fileno = function() return a end }
    local with_pollfd = setmetatable({}, { __index = { pollfd = function() return a end } })
    put(b)
    co.run(function()
      assert.equal("r", co.wait_fd(with_getfd, "r"))
      assert.equal("r", co.wait_fd(with_pollfd, "r"))
      assert.equal("r", co.wait_fd(with_fileno, "r"))
    end)
  end)

  it("asks the objects of luasocket, luv and cqueues, with a time-out and without", function()
    local socket, cqueues, condition = require "socket", require "cqueues", require "cqueues.condition"
    local server = assert(socket.bind("127.0.0.1", 0))
    local client = assert(socket.connect("127.0.0.1", (select(2, server:getsockname()))))
    local a, b = pair()
    local pipe = uv.new_pipe()
    pipe:open(a)
    put(b)
    local controller = cqueues.new()
    controller:wrap(function() end)
    co.run(function()
      for _, seconds in ipairs { false, 60 } do
        assert.equal("w", co.wait_fd(client, "w", seconds or nil))
        assert.equal("r", co.wait_fd(server, "r", seconds or nil))
        assert.equal("r", co.wait_fd(pipe, "r", seconds or nil))
        assert.equal("r", co.wait_fd(controller, "r", seconds or nil))
      end
      assert.equal("w", co.wait_fd(client, "w"))
      -- what cqueues polls by something else than a descriptor has none
      helpers.assert_error("bad argument #1 to 'wait_fd'", co.wait_fd, condition.new(), "r")
    end)
    server:close()
    client:close()
    pipe:close()
    uv.run "nowait"
    table.remove(open, #open - 1) -- the pipe's
  end)

  it("wakes who waits for an object that was closed, when somebody looks at that", function()
    local socket = require "socket"
    local server = assert(socket.bind("127.0.0.1", 0))
    local client = assert(socket.connect("127.0.0.1", (select(2, server:getsockname()))))
    local a = pair()
    co.run(function()
      local tasks = {}
      for i, seconds in ipairs { false, 60 } do
        tasks[i] = co.spawn(co.wait_fd, client, "r", seconds or nil)
      end
      local other = co.spawn(co.wait_fd, a, "r")
      co.yield()
      client:close()
      helpers.assert_error("Bad file descriptor", co.wait_fd, client, "r", 0)
      assert.same({ true, nil, "closed" }, { tasks[1]:join() })
      assert.same({ true, nil, "closed" }, { tasks[2]:join() })
      assert.equal("waiting", other:status())
      other:cancel()
    end)
    server:close()
  end)

  it("raises what an object's method raises, and refuses what is no descriptor", function()
    local function object(result)
      return { getfd = function() return result end }
    end
    co.run(function()
      local failing = { fileno = function() error "no file" end }
      for _, seconds in ipairs { false, 0, 60 } do
        local wait = function(...) return co.wait_fd(..., "r", seconds or nil) end
        helpers.assert_error("no file", wait, failing)
        for _, result in ipairs { false, "3", 1.5, {}, print } do
          local refusal = "bad argument #1 to 'wait_fd' (a descriptor is an integer)"
          helpers.assert_error(refusal, wait, object(result))
        end
        helpers.assert_error("bad argument #1 to 'wait_fd'", wait, object(nil))
        helpers.assert_error("Bad file descriptor", wait, object(-1))
        helpers.assert_error("Bad file descriptor", wait, object(2 ^ 40))
        helpers.assert_error("bad argument #1 to 'wait_fd'", wait, io.stdout)
        helpers.assert_error("bad argument #1 to 'wait_fd'", wait, co.event())
        helpers.assert_error("attempt to call", wait, { getfd = 3 })
      end
      local raising = setmetatable({}, { __index = function() error "no fields" end })
      helpers.assert_error("no fields", co.wait_fd, raising, "r")
      local suspending = { getfd = function() co.sleep(1) end }
      helpers.assert_error("can not suspend here", co.wait_fd, suspending, "r")
    end)
  end)

  it("is named with descriptor and mode in what is told of the task, which has the object too", function()
    local a, b = pair()
    local object = setmetatable({ getfd = function() return a end }, { __tostring = error })
    helpers.run(function()
      local task = co.spawn(co.wait_fd, object, "r", 10)
      co.yield()
      assert.equal(object, task.waiting_on)
      helpers.assert_contains(("waiting on wait_fd of %d (r)"):format(a), co.dump())
      fill(b)
      local other = co.spawn(co.wait_fd, b, "rw", 10)
      co.yield()
      assert.equal(b, other.waiting_on)
      helpers.assert_contains(("waiting on wait_fd of %d (rw)"):format(b), co.dump())
    end)
  end)

  it("is a suspension point: a cancellation ends it", function()
    local a, b = pair()
    co.run(function()
      local task = co.spawn(co.wait_fd, a, "r")
      co.yield()
      task:cancel "enough"
      local _, record = task:join()
      assert.equal("cancelled", record.kind)
      put(b)
      assert.equal("r", co.wait_fd(a, "r"))
    end)
  end)

  it("raises a cancellation even when it would not wait", function()
    local a = pair()
    co.run(function()
      local task
      task = co.spawn(function()
        task:cancel()
        co.wait_fd(a, "w", 0)
        error "it went on"
      end)
      local _, record = task:join()
      assert.equal("cancelled", record.kind)
    end)
  end)

  it("ends a task whose coroutine somebody has closed", function()
    local a, b = pair()
    co.run(function()
      local thread
      local task = co.spawn(function()
        thread = coroutine.running()
        co.wait_fd(a, "r")
      end)
      co.yield()
      helpers.unguarded.close(thread)
      assert.is_string(co.dump())
      put(b)
      local ok, record = task:join()
      assert.is_false(ok)
      assert.equal("the task's coroutine was closed or resumed by somebody else", record.message)
    end)
  end)

  it("of a cancelled task leaves the others waiting", function()
    local a, b = pair()
    co.run(function()
      local gone = co.spawn(co.wait_fd, a, "r")
      local left = co.spawn(co.wait_fd, a, "r")
      co.yield()
      gone:cancel()
      gone:join()
      put(b)
      assert.equal("r", left:await())
    end)
  end)

  it("ends with its scope's time", function()
    local a = pair()
    helpers.run(function()
      local ok, record = co.with_timeout(1, co.wait_fd, a, "r")
      assert.is_false(ok)
      assert.equal("timeout", record.kind)
    end)
  end)

  it("does not keep a run from ending when a daemon does it", function()
    local a = pair()
    co.run(function() co.spawn_with({ daemon = true }, co.wait_fd, a, "r") end)
    assert.same({}, co.tasks())
  end)

  it("names a descriptor that is none, with the system's words", function()
    co.run(function()
      for _, number in ipairs { -1, 999, 2 ^ 31 - 1 } do
        for _, seconds in ipairs { 0, 1 } do
          local record = helpers.record_of(co.wait_fd, number, "r", seconds)
          local expected = ("co.wait_fd: descriptor %d: Bad file descriptor"):format(number)
          assert.equal(expected, record.message:match "co%.wait_fd.*")
        end
      end
    end)
  end)

  for how, seconds in pairs { ["waits for"] = 1, ["looks at"] = 0 } do
    it(("returns nil and that it is closed when somebody %s the closed number"):format(how), function()
      local a = pair()
      co.run(function()
        local task = co.spawn(co.wait_fd, a, "r")
        co.yield()
        close(a)
        helpers.record_of(co.wait_fd, a, "r", seconds)
        assert.same({ true, nil, "closed" }, { task:join() })
      end)
    end)
  end

  it("notices that a number means another file", function()
    local a, b = pair()
    co.run(function()
      put(b)
      assert.equal("r", co.wait_fd(a, "r"))
      close(a)
      local c, d = pair()
      assert.equal(a, c) -- the system gives the lowest free number
      local task = co.spawn(co.wait_fd, c, "r")
      co.yield()
      assert.equal("waiting", task:status())
      put(d)
      assert.equal("r", task:await())
    end)
  end)

  it("is served although other tasks are always ready", function()
    local a, b = pair()
    co.run(function()
      local served = false
      co.spawn(function()
        co.wait_fd(a, "r")
        served = true
      end)
      co.yield()
      put(b)
      while not served do
        co.yield()
      end
    end)
  end)

  it("serves thousands of tasks", function()
    local a, b = pair()
    local count = 0
    co.run(function()
      for _ = 1, 5000 do
        co.spawn(function()
          for _ = 1, 3 do
            co.wait_fd(a, "r")
          end
          count = count + 1
        end)
      end
      co.yield()
      put(b)
    end)
    assert.equal(5000, count)
  end)
end)
