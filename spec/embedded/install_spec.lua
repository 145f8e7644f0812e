-- `make install`, into a directory of the spec's own.

local co = require "coropanic"

local LUA_VERSION = _VERSION:match "%d+%.%d+"

local function run(command)
  local pipe <close> = assert(io.popen("env -u LD_PRELOAD sh -c '" .. command .. "' 2>&1"))
  return pipe:read "a"
end

--- For programs that load the module: what it needs of the sanitizers, under which the tests may run.
local PRELOAD = "LD_PRELOAD=" .. (os.getenv "LD_PRELOAD" or "")

local function version_of_header()
  local file <close> = assert(io.open "csrc/coropanic.h")
  return file:read("a"):match '\n#define CP_VERSION "(%d+%.%d+%.%d+)"\n'
end

describe("make install", function()
  local root

  setup(function()
    root = run("mktemp -d"):match "[^\n]+"
    local build = os.getenv "BUILD" or "build"
    local said = run(("make install PREFIX=/usr DESTDIR=%s BUILD=%s"):format(root, build))
    assert(run(("test -e %s/usr/lib/libcoropanic.a && echo there"):format(root)) == "there\n", said)
  end)

  teardown(function() run("rm -r " .. root) end)

  it("tells pkg-config the version of the header and of the module", function()
    assert.equal(version_of_header(), co._VERSION)
    local asked = ("PKG_CONFIG_PATH=%s/usr/lib/pkgconfig pkg-config --modversion coropanic"):format(root)
    assert.equal(co._VERSION .. "\n", run(asked))
  end)

  it("puts every Lua file where require and editors find it", function()
    local modules = ("%s/usr/share/lua/%s"):format(root, LUA_VERSION)
    local function files(directory) return run(("cd %s && find . -type f | sort"):format(directory)) end
    assert.equal(files "lua", files(modules))
  end)

  it("puts the command and its manual page where shells and man find them", function()
    local there = ("%s/usr/share/man/man1/coropanic.1"):format(root)
    assert.equal("", run("cmp docs/coropanic.1 " .. there))
    local paths = ("LUA_PATH=@/share/lua/%s/?.lua\\;@/share/lua/%s/?/init.lua LUA_CPATH=@/lib/lua/%s/?.so")
      :gsub("%%s", LUA_VERSION):gsub("@", root .. "/usr")
    local said = run(("env -C / %s %s %s/usr/bin/coropanic version"):format(PRELOAD, paths, root))
    assert.equal(("coropanic %s, %s\n"):format(co._VERSION, _VERSION), said)
  end)

  it("tells the command where the modules are, whatever the prefix", function()
    local prefix = root .. "/opt"
    local build = os.getenv "BUILD" or "build"
    run(("make install PREFIX=%s BUILD=%s"):format(prefix, build))
    local bare = "env -u LUA_PATH -u LUA_CPATH -C / "
    local said = run(("%s %s %s/bin/coropanic version"):format(bare, PRELOAD, prefix))
    assert.equal(("coropanic %s, %s\n"):format(co._VERSION, _VERSION), said)
  end)

  it("leaves no symbols in the module but those it exports", function()
    local module = ("%s/usr/lib/lua/%s/coropanic/core.so"):format(root, LUA_VERSION)
    assert.match("no symbols", run("nm " .. module))
    assert.match(" T cp_step\n", run("nm --dynamic " .. module))
  end)

  it("puts the library of the guest, and its header, where they are found", function()
    local library = ("%s/usr/lib/lua/%s/coropanic/corelib.so"):format(root, LUA_VERSION)
    assert.match(" T cp_core_version\n", run("nm --dynamic " .. library))
    assert.match("coropanic_core.h", run(("ls %s/usr/include"):format(root)))
  end)

  it("can install for LuaJIT, without the C module", function()
    local build = os.getenv "BUILD" or "build"
    run(("make install-guest PREFIX=/usr DESTDIR=%s/guest BUILD=%s"):format(root, build))
    assert.equal("corelib.so\n", run(("ls %s/guest/usr/lib/lua/5.1/coropanic"):format(root)))
    local modules = root .. "/guest/usr/share/lua/5.1"
    assert.match("coropanic/guest/core%.lua\n", run(("cd %s && find . -type f"):format(modules)))
  end)

  it("leaves no debugging information in the library for C hosts", function()
    local library = root .. "/usr/lib/libcoropanic.a"
    assert.match(" T cp_step\n", run("nm " .. library))
    assert.not_match("%.debug_info", run("objdump --section-headers " .. library))
  end)
end)
