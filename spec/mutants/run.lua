--- Breaks the sources in each way that list.lua names, builds what comes of it, and runs the specs that are
--- to notice: a mutant that they do not notice survives.
---
---   make mutants [MUTANTS="NAME ..."]
---
--- Ends with a line `mutants: N killed, N survived`. Fails if one survives, or does not apply because the
--- source has changed. What a mutant's specs said is in build/mutants/NAME/log.

local list = require "spec.mutants.list"

local AT_ONCE = 2 -- mutants that are built and run at the same time
local SECONDS = 60 -- a mutant's specs that run for longer hang, and have noticed
local SECONDS_OF_ALL = 300 -- the specs of all mutants together
local KILOBYTES = 4 * 1024 * 1024 -- of address space, for mutants that allocate for ever

--- What the Makefile says about how to build.
local build = {}
for _, name in ipairs { "BUILD", "CC", "CFLAGS", "LDFLAGS", "OBJECTS", "LUA", "LUA_CPATH" } do
  build[name] = assert(os.getenv(name), name .. " is not set: call this with `make mutants`")
end

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
end

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- Runs the command with its output in a file.
local function execute(command, log)
  return (os.execute(("{ %s; } >>%s 2>&1 </dev/null"):format(command, quote(log))))
end

--- The source with `to` in the place of `from`; nil unless that stands in it once.
local function mutate(mutant)
  local source = read(mutant.file)
  local first, last = source:find(mutant.from, 1, true)
  if not first or source:find(mutant.from, last + 1, true) then return nil end
  return source:sub(1, first - 1) .. mutant.to .. source:sub(last + 1)
end

--- Builds the module in `directory` with the mutated source in the place of the right one.
local function compile(mutant, directory, source)
  local unit = mutant.unit or mutant.file -- of a header: a source that includes it
  local object = unit:gsub("^csrc/(.*)%.c$", build.BUILD .. "/obj/%1.o")
  local from, to = build.OBJECTS:find(object, 1, true)
  assert(from, "no object of " .. unit)
  local mutated = directory .. "/mutated.o"
  local objects = build.OBJECTS:sub(1, from - 1) .. mutated .. build.OBJECTS:sub(to + 1)
  local log = directory .. "/log"
  os.execute(("mkdir -p %s/%s %s/coropanic"):format(directory, mutant.file:match "^(.*)/", directory))
  write(directory .. "/" .. mutant.file, source)
  if not mutant.unit then unit = directory .. "/" .. unit end
  return execute(table.concat({
    build.CC, "-I" .. directory .. "/csrc", build.CFLAGS, "-w -c -o", mutated, unit, "&&",
    build.CC, "-shared", build.CFLAGS, build.LDFLAGS, "-o", directory .. "/coropanic/core.so", objects,
  }, " "), log)
end

--- Whether the specs pass in that time with what was built in `directory`.
local function pass(specs, seconds, directory)
  local path = directory .. "/?.so;" .. build.LUA_CPATH
  local command = table.concat({
    "ulimit -v", KILOBYTES, "; LUA_CPATH=" .. quote(path), "timeout -k 5", seconds,
    build.LUA, "$(command -v busted) --ignore-lua --no-keep-going --output=plainTerminal", specs,
  }, " ")
  return execute(command, directory .. "/log")
end

--- What becomes of the mutant: "killed", "survived", "stale" or "broken".
local function try(mutant)
  local source = mutate(mutant)
  if not source then return "stale" end
  local directory = build.BUILD .. "/mutants/" .. mutant.name
  os.execute("rm -rf " .. directory)
  if not compile(mutant, directory, source) then return "broken" end
  return pass(mutant.specs, SECONDS, directory) and "survived" or "killed"
end

--- The mutants of these names, all if there are none, and by name.
local function choose(names)
  local chosen, by_name = {}, {}
  for _, mutant in ipairs(list) do
    assert(not by_name[mutant.name], "two mutants are called " .. mutant.name)
    by_name[mutant.name] = mutant
    if #names == 0 then chosen[#chosen + 1] = mutant end
  end
  for _, name in ipairs(names) do
    chosen[#chosen + 1] = assert(by_name[name], "no mutant is called " .. name)
  end
  return chosen, by_name
end

--- Ends unless the specs of all these mutants pass without them: a red spec would pass for a kill.
local function check_specs(mutants)
  local specs, seen = {}, {}
  for _, mutant in ipairs(mutants) do
    for spec in mutant.specs:gmatch "%S+" do
      if not seen[spec] then specs[#specs + 1] = spec end
      seen[spec] = true
    end
  end
  local directory = build.BUILD .. "/mutants"
  os.execute(("mkdir -p %s && rm -f %s/log"):format(directory, directory))
  if pass(table.concat(specs, " "), SECONDS_OF_ALL, directory) then return end
  io.stderr:write(read(directory .. "/log"), "mutants: these specs fail without any mutant\n")
  os.exit(1)
end

local SAID = {
  survived = "SURVIVES",
  stale = "does not apply (its text is not in the source, or more than once)",
  broken = "does not compile",
}

--- Tries the mutants, each in a process of its own. Returns how many came to what.
local function try_all(mutants, by_name)
  local names = {}
  for i, mutant in ipairs(mutants) do names[i] = mutant.name end
  local workers = ("printf '%%s\\n' %s | xargs -P %d -n 1 %s spec/mutants/run.lua --one"):format(
    table.concat(names, " "), AT_ONCE, build.LUA)
  local counts = { killed = 0, survived = 0, stale = 0, broken = 0 }
  for line in io.popen(workers):lines() do
    local what, name = line:match "^(%l+) (%S+)$"
    counts[what] = counts[what] + 1
    local said = SAID[what]
    if said then
      local mutant = by_name[name]
      print(("mutants: %s %s: %s (%s)"):format(name, said, mutant.says, mutant.file))
    end
  end
  return counts
end

local function main()
  local mutants, by_name = choose(arg)
  check_specs(mutants)
  local counts = try_all(mutants, by_name)
  print(("mutants: %d killed, %d survived"):format(counts.killed, counts.survived))
  os.exit(counts.killed == #mutants)
end

if arg[1] == "--one" then
  local mutants = choose { arg[2] }
  print(try(mutants[1]) .. " " .. arg[2])
else
  main()
end
