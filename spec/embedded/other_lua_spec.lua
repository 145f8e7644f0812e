-- What a Lua says that can not run the module. The releases of 5.4 are played by a host, old_host.c.

local BUILD = os.getenv "BUILD" or "build"

local MODULES = {
  "coropanic", "coropanic.export.otlp", "coropanic.lease.redis", "coropanic.logging", "coropanic.redact",
  "coropanic.report", "coropanic.socket", "coropanic.test", "coropanic.uv",
}

local ENVIRONMENT = "env -u LD_PRELOAD -u LUA_INIT -u LUA_PATH_5_4 -u LUA_CPATH_5_4 " ..
  ("LUA_PATH='./lua/?.lua;./lua/?/init.lua' LUA_CPATH='%s/?.so' "):format(BUILD)

local function run(command)
  local pipe <close> = assert(io.popen(ENVIRONMENT .. command .. " 2>&1"))
  return pipe:read "a"
end

--- What `require(module)` raises in another interpreter.
local function error_in(interpreter, module)
  return run(([[%s -e 'print(select(2, pcall(require, "%s")))']]):format(interpreter, module))
end

local NEEDS = "coropanic needs PUC Lua 5.4.4 or later, but not 5.4.5; this is "

describe("require", function()
  for _, module in ipairs(MODULES) do
    it("of " .. module .. " in Lua 5.1 says which Lua is wanted", function()
      assert.equal(NEEDS .. "Lua 5.1\n", (error_in("lua5.1", module)))
    end)

    it("of " .. module .. " in LuaJIT says which Lua is wanted", function()
      assert.match("^" .. NEEDS:gsub("%p", "%%%0") .. "LuaJIT 2%.%d", (error_in("luajit", module)))
    end)
  end
end)

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
