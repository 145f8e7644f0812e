-- What C programs do with the installed package: `make install` into a directory of the spec's own, and the
-- hosts of examples/embed built there as docs/embedding.md says.

local c_flags = require "embedded.c_flags"

local BUILD = os.getenv "BUILD" or "build"

local function run(command)
  local pipe <close> = assert(io.popen("env -u LD_PRELOAD sh -c '" .. command .. "' 2>&1"))
  return pipe:read "a"
end

--- The files of a directory as one text.
local function text_of(pattern)
  local pipe <close> = assert(io.popen("cat " .. pattern))
  return pipe:read "a"
end

describe("the installed package", function()
  local root, environment

  local function host(arguments) return run(("timeout 60 %s/%s"):format(root, arguments)) end

  setup(function()
    root = run("mktemp -d"):match "[^\n]+"
    local said = run(("make install PREFIX=%s/usr BUILD=%s"):format(root, BUILD))
    local library = root .. "/usr/lib/libcoropanic.a"
    assert(run(("test -e %s && echo there"):format(library)) == "there\n", said)
    local flags = "-O1 -g " .. c_flags.sanitizers(library)
    environment = ("PKG_CONFIG_PATH=%s/usr/lib/pkgconfig CFLAGS=\"%s\" CXXFLAGS=\"%s\"")
      :format(root, flags, flags)
    said = run(("%s make -C examples/embed OUT=%s"):format(environment, root))
    assert(run(("test -e %s/loop && echo there"):format(root)) == "there\n", said)
  end)

  teardown(function() run("rm -r " .. root) end)

  it("is enough for a game", function()
    assert.matches("\nthe orc goes home\n", host "host examples/embed/game.lua")
  end)

  it("is enough for functions that wait for threads and callbacks", function()
    local expected = "download\t13\nask\tanswer\t1\ntick\t3\nlate\tfalse\tdownload: no answer in time\n"
    assert.equal(expected, host "waits")
  end)

  it("is enough for a server, whose requests end in every way", function()
    local said = host "requests"
    assert.matches("00%-4bf92f3577b34da6a3ce929d0e0e4736%.%.%., trace begins with 4b, sampled 1\n", said)
    assert.matches("00%-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa%.%.%., trace begins with aa, sampled 1\n", said)
    assert.matches([[
2 deferred calls ran
status 3: 200
status 4: E_DENIED, E_DENIED: not for you
status 4: coropanic.panic, broken
status 5: coropanic.cancelled, the client is gone
status 5: coropanic.cancelled, cancelled
0 files are open
$]], said)
    local _, finished = said:gsub("finished /", "")
    assert.equal(6, finished) -- five requests, of which one has got another pointer
  end)

  it("is enough for a loop of the host's own", function()
    local said = host "loop"
    assert.matches("^false\ttimeout: context deadline exceeded", said)
    assert.matches("\nready for\tr\n$", said)
  end)

  it("can be used from C++17", function()
    local command = "%s; g++ -std=c++17 -Wall -Wextra -pedantic -Werror $CXXFLAGS "
      .. "$(pkg-config --cflags coropanic) -o %s/cxx_host spec/embedded/cxx_host.cpp "
      .. "$(pkg-config --libs coropanic)"
    assert.equal("", run(command:format("export " .. environment, root)))
    assert.equal("hello from C++\n", host "cxx_host")
  end)
end)

describe("examples/embed", function()
  it("uses every function of the header", function()
    local sources = text_of "examples/embed/*.c"
    local count = 0
    for name in text_of("csrc/coropanic.h"):gmatch "\nCP_API [%w_ *]-([%w_]+)%(" do
      count = count + 1
      assert.is_truthy(sources:find("%f[%w_]" .. name .. "%f[^%w_]"), name .. " is not used there")
    end
    assert.is_true(count > 40)
  end)
end)
