-- What set-up says when it can not install what a target needs. A folder of programs plays the machine.

local function run(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local said = pipe:read "a"
  local _, _, status = pipe:close()
  return said, status
end

-- What setup.sh calls besides; Debian's base system has them all.
local TOOLS = "sh env dirname tr sort grep mktemp rm tail mkdir cat cmp"

local NOTHING_INSTALLED = "#!/bin/sh\nexit 1\n"

describe("set-up", function()
  local machine

  local function program(name, text)
    local file <close> = assert(io.open(machine .. "/" .. name, "w"))
    file:write(text)
  end

  local function set_up(groups, environment)
    run("chmod +x " .. machine .. "/*")
    local command = "env -u LD_PRELOAD -u SETUP PATH=%s %s ./scripts/setup.sh %s"
    return run(command:format(machine, environment or "", groups))
  end

  before_each(function()
    machine = run("mktemp -d"):match "[^\n]+"
    run(("for tool in %s; do ln -s $(command -v $tool) %s; done"):format(TOOLS, machine))
    program("dpkg-query", NOTHING_INSTALLED)
    program("id", "#!/bin/sh\necho 1000\n")
  end)

  after_each(function() run("rm -r " .. machine) end)

  local DEMO = "curl gcc libc6-dev liblua5.4-dev lua-cjson lua-dkjson lua-luv lua-redis lua-socket lua5.4 " ..
    "make redis-server"

  it("names what the demo needs, no more, and the command, where there is no apt-get", function()
    local said, status = set_up "demo"
    assert.equal(1, status)
    assert.equal(([[
setup: this machine has no apt-get. Not installed: %s
setup: install them with: sudo apt-get update && sudo apt-get install --no-install-recommends %s
setup: or, if you have them from elsewhere, run make with SETUP=no
]]):format(DEMO, DEMO), said)
  end)

  it("names them where only root can install, and there is no sudo", function()
    program("apt-get", "#!/bin/sh\n")
    local said, status = set_up "demo"
    assert.equal(1, status)
    assert.match("^setup: only root can install packages, and there is no sudo. Not installed: curl", said)
  end)

  it("names those that are still missing where apt-get fails, and shows what it said", function()
    program("sudo", '#!/bin/sh\nexec "$@"\n')
    program("dpkg-query", [[#!/bin/sh
      for package; do :; done
      [ "$package" = lua-luv ] || echo "install ok installed"
    ]])
    program("apt-get", [[#!/bin/sh
      [ "$1" = update ] || echo "Could not resolve the name of the server"
      exit 100
    ]])
    local said, status = set_up "demo"
    assert.equal(1, status)
    assert.equal([[
setup: installing lua-luv
Could not resolve the name of the server
setup: apt-get failed. Not installed: lua-luv
setup: install them with: sudo apt-get update && sudo apt-get install --no-install-recommends lua-luv
setup: or, if you have them from elsewhere, run make with SETUP=no
]], said)
  end)

  it("looks for nothing with SETUP=no", function()
    local said, status = set_up("demo test bench", "SETUP=no")
    assert.same({ "", 0 }, { said, status })
  end)

  it("knows its groups", function()
    local said, status = set_up "demos"
    assert.same({ "setup: no such group: demos\n", 2 }, { said, status })
  end)
end)

describe("make", function()
  it("names the package that has Lua's headers", function()
    local said, status = run "LUA_INCDIR=/no/such/folder LUA_VERSION=5.4 CC=cc ./scripts/headers.sh"
    assert.equal(1, status)
    assert.match("there is no lua.h in /no/such/folder", said)
    assert.match("sudo apt%-get install %-%-no%-install%-recommends liblua5%.4%-dev", said)
  end)

  it("names the packages that have a compiler", function()
    local said, status = run "LUA_INCDIR=/no/such LUA_VERSION=5.4 CC=no-such-compiler ./scripts/headers.sh"
    assert.equal(1, status)
    assert.match("there is no no%-such%-compiler", said)
    assert.match("install %-%-no%-install%-recommends gcc libc6%-dev liblua5%.4%-dev", said)
  end)
end)
