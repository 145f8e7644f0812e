-- The Luas that have the guest instead of the C module, and the releases of 5.4 that the C module refuses: a
-- host, old_host.c, plays these.

local BUILD = os.getenv "BUILD" or "build"

local ENVIRONMENT = "env -u LUA_INIT -u LUA_PATH_5_4 -u LUA_CPATH_5_4 -u LUA_PATH_5_3 " ..
  ("LUA_PATH='./lua/?.lua;./lua/?/init.lua' LUA_CPATH='%s/?.so' "):format(BUILD)

local function run(command)
  local pipe <close> = assert(io.popen(ENVIRONMENT .. command .. " 2>&1"))
  return pipe:read "a"
end

--- What a program prints that has required the module, in another interpreter.
local function printed_by(interpreter, program)
  return run(([[%s -e 'local co = require "coropanic" %s']]):format(interpreter, program))
end

local IMPLEMENTATION = 'print(package.loaded["coropanic.core"] and "C" or "guest")'

describe("require of coropanic", function()
  for _, interpreter in ipairs { "luajit", "lua5.1", "lua5.3" } do
    it("in " .. interpreter .. " loads the guest", function()
      assert.equal("guest\n", printed_by(interpreter, IMPLEMENTATION))
    end)

    it("in " .. interpreter .. " runs tasks", function()
      local program = [[
        print(co.run(function() return co.spawn(function() co.sleep(0) return "done" end):await() end))]]
      program = program:gsub("%s+", " ")
      assert.equal("done\n", printed_by(interpreter, program))
    end)
  end

  it("in lua5.4 loads the C module", function() assert.equal("C\n", printed_by("lua5.4", IMPLEMENTATION)) end)

  it("in lua5.4 loads the guest if COROPANIC_GUEST asks for it", function()
    assert.equal("guest\n", printed_by("env COROPANIC_GUEST=1 lua5.4", IMPLEMENTATION))
    assert.equal("C\n", printed_by("env COROPANIC_GUEST=0 lua5.4", IMPLEMENTATION))
  end)

  it("gives the version of the C module everywhere", function()
    for _, interpreter in ipairs { "luajit", "lua5.1", "lua5.3", "env COROPANIC_GUEST=1 lua5.4" } do
      assert.equal(require "coropanic"._VERSION .. "\n", printed_by(interpreter, "print(co._VERSION)"))
    end
  end)
end)

local NEEDS = "coropanic needs PUC Lua 5.4.4 or later, but not 5.4.5; this is "

describe("a Lua 5.4", function()
  local function error_of(release, threads)
    return run(("timeout 60 %s/old_host '%s' %s"):format(BUILD, release, threads))
  end

  it("of a release that works is let in", function()
    assert.equal("works\n", error_of("Lua 5.4.4", "work"))
    assert.equal("works\n", error_of("Lua 5.4.6", "work"))
    assert.equal("works\n", error_of("Lua 5.4.12", "work"))
  end)

  it("of a release that does not is told so", function()
    assert.equal(NEEDS .. "Lua 5.4.0\n", error_of("Lua 5.4.0", "work"))
    assert.equal(NEEDS .. "Lua 5.4.3\n", error_of("Lua 5.4.3", "work"))
    assert.equal(NEEDS .. "Lua 5.4.5\n", error_of("Lua 5.4.5", "work"))
  end)

  it("that hides its release is known by how it closes threads", function()
    assert.equal("works\n", error_of("", "work"))
    assert.equal(NEEDS .. "an earlier Lua 5.4\n", error_of("", "forget"))
    assert.equal(NEEDS .. "an earlier Lua 5.4\n", error_of("", "stay-dead"))
  end)
end)
