-- Who takes part: how each peer is started, and how it tells its version. One whose version can not be had is
-- missing.

local LUA = os.getenv "LUA" or "lua5.4"
local BUILD = os.getenv "BUILD" or "build"

---@class peer
---@field name string
---@field program string  # the command; it is given the workload, the size, the collector and the variant
---@field version string  # a command whose first line of output is the version
---@field variant string?
---@field programs table<string, string>?  # for single workloads, and all their cases
---@field own_collector boolean?  # which knows no modes: one run stands beside ours in each of them

local function lua(script) return ("%s bench/peers/%s.lua"):format(LUA, script) end

local function variant_of(peer, name, variant)
  local same = { name = name, variant = variant }
  return setmetatable(same, { __index = peer })
end

-- What a module of Lua says of itself, and of which package it is, where Debian knows.
local function version_of(module, expression)
  local package = ("dpkg-query -W -f='${Package} ${Version}' lua-%s 2>/dev/null"):format(module)
  return ([[%s -e 'local package = io.popen("%s"):read "a" print(%s .. " " .. package)']]):format(LUA,
    package:gsub("'", "'\\''"), expression)
end

local IDS = BUILD .. "/bench_id"
local PAUSE = lua "pause"
local FRAME = lua "frame"
local GATEWAY = LUA .. " bench/gateway/run.lua"

local coropanic = {
  name = "coropanic",
  program = lua "coropanic",
  version = LUA .. [[ -e 'require "coropanic" print("this checkout, on " .. _VERSION)']],
  programs = {
    id = IDS,
    gc_pause = PAUSE,
    frame = FRAME,
    gateway = GATEWAY,
  },
}

local plain = {
  name = "lua",
  program = lua "lua",
  version = LUA .. " -v",
  programs = { gc_pause = PAUSE, frame = FRAME },
}

return {
  coropanic,
  variant_of(coropanic, "coropanic-inherited", "inherited"),
  variant_of(coropanic, "coropanic-idle", "coropanic-idle"),
  plain,
  variant_of(plain, "lua-pcall", "pcall"),
  variant_of(plain, "lua-xpcall", "xpcall"),
  variant_of(plain, "lua-close", "close"),
  { name = "floor", program = lua "floor", version = LUA .. [[ -e 'require "floor"' && ]] .. LUA .. " -v" },
  {
    name = "cqueues",
    program = lua "cqueues",
    version = version_of("cqueues", [[require("cqueues").VERSION]]),
    programs = { gc_pause = PAUSE, frame = FRAME },
  },
  {
    name = "luv",
    program = lua "luv",
    version = version_of("luv", [["libuv " .. require("luv").version_string()]]),
  },
  {
    name = "tarantool",
    program = "tarantool bench/peers/tarantool.lua",
    version = "tarantool --version",
    own_collector = true,
  },
  { name = "luajit", program = "luajit bench/peers/luajit.lua", version = "luajit -v", own_collector = true },
  {
    name = "go",
    program = BUILD .. "/bench_go",
    version = ("go version %s/bench_go"):format(BUILD),
    own_collector = true,
  },
  {
    name = "lua-http",
    program = GATEWAY,
    programs = { gateway = GATEWAY },
    version = LUA .. [[ -e 'require "gateway.debian" require "http.server" local v = require "http.version"]]
      .. [[ print(v.name .. " " .. v.version)']],
  },
}
