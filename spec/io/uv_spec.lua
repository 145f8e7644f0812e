--- Calls of luv in tasks.

local luv = require "luv"
local co = require "coropanic"
local uv = require "coropanic.uv"
local helpers = require "spec.helpers"

local NEVER_MS = 3600000

--- Awaits a timer of libuv.
local function await_timer(milliseconds)
  local timer = luv.new_timer()
  co.defer(timer.close, timer)
  uv.await(timer.start, timer, milliseconds, 0)
end

describe("uv.await", function()
  after_each(function()
    helpers.end_all_tasks()
    luv.run "nowait"
  end)

  it("returns what the callback is given", function()
    co.run(function()
      local err, file = uv.await(luv.fs_open, "README.md", "r", 438)
      assert.is_nil(err)
      local _, text = uv.await(luv.fs_read, file, 11, 0)
      assert.equal("# coropanic", text)
      assert.same({ nil, true }, { uv.await(luv.fs_close, file) })
    end)
  end)

  it("returns the callback's error", function()
    co.run(function()
      local err = uv.await(luv.fs_stat, "no such file")
      assert.matches("^ENOENT", err)
    end)
  end)

  it("returns an error that there is no callback for", function()
    co.run(function()
      local pipe = luv.new_pipe()
      local err = uv.await(pipe.shutdown, pipe)
      assert.matches("^ENOTCONN", err)
      pipe:close()
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
      assert.same({ nil, "from the child\n" }, { uv.await(out.read_start, out) })
      out:close()
      handle:close()
    end)
  end)

  it("does not keep a run from ending", function()
    co.run(function()
      co.spawn_with({ daemon = true }, await_timer, NEVER_MS)
      co.yield()
    end)
    assert.same({}, co.tasks())
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
      assert.is_nil((uv.await(luv.fs_stat, ".")))
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
    local task = co.spawn(function() result = select(2, uv.await(luv.fs_stat, ".")) end)
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
      assert.is_nil((uv.await(luv.fs_stat, ".")))
    end)
  end)
end)

describe("uv.<function>", function()
  it("awaits the function of luv", function()
    co.run(function()
      local _, stat = uv.fs_stat "."
      assert.equal("directory", stat.type)
    end)
  end)

  it("is an error if luv has none of that name", function()
    local ok, err = pcall(function() return uv.no_such_function end)
    assert.is_false(ok)
    assert.equal("luv has no function 'no_such_function'", err:match "luv has.*")
  end)
end)
