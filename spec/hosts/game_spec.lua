--- The game of examples/game under SDL2, without a display. What is awaited is a line that the game prints.

local host = require "spec.hosts.host"

local BUILD = os.getenv "BUILD" or "build"
local GAME = (BUILD:match "^/" and "" or host.HERE .. "/") .. BUILD .. "/game"

--- The arguments of `env` that start the game from the folder.
local function command(folder, options)
  return "SDL_VIDEODRIVER=dummy", GAME, "folder=" .. folder, table.unpack(options)
end

--- Plays so many frames, to the end.
local function play(folder, options)
  return host.run("env", command(folder, options))
end

--- Starts a program.
---@return fun(pattern: string?): string[] await  # reads to a line that matches; nil: to the end
---@return fun() stop
local function start(...)
  local words = host.environment_words() .. " timeout 120 env " .. table.concat({ ... }, " ")
  local pipe = assert(io.popen(("echo $$; exec env -i %s 2>&1"):format(words)))
  local pid = pipe:read "l"
  local function await(pattern)
    local lines = {}
    for line in pipe:lines() do
      lines[#lines + 1] = line
      if pattern and line:find(pattern) then
        return lines
      end
    end
    pipe:close()
    if pattern then
      error(("the game ended before it printed %q:\n%s"):format(pattern, table.concat(lines, "\n")))
    end
    return lines
  end
  return await, function() os.execute("kill " .. pid) end
end

--- The pixels of a BMP of 32 bits, as a set of colours "rrggbb".
local function colours(path)
  local image = host.read(path)
  local offset = string.unpack("<I4", image, 11)
  local set = {}
  for at = offset + 1, #image - 3, 4 do
    local blue, green, red = image:byte(at, at + 2)
    set[("%02x%02x%02x"):format(red, green, blue)] = true
  end
  return set
end

describe("the game under SDL2", function()
  local folder

  before_each(function()
    folder = host.make_folder()
    os.execute(("cp -r examples/game/game.lua examples/game/scripts %s"):format(folder))
  end)
  after_each(function()
    os.execute("rm -r " .. folder)
  end)

  it("goes on when a script panics, and shows the panic with its trace", function()
    local shot = folder .. "/shot"
    local await, stop = start(command(folder, {
      "walkers=20", "faulty=10", "beacons=1", "screenshot=" .. shot,
    }))
    for _ = 1, 10 do
      await "^panic: panic: .*faulty.lua:11: attempt to index a nil value"
    end
    stop()
    await "^frames: %d+, p50"
    await "^beacon: dark" -- deferred calls run at the end of the game
    await(nil)
    local seen = colours(shot)
    assert.is_true(seen["ff0000"]) -- an entity that has failed
    assert.is_true(seen["ff7878"]) -- the title of the message
    assert.is_true(seen["5aaafa"]) -- an entity that goes on
  end)

  it("draws frames while a script computes for ever", function()
    local output, status = play(folder, { "frames=40", "walkers=5", "faulty=0", "beacons=0", "hogs=2" })
    assert.equal(0, status, output)
    assert.match("frames: 40, p50", output)
  end)

  it("reloads a script that is saved, after the deferred calls of its tasks", function()
    local await, stop = start(command(folder, { "walkers=2", "faulty=1", "beacons=3" }))
    await "^panic: "
    host.write(folder .. "/scripts/faulty.lua", 'return function() print "mended" end')
    await "^mended$"
    host.write(folder .. "/scripts/walker.lua", "return function( -- half a file")
    await "^not loaded: .*walker.lua"
    host.write(folder .. "/scripts/beacon.lua", 'return function() print "beacon: new" end')
    local lines = await "^beacon: new$"
    stop()
    local text = table.concat(lines, "\n")
    local _, dark = text:gsub("beacon: dark", "")
    assert.equal(3, dark, text)
    await "^frames: "
    await(nil)
  end)

  it("plays the same scripts in LÖVE", function()
    os.execute(("cp -r examples/game/love %s"):format(folder))
    -- Without what the sanitizers preload, under which LÖVE does not start, and so without the library of C.
    local love = folder .. "/love"
    local output = host.run("env", "-u", "LD_PRELOAD", "LUA_CPATH=", "timeout", "-s", "KILL", "60",
      "xvfb-run", "-a", "love", love, "2000")
    assert.match("panic: panic: [^\n]*faulty.lua:11: attempt to index local 'target'", output)
  end)

  it("says how it is called", function()
    local output, status = play(folder, { "walkers=many" })
    assert.equal(2, status)
    assert.match("^usage: game", output)
  end)
end)
