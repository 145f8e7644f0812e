--- Calls of luv in tasks.

local luv = require "luv"
local co = require "coropanic"
local uv = require "coropanic.uv"
local helpers = require "spec.helpers"

local NEVER_MS = 3600000

--- Awaits a timer of libuv.
local function await_timer(milliseconds)
  local timer = luv.new_timer()
  co.defer(uv.close, timer)
  uv.timer_start(timer, milliseconds, 0)
end

describe("uv.await", function()
  after_each(function()
    helpers.end_all_tasks()
    luv.run "nowait"
  end)

  it("returns what luv's function returns that does not take a callback", function()
    co.run(function()
      local file = uv.await(luv.fs_open, "README.md", "r", 438)
      assert.equal("# coropanic", uv.await(luv.fs_read, file, 11, 0))
      assert.same({ true }, { uv.await(luv.fs_close, file) })
      assert.same({ luv.fs_stat "no such file" }, { uv.await(luv.fs_stat, "no such file") })
    end)
  end)

  it("returns what the callback of another function is given", function()
    co.run(function()
      local function call_back(...)
        local arguments = table.pack(...)
        arguments[arguments.n](nil, table.unpack(arguments, 1, arguments.n - 1))
      end
      assert.same({ nil, "a", nil, "b" }, { uv.await(call_back, "a", nil, "b") })
    end)
  end)

  it("returns an error that there is no callback for", function()
    co.run(function()
      local pipe = luv.new_pipe()
      local done, err, name = uv.await(pipe.shutdown, pipe)
      assert.is_nil(done)
      assert.matches("^ENOTCONN", err)
      assert.equal("ENOTCONN", name)
      uv.close(pipe)
    end)
  end)

  it("parks the task while the others go on", function()
    local lines, say = helpers.log()
    co.run(function()
      co.spawn(function()
        await_timer(2)
        say "timer"
      end)
      co.yield()
      say "meanwhile"
    end)
    assert.same({ "meanwhile", "timer" }, lines)
  end)

  it("waits for many things at once, begun at any time", function()
    local lines, say = helpers.log()
    co.run(function()
      for _, milliseconds in ipairs { 30, 10, 20 } do
        co.spawn(function()
          await_timer(milliseconds)
          say(milliseconds)
        end)
        co.yield()
      end
      co.spawn(function()
        co.sleep(0.002)
        await_timer(1)
        say "late"
      end)
    end)
    assert.same({ "late", "10", "20", "30" }, lines)
  end)

  it("does processes and streams", function()
    co.run(function()
      local out = luv.new_pipe()
      local handle
      local code = uv.await(function(callback)
        local pid
        local options = { args = { "-c", "echo from the child; exit 3" }, stdio = { nil, out } }
        handle, pid = luv.spawn("/bin/sh", options, callback)
        return handle, pid
      end)
      assert.equal(3, code)
      assert.equal("from the child\n", uv.read_start(out))
      assert.is_nil(uv.read_start(out))
      uv.close(out)
      uv.close(handle)
    end)
  end)

  it("does not keep a run from ending", function()
    co.run(function()
      co.spawn_with({ daemon = true }, await_timer, NEVER_MS)
      co.yield()
    end)
    assert.same({}, co.tasks())
  end)

  it("serves deferred calls when the run ends", function()
    local lines, say = helpers.log()
    local reports = {}
    local function unhandled(record)
      reports[#reports + 1] = record.message
    end
    co.run_with({ unhandled = unhandled }, function()
      for i = 1, 3 do
        co.spawn_with({ daemon = true }, function()
          local timer = luv.new_timer()
          co.defer(function()
            uv.close(timer)
            say(i, uv.fs_stat(".").type)
          end)
          uv.timer_start(timer, NEVER_MS, 0)
        end)
      end
      co.sleep(0.001)
    end)
    table.sort(lines)
    assert.same({ "1 directory", "2 directory", "3 directory" }, lines)
    assert.same({}, reports)
  end)

  it("hides no deadlock: of who awaits what never calls back", function()
    local record = helpers.record_of(co.run, function()
      uv.await(function() return true end)
    end)
    assert.equal("deadlock", record.kind)
  end)

  it("hides no deadlock: of others, once nothing is awaited", function()
    local record = helpers.record_of(co.run, function()
      uv.await(luv.fs_stat, ".")
      local task = co.spawn(await_timer, NEVER_MS)
      co.yield()
      task:cancel()
      task:join()
      co.await(function() end)
    end)
    assert.equal("deadlock", record.kind)
  end)

  it("ends with its task's cancellation", function()
    co.run(function()
      local ok, record = co.with_timeout(0.001, await_timer, NEVER_MS)
      assert.is_false(ok)
      assert.equal("timeout", record.kind)
      assert.is_truthy(uv.fs_stat ".")
    end)
  end)

  it("stops what would call back again and again", function()
    co.run(function()
      local timer = luv.new_timer()
      for _ = 1, 3 do
        uv.timer_start(timer, 1, 1)
        assert.is_false(timer:is_active())
      end
      local ok = co.with_timeout(0.001, uv.timer_start, timer, NEVER_MS, 0)
      assert.is_false(ok)
      assert.is_false(timer:is_active())
      uv.close(timer)
    end)
  end)

  it("outlives the scope in which it was first used", function()
    co.run(function()
      local outside = co.spawn(await_timer, 5)
      co.scope(function() await_timer(1) end)
      assert.is_true(outside:join())
      co.scope(function() await_timer(1) end)
      await_timer(1)
    end)
  end)

  it("leaves libuv's loop to a host that runs it", function()
    local result
    local task = co.spawn(function() result = uv.fs_stat "." end)
    local idle = luv.new_idle()
    idle:start(function()
      co.step()
      if task:status() == "done" then
        idle:close()
      end
    end)
    luv.run()
    assert.equal("directory", result.type)
  end)

  it("leaves it to a host that has begun to run it after the call", function()
    local result
    local task = co.spawn(function() result = uv.fs_stat "." end)
    co.step() -- it awaits
    co.step() -- libuv's loop is ours, and turns
    local idle = luv.new_idle()
    idle:start(function()
      co.step()
      if task:status() == "done" then
        idle:close()
      end
    end)
    luv.run()
    assert.equal("directory", result.type)
  end)

  it("raises what luv raises", function()
    co.run(function()
      local record = helpers.record_of(uv.await, luv.fs_stat, {})
      helpers.assert_contains("bad argument #1", record.message)
      assert.is_truthy(uv.fs_stat ".")
    end)
  end)
end)

describe("uv.<function>", function()
  it("awaits the function of luv", function()
    co.run(function()
      assert.equal("directory", uv.fs_stat(".").type)
      local directory = assert(uv.fs_opendir("lua", 10))
      assert.equal("coropanic", uv.fs_readdir(directory)[1].name)
      assert.is_true(uv.fs_closedir(directory))
    end)
  end)

  it("connects, writes and reads", function()
    co.run(function()
      local listener, client, server = luv.new_tcp(), luv.new_tcp(), luv.new_tcp()
      listener:bind("127.0.0.1", 0)
      local port = listener:getsockname().port
      local accepted = co.chan(1)
      listener:listen(1, function() accepted:try_send(listener:accept(server)) end)
      assert.is_true(uv.tcp_connect(client, "127.0.0.1", port))
      assert.equal(0, accepted:recv())
      assert.is_true(uv.write(client, "hello"))
      assert.equal("hello", uv.read_start(server))
      assert.is_true(uv.shutdown(client))
      for _, handle in ipairs { listener, client, server } do
        uv.close(handle)
      end
      local _, _, name = uv.tcp_connect(luv.new_tcp(), "127.0.0.1", port)
      assert.equal("ECONNREFUSED", name)
    end)
  end)

  it("names the error, whatever is in its name", function()
    co.run(function()
      local _, _, name = uv.getaddrinfo("not a number", nil, { numerichost = true })
      assert.equal("EAI_NONAME", name)
    end)
  end)

  it("is luv's own if it takes no callback, or is given one", function()
    assert.equal(luv.hrtime, uv.hrtime)
    assert.equal(luv.constants, uv.constants)
    assert.is_nil(uv.no_such_function)
    co.run(function()
      local called = co.event()
      uv.fs_stat(".", function() called:set() end)
      while not called:is_set() do
        luv.run "nowait"
      end
    end)
  end)

  it("is luv's own outside tasks", function() assert.equal("directory", uv.fs_stat(".").type) end)
end)

describe("coropanic.uv", function()
  it("is not the first to load luv in a task, where luv can not live", function()
    local program = [[
      local co = require "coropanic"
      %s
      print(select(2, co.run(pcall, require, "coropanic.uv")))
    ]]
    local refused = helpers.run_script(program:format "")
    local accepted = helpers.run_script(program:format 'require "luv"')
    helpers.assert_contains("require it before co.run", refused.stdout)
    assert.matches("^table: ", accepted.stdout)
  end)
end)
