--- Which folder of csrc, and mesh beside it, may include which. `make check` runs this: it fails on an include that they forbid,
--- on a circle of files outside the kernel, and on one of too many inside it.
---
---   lua5.4 scripts/arrows.lua [all]     all: also prints what each file includes
---
--- A file means a .c with its .h. docs/architecture.md explains the rules.

--- A folder may include its own files, those of `core`, compat.h, and these.
local ALLOWED = {
  core = {},
  corelib = {},
  kernel = {},
  span = { "kernel" },
  report = { "kernel", "telemetry" },
  sync = { "kernel" },
  scope = { "kernel" },
  telemetry = { "kernel" },
  loop = { "kernel", "span", "report", "sync", "scope" },
  lua = { "kernel", "span", "report", "sync", "scope", "telemetry", "loop" },
  host = { "kernel", "span", "report", "sync", "scope", "loop", "lua" },
  cli = {}, -- a module by itself
  mesh = {}, -- beside csrc: for proxies, without Lua
}

--- Files of the kernel that include each other, directly or not: at most so many.
local LARGEST_CIRCLE = 9

local failed = false
local function complain(format, ...)
  failed = true
  print(format:format(...))
end

--- file ("kernel/task") → set of files that its .c and .h include
local includes, files = {}, {}
local pipe = assert(io.popen([[{ find csrc -mindepth 2 -name '*.[ch]' -not -path 'csrc/otlp/*'
  find mesh -name '*.[ch]'; } | sort]]))
for path in pipe:lines() do
  local name = path:gsub("^csrc/", ""):match "^(.*)%.[ch]$"
  if not includes[name] then
    includes[name] = {}
    files[#files + 1] = name
  end
  for line in io.lines(path) do
    local other = line:match '^#include "(.*)%.h"'
    if other and other ~= name and other:find "/" then includes[name][other] = true end
  end
end
pipe:close()
table.sort(files)

local function folder(name)
  return name:match "^[^/]*"
end

local function sorted(set)
  local list = {}
  for name in pairs(set) do
    list[#list + 1] = name
  end
  table.sort(list)
  return list
end

for _, name in ipairs(files) do
  local allowed = { core = true, [folder(name)] = true }
  for _, other in ipairs(assert(ALLOWED[folder(name)], "no rule for the folder of " .. name)) do
    allowed[other] = true
  end
  for _, other in ipairs(sorted(includes[name])) do
    if not allowed[folder(other)] then
      complain("%s includes %s.h: %s may not know %s", name, other, folder(name), folder(other))
    end
  end
  if arg[1] == "all" then print(name .. ": " .. table.concat(sorted(includes[name]), " ")) end
end

--- All files that can be reached from one.
local function reach(name, seen)
  for other in pairs(includes[name] or {}) do
    if not seen[other] then
      seen[other] = true
      reach(other, seen)
    end
  end
  return seen
end

local reached = {}
for _, name in ipairs(files) do
  reached[name] = reach(name, {})
end

local done = {}
for _, name in ipairs(files) do
  if reached[name][name] and not done[name] then
    local circle = {}
    for other in pairs(reached[name]) do
      if reached[other] and reached[other][name] then circle[other] = true end
    end
    local list = sorted(circle)
    local only_kernel = true
    for _, member in ipairs(list) do
      done[member] = true
      only_kernel = only_kernel and folder(member) == "kernel"
    end
    if not only_kernel or #list > LARGEST_CIRCLE then
      complain("%d files include each other in a circle: %s", #list, table.concat(list, " "))
    end
  end
end

if failed then os.exit(1) end
