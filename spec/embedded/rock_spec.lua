-- The rock, as luarocks makes it with flags of its own: build/rock, see scripts/rock.sh.

local co = require "coropanic"

local VERSION = _VERSION:match "%d+%.%d+"
local TREE = "build/rock/tree"
local MODULE = ("%s/lib/lua/%s/coropanic/core.so"):format(TREE, VERSION)
local BUILD = os.getenv "BUILD" or "build"

--- The functions that the header declares.
local PUBLIC = {}
for line in io.lines "csrc/coropanic.h" do
  PUBLIC[#PUBLIC + 1] = line:match "^CP_API [%w_ *]-([%w_]+)%("
end
table.sort(PUBLIC)

local function lines(command)
  local found = {}
  local pipe <close> = assert(io.popen("env -u LD_PRELOAD " .. command))
  for line in pipe:lines() do found[#found + 1] = line end
  return found
end

--- The names that a file defines for others.
local function names(nm, path)
  local found = {}
  for _, line in ipairs(lines(nm .. " --extern-only --defined-only " .. path)) do
    found[#found + 1] = line:match "^%x+ %a ([%w_]+)$"
  end
  table.sort(found)
  return found
end

describe("the rock", function()
  it("exports the functions of the header", function()
    assert.same(PUBLIC, names("nm --dynamic", MODULE))
  end)

  it("exports those that the Makefile's module and library export", function()
    assert.same(PUBLIC, names("nm --dynamic", BUILD .. "/coropanic/core.so"))
    assert.same(PUBLIC, names("nm", BUILD .. "/libcoropanic.a"))
  end)

  it("of protobuf exports what require looks for", function()
    local module = BUILD .. "/coropanic/export/otlp/protobuf.so"
    assert.same({ "luaopen_coropanic_export_otlp_protobuf" }, names("nm --dynamic", module))
  end)

  it("runs in a host that has functions of the same names as ours inside", function()
    local script = os.tmpname()
    local file = assert(io.open(script, "w"))
    file:write(([[
      package.path = "%s/share/lua/%s/?.lua;%s/share/lua/%s/?/init.lua"
      package.cpath = "%s/lib/lua/%s/?.so"
      local co = require "coropanic"
      print(co.run(function()
        local task = co.spawn(function() co.sleep(0.001) return "slept" end)
        return task:await()
      end))
    ]]):format(TREE, VERSION, TREE, VERSION, TREE, VERSION))
    file:close()
    local said = lines(("timeout 60 %s/rock_host %s 2>&1; echo $?"):format(BUILD, script))
    os.remove(script)
    assert.same({ "slept", "0" }, said)
  end)

  it("has every Lua file", function()
    local function files(directory)
      return lines(("find %s -type f -printf '%%P\\n' | sort"):format(directory))
    end
    assert.same(files "lua", files(("%s/share/lua/%s"):format(TREE, VERSION)))
  end)

  local trees = { ["that is made"] = TREE, ["that is packed and installed"] = "build/rock/unpacked" }
  for what, tree in pairs(trees) do
    it(("%s has the command, which finds its modules"):format(what), function()
      local said = lines(("env -u LUA_PATH -u LUA_CPATH -C / %s/%s/bin/coropanic version")
        :format(lines("pwd")[1], tree))
      assert.same({ ("coropanic %s, %s"):format(co._VERSION, _VERSION) }, said)
    end)
  end

  it("has the docs", function()
    local path = ("%s/lib/luarocks/rocks-%s/coropanic/scm-1/docs"):format(TREE, VERSION)
    assert.same(lines "ls docs", lines("ls " .. path))
  end)

  it("is made without a trace in git's status", function()
    local status = lines "git -C build/rock/checkout status --porcelain --untracked-files=all && echo clean"
    assert.same({ "clean" }, status)
  end)
end)

describe("the guest's rock", function()
  local tree = "build/rock/guest"
  local script = [[
    local co = require "coropanic"
    print(co.run(function() return co.spawn(function() return 42 end):await() end))
    print(require("coropanic.guest.core").is_native)
  ]]

  --- What the script prints there, where nothing else can be found.
  local function run(lua)
    local path = ("LUA_PATH='%s/share/lua/5.1/?.lua;%s/share/lua/5.1/?/init.lua'"):format(tree, tree)
    return lines(("%s LUA_CPATH='%s/lib/lua/5.1/?.so' %s -e '%s'"):format(path, tree, lua, script))
  end

  it("runs tasks in LuaJIT, with the core library", function()
    assert.same({ "42", "true" }, run "luajit")
  end)

  it("runs tasks in Lua 5.1, with the core in Lua", function()
    assert.same({ "42", "false" }, run "lua5.1")
  end)
end)
