--- COROPANIC_DEBUG: what it makes the runtime write to stderr.

--- Runs a script in a process of its own, with the variable. Returns the lines on stderr.
local function lines_of(variable, script)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write('local co = require "coropanic"\n', script):close()
  local pipe = io.popen(("COROPANIC_DEBUG='%s' %s %s 2>&1 >/dev/null"):format(
    variable, os.getenv "LUA" or "lua5.4", path))
  local lines = {}
  for line in pipe:lines() do lines[#lines + 1] = line end
  assert.is_true(pipe:close())
  os.remove(path)
  return lines
end

local SLEEPS = [[
  co.run_with({ clock = "virtual" }, function()
    local channel = co.chan()
    for _ = 1, 2 do co.spawn_with({ daemon = true }, channel.recv, channel) end
    co.spawn_with({ daemon = true }, co.sleep, 2)
    for _ = 1, 3 do co.sleep(1) end
  end)
]]

describe("COROPANIC_DEBUG=schedtrace", function()
  it("writes a line after so many milliseconds by the run's clock, where a batch of tasks ends", function()
    local zeros = " delay p50=0ns p99=0ns max=0ns"
    assert.same({
      "SCHED 2000ms: tasks=3 ready=0 waiting=3 (receive=2 sleep=1) switches=7 spawned=4 idle=100%" .. zeros,
    }, lines_of("schedtrace=1500", SLEEPS))
    assert.equal("SCHED 1000ms: tasks=4 ready=0 waiting=4 (sleep=2 receive=2) switches=5 spawned=4 idle=100%"
      .. zeros, lines_of("schedtrace=1000", SLEEPS)[1])
  end)

  it("writes how long tasks were ready, by the system's clock too", function()
    local lines = lines_of("schedtrace=15", [[
      co.run(function()
        co.spawn(co.yield)
        local began = os.clock()
        while os.clock() - began < 0.03 do end
        co.yield()
      end)
    ]])
    local duration = "%d+%.?%d*[mun]?s"
    local ms, longest, unit = lines[1]:match("^SCHED (%d+)ms: tasks=%d+ ready=%d+ waiting=%d+ switches=%d+ "
      .. "spawned=2 idle=0%% delay p50=" .. duration .. " p99=" .. duration .. " max=(%d+%.?%d*)(m?s)$")
    assert.is_true(tonumber(ms) >= 30)
    assert.is_true(longest * (unit == "s" and 1000 or 1) >= 29)
  end)

  it("counts since the line before", function()
    local lines = lines_of("schedtrace=1000", SLEEPS)
    assert.is_true(#lines >= 2)
    assert.truthy(lines[2]:find("spawned=0", 1, true))
  end)

  it("writes nothing before its time, or for 0", function()
    assert.same({}, lines_of("schedtrace=10000", SLEEPS))
    assert.same({}, lines_of("schedtrace=0,gctrace=0", SLEEPS))
  end)

  it("does not turn on co.accounting for scripts, which can not turn it off either", function()
    local lines = lines_of("schedtrace=1500", [[
      assert(co.accounting() == nil)
      co.accounting(true)
      co.accounting(false)
      co.accounting(false)
      assert(co.accounting() == nil)
    ]] .. SLEEPS)
    assert.equal(1, #lines)
  end)
end)

describe("COROPANIC_DEBUG=gctrace", function()
  it("writes a line for each cycle of the collector", function()
    local lines = lines_of("gctrace=1", [[
      co.run(function()
        local garbage = {}
        for i = 1, 4 do garbage[i] = ("x"):rep(1048576) .. i end
        co.yield()
        garbage = nil
        collectgarbage()
      end)
    ]])
    local freed = false
    for i, line in ipairs(lines) do
      local pattern = "^gc (%d+) @%d+%.%d%d%ds: (%d+%.%d)%->(%d+%.%d) MB, cycle %d+ ms$"
      local number, before, after = line:match(pattern)
      assert.equal(i, tonumber(number), line)
      freed = freed or tonumber(before) >= 4 and tonumber(after) < 1
    end
    assert.is_true(freed)
  end)

  it("goes on after a cycle in which Lua has dropped finalizers, where the C stack ended", function()
    local lines = lines_of("gctrace=1", [[
      local function deep(n)
        if n == 0 then return collectgarbage() end
        string.gsub("x", "x", function() deep(n - 1) end)
      end
      for n = 170, 200 do pcall(deep, n) end
      collectgarbage() -- frees the object, which has no finalizer any more
      io.stderr:write "dropped\n"
      co.run(function() for _ = 1, 64 do co.spawn(function() end) end end)
      for _ = 1, 2 do collectgarbage() end
    ]])
    local after
    for _, line in ipairs(lines) do
      if line == "dropped" then after = 0 elseif after and line:find "^gc %d" then after = after + 1 end
    end
    assert.is_true(after >= 2)
  end)
end)

describe("COROPANIC_DEBUG", function()
  it("tells once what it does not know, and does the rest", function()
    local lines = lines_of("gctrace=2,foo,,schedtrace=1500,schedtrace=,a\1b", SLEEPS)
    assert.equal("coropanic: COROPANIC_DEBUG: schedtrace=milliseconds, gctrace=1 or order=1 expected, got "
      .. "gctrace=2,foo,schedtrace=,a?b", lines[1])
    assert.truthy(lines[2]:find("^SCHED 2000ms: "))
    assert.equal(2, #lines)
  end)

  it("tells no more than a line of it", function()
    local lines = lines_of(("x"):rep(100000) .. "," .. ("9"):rep(1000), "")
    assert.equal(1, #lines)
    assert.is_true(#lines[1] < 300)
    assert.equal(1, #lines_of("schedtrace=99999999999999999999", ""))
  end)

  it("may be empty", function() assert.same({}, lines_of("", SLEEPS)) end)
end)
