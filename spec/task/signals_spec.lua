--- Signal handlers that run as Lua hooks: Ctrl-C, as lua.c has it, and handlers as luaposix sets them.

local co = require "coropanic"
local helpers = require "spec.helpers"

--- Runs a program as a shell does. In it, `kill(name)` sends the signal at once, `kill_soon` while it sleeps.
local function run_in_shell(body)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write([[
    io.stdout:setvbuf "no"
    local co = require "coropanic"
    local function kill(name) io.popen(("kill -%s $PPID"):format(name)):close() end
    local function kill_soon(name)
      io.popen(("(sleep 0.05; kill -%s $PPID) >/dev/null &"):format(name)):close()
    end
  ]], body)
  file:close()
  local paths = ("env -u LUA_PATH_5_4 -u LUA_CPATH_5_4 LUA_PATH='%s' LUA_CPATH='%s'"):format(
    package.path, package.cpath)
  local lua = os.getenv "LUA" or "lua5.4"
  local pipe = assert(io.popen(("%s %s %s 2>&1; echo status $?"):format(paths, lua, path)))
  local output = pipe:read "a"
  pipe:close()
  os.remove(path)
  return output
end

local waits = {
  ["sleeps"] = "co.sleep(3600)",
  ["waits for a descriptor"] = [[
    local server = require("socket").bind("127.0.0.1", 0)
    co.wait_fd(server:getfd(), "r")]],
  ["waits for a descriptor with a time-out"] = [[
    local server = require("socket").bind("127.0.0.1", 0)
    co.wait_fd(server:getfd(), "r", 3600)]],
  ["never sleeps"] = "while true do co.yield() end",
  ["sleeps again and again"] = "while true do co.sleep(0.001) end",
  ["waits for the tasks of a scope"] = "co.scope(function(s) s:spawn(co.sleep, 3600) end)",
}

describe("the first Ctrl-C", function()
  for what, wait in pairs(waits) do
    it(("ends a run whose main %s: deferred calls run, and the shell sees 130"):format(what), function()
      for _, kill in ipairs { "kill", "kill_soon" } do
        local output = run_in_shell(([[
          co.run(function()
            co.defer(function()
              co.sleep(0.001)
              print "lease given back"
            end)
            co.spawn(function()
              co.defer(print, "another's too")
              co.sleep(3600)
            end)
            co.yield()
            %s "INT"
            %s
          end)
          print "not reached"
        ]]):format(kill, wait))
        helpers.assert_contains("lease given back\n", output)
        helpers.assert_contains("another's too\n", output)
        helpers.assert_contains("interrupted!", output)
        helpers.assert_contains("status 130\n", output)
        helpers.assert_lacks("not reached", output)
      end
    end)
  end

  it("is a cancellation of main with the source interrupt, which the program may handle", function()
    local expected = "cancelled\tcancelled\tinterrupt\tinterrupted!\ninterrupted!\ngoes on\t1\nstatus 0\n"
    assert.equal(expected, run_in_shell [[
      local main
      local ok, record = pcall(co.run, function()
        main = co.current()
        kill "INT"
        co.sleep(3600)
      end)
      assert(not ok)
      print(main:status(), record.kind, record.source, record.reason)
      print(record.message)
      print("goes on", co.run(function() return 1 end))
    ]])
  end)

  it("is told from the hook that a debugger has set before the run", function()
    local chunks = 0 -- as that which is called for a signal
    finally(function() debug.sethook() end)
    debug.sethook(function()
      if debug.getinfo(2, "S").what == "main" then chunks = chunks + 1 end
    end, "c")
    co.run(function()
      for _ = 1, 3 do co.sleep(0.0001) end
    end)
    debug.sethook()
    assert.equal(0, chunks)
  end)

  it("alone lets the process die of the signal: another handler's error is one as any other", function()
    local output = run_in_shell [[
      local host = coroutine.running()
      co.run(function()
        debug.sethook(host, function()
          debug.sethook(host)
          error("enough", 0)
        end, "", 1)
        co.sleep(3600)
      end)
    ]]
    helpers.assert_contains("enough", output)
    helpers.assert_contains("status 1\n", output)
  end)

  it("ends a run whose main has ended", function()
    local output = run_in_shell [[
      local ok, record = pcall(co.run, function()
        co.spawn(function()
          co.defer(print, "cleaned")
          kill_soon "INT"
          co.sleep(3600)
        end)
      end)
      print(ok, record.source, record.message)
    ]]
    assert.equal("cleaned\nfalse\tinterrupt\tinterrupted!\nstatus 0\n", output)
  end)

  it("ends a run that a coroutine drives", function()
    local output = run_in_shell [[
      print(coroutine.wrap(function()
        local ok, record = pcall(co.run, function()
          co.defer(print, "cleaned")
          kill_soon "INT"
          co.sleep(3600)
        end)
        return ok, record.message
      end)())
    ]]
    assert.equal("cleaned\nfalse\tinterrupted!\nstatus 0\n", output)
  end)

  it("does not change the status that the program chooses", function()
    assert.equal("status 3\n", run_in_shell [[
      pcall(co.run, function()
        kill "INT"
        co.sleep(3600)
      end)
      os.exit(3, true)
    ]])
  end)
end)

describe("the second Ctrl-C", function()
  it("kills", function()
    local output = run_in_shell [[
      co.run(function()
        co.defer(function()
          print "cleaning up"
          kill "INT"
          print "never"
        end)
        kill "INT"
        co.sleep(3600)
      end)
    ]]
    helpers.assert_contains("cleaning up\n", output)
    helpers.assert_contains("status 130\n", output)
    helpers.assert_lacks("never", output)
  end)
end)

describe("a signal handler that runs as a Lua hook", function()
  for what, wait in pairs(waits) do
    it(("runs while main %s"):format(what), function()
      assert.equal("handled\ndone\nstatus 0\n", run_in_shell(([[
        local waiting
        require("spec_hook").on_signal(10, function()
          print "handled"
          waiting:cancel()
        end)
        co.run(function()
          waiting = co.spawn(function()
            %s
          end)
          kill_soon "USR1"
          waiting:join()
          print "done"
        end)
      ]]):format(wait)))
    end)
  end
end)
