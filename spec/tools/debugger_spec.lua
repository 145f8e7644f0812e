--- MobDebug, as it is, stops in tasks and coroutines: one switch.

local helpers = require "spec.helpers"
local socket = require "socket"

local PROGRAM = [[
package.path = "./spec/vendor/?.lua;" .. package.path
local mobdebug = require "mobdebug"
mobdebug.start("127.0.0.1", tonumber(os.getenv "DEBUGGER_PORT"))
local co = require "coropanic"
%s
local seen = {}
co.run(function()
  co.spawn(function()
    local where = "task" --*
    co.yield()
    seen[#seen + 1] = where --*
    co.defer(function()
      seen[#seen + 1] = "deferred" --*
    end)
  end):await()
  co.coroutine.wrap(function()
    co.sleep(0)
    seen[#seen + 1] = "coroutine" --*
  end)()
end)
print(table.concat(seen, " "))
]]

--- Runs the program with breakpoints at its marked lines. Returns the lines at which it stopped, those that
--- are marked, and what it printed.
local function debug_program(switch)
  local server = assert(socket.bind("127.0.0.1", 0))
  server:settimeout(60)
  local _, port = server:getsockname()
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(PROGRAM:format(switch))
  file:close()
  local paths = ("LUA_PATH='%s' LUA_CPATH='%s' DEBUGGER_PORT=%d"):format(package.path, package.cpath, port)
  local pipe = assert(io.popen(("env -u LUA_PATH_5_4 -u LUA_CPATH_5_4 %s timeout 60 %s %s 2>&1"):format(
    paths, os.getenv "LUA" or "lua5.4", path)))
  local client = assert(server:accept())
  client:settimeout(60)
  --- Sends a command and returns the first line of the answer after "200 OK".
  local function command(text, has_answer)
    client:send(text .. "\n")
    assert.equal("200 OK", client:receive())
    return has_answer and client:receive()
  end
  command("STEP", true)
  local marked, number = {}, 0
  for line in io.lines(path) do
    number = number + 1
    if line:find("--*", 1, true) then
      marked[#marked + 1] = number
      command(("SETB %s %d"):format(path, number))
    end
  end
  local stops = {}
  repeat
    local answer = command("RUN", true)
    local line = answer and answer:match "^202 Paused .* (%d+)%s*$"
    stops[#stops + 1] = math.tointeger(line)
  until not line
  client:close()
  server:close()
  local printed = pipe:read "a"
  pipe:close()
  os.remove(path)
  return stops, marked, printed
end

describe("MobDebug", function()
  it("stops in tasks, deferred calls and coroutines with co.on_start(mobdebug.on)", function()
    local stops, marked, printed = debug_program "co.on_start(mobdebug.on)"
    assert.same(marked, stops)
    assert.equal("task deferred coroutine\n", printed)
  end)

  it("does not stop there without it", function()
    local stops, _, printed = debug_program ""
    assert.same({}, stops)
    helpers.assert_contains("task deferred coroutine", printed)
  end)
end)
