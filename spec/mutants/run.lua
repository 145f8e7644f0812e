--- Breaks the sources in each way that list.lua names, builds what comes of it, and runs the specs that are
--- to notice: a mutant that they do not notice survives.
---
---   make mutants [MUTANTS="NAME ..."]
---
--- Ends with a line `mutants: N killed, N survived`. Fails if one survives, or does not apply because the
--- source has changed; and before it tries any mutant, if a spec has no tests, or fails without them. What a
--- mutant's specs said is in build/mutants/NAME/log.

local list = require "spec.mutants.list"
local mutate = require "spec.mutants.mutate"

local AT_ONCE = 2 -- mutants that are built and run at the same time
local SECONDS = 60 -- a spec that runs for longer hangs, and has noticed
local CPU_SECONDS = 15 -- likewise one that computes for longer: no spec takes a third of that
local KILOBYTES = 4 * 1024 * 1024 -- of address space, for mutants that allocate for ever

--- What the Makefile says about how to build.
local build = {}
for _, name in ipairs { "BUILD", "CC", "CFLAGS", "LDFLAGS", "OBJECTS", "CORE_SPECS", "API_SPECS",
  "MESH_SPECS", "LUA", "LUA_LIB", "LUA_CPATH", "LUA_PATH" } do
  build[name] = assert(os.getenv(name), name .. " is not set: call this with `make mutants`")
end

--- The sources of the programs that C specs are part of, by the specs' folder.
local PROGRAMS = { ["spec/core"] = build.CORE_SPECS, ["spec/embedded/api"] = build.API_SPECS,
  ["spec/mesh"] = build.MESH_SPECS }

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

--- Whether the C compiler makes of the inputs what is asked for.
local function compile(what, inputs, directory)
  local command = { build.CC, "-I" .. directory .. "/csrc -I" .. directory, build.CFLAGS, "-w", what, inputs }
  return execute(table.concat(command, " "), directory .. "/log")
end

local function is_lua(mutant) return mutant.file:find "%.lua$" ~= nil end

--- Writes the mutated source to its place below the directory.
local function write_mutant(mutant, directory, source)
  os.execute(("mkdir -p %s/%s"):format(directory, mutant.file:match "^(.*)/"))
  write(directory .. "/" .. mutant.file, source)
end

--- Compiles the mutated source. Returns the module's objects, with that one in the place of the right one.
local function compile_mutant(mutant, directory, source)
  local unit = mutant.unit or mutant.file -- of a header: a source that includes it
  local object = unit:gsub("^csrc/", ""):gsub("^(.*)%.c$", build.BUILD .. "/obj/%1.o")
  local from, to = build.OBJECTS:find(object, 1, true)
  assert(from, "no object of " .. unit)
  write_mutant(mutant, directory, source)
  if not mutant.unit then unit = directory .. "/" .. unit end
  local mutated = directory .. "/mutated.o"
  if not compile("-c -o " .. mutated, unit, directory) then return nil end
  return build.OBJECTS:sub(1, from - 1) .. mutated .. build.OBJECTS:sub(to + 1)
end

--- The folder of a C spec, and its suite; nil: it is one of busted's.
local function suite_of(spec) return spec:match "^(.*)/([^/]*)_spec%.c$" end

--- Builds what the spec tests. Returns whether that was possible.
local function link(spec, directory, objects)
  local folder = suite_of(spec)
  if folder then
    local sources = assert(PROGRAMS[folder], "no program has " .. spec)
    return compile("-D_GNU_SOURCE -pthread -o " .. directory .. "/program",
      table.concat({ sources, objects, build.LDFLAGS, build.LUA_LIB, "-lm" }, " "), directory)
  end
  os.execute(("mkdir -p %s/coropanic"):format(directory))
  local module = directory .. "/coropanic/core.so"
  return compile("-shared -o " .. module, objects .. " " .. build.LDFLAGS, directory)
end

--- Runs the spec with what was built in `directory`. Returns how many tests have passed; nothing: one has
--- failed, or the run has not come to its end.
local function run(spec, directory)
  local log = directory .. "/log"
  local _, suite = suite_of(spec)
  local command = suite and directory .. "/program --only " .. suite
    or table.concat({ build.LUA, "$(command -v busted) --ignore-lua --no-keep-going",
      "--output=spec/counting_output.lua", spec }, " ")
  local paths = ("LUA_PATH=%s LUA_CPATH=%s"):format(quote(directory .. "/lua/?.lua;" .. build.LUA_PATH),
    quote(directory .. "/?.so;" .. build.LUA_CPATH))
  local ended = execute(("ulimit -v %d; ulimit -t %d; %s timeout -k 5 %d %s"):format(KILOBYTES, CPU_SECONDS,
    paths, SECONDS, command), log)
  return ended and tonumber(read(log):match "(%d+) passed, 0 failed\n$")
end

--- An empty folder of this name for what is built.
local function make_directory(name)
  local directory = build.BUILD .. "/mutants/" .. name
  os.execute(("rm -rf %s && mkdir -p %s"):format(directory, directory))
  return directory
end

--- What becomes of the mutant: "killed", "survived", "stale" or "broken".
local function try(mutant)
  local source = mutate(mutant)
  if not source then return "stale" end
  local directory = make_directory(mutant.name)
  local objects = build.OBJECTS
  if is_lua(mutant) then
    write_mutant(mutant, directory, source)
  else
    objects = compile_mutant(mutant, directory, source)
  end
  if not objects then return "broken" end
  local linked
  for spec in mutant.specs:gmatch "%S+" do
    local what = suite_of(spec) or "module"
    if what ~= linked and not link(spec, directory, objects) then return "broken" end
    linked = what
    if not run(spec, directory) then return "killed" end
  end
  return "survived"
end

--- What is to be said of the spec as long as nothing is broken: "green", "empty" or "red".
local function judge(spec)
  local directory = make_directory("none/" .. spec:gsub("/", "-"))
  local passed = link(spec, directory, build.OBJECTS) and run(spec, directory)
  if not passed then io.stderr:write(read(directory .. "/log")) end
  return passed and (passed > 0 and "green" or "empty") or "red"
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

local SAID = {
  survived = "SURVIVES",
  stale = "does not apply (its text is not in the source, or more than once)",
  broken = "does not compile",
  red = "fails without any mutant",
  empty = "has no tests",
}

--- Does the work for each name in a process of its own, and says what is wrong. Counts what came of it.
---   option  of this script: what the names are
---   says    what to say of a name besides
local function spread(option, names, says)
  local workers = ("printf '%%s\\n' %s | xargs -P %d -n 1 %s spec/mutants/run.lua %s"):format(
    table.concat(names, " "), AT_ONCE, build.LUA, option)
  local counts = setmetatable({}, { __index = function() return 0 end })
  for line in io.popen(workers):lines() do
    local what, name = line:match "^(%l+) (%S+)$"
    counts[what] = counts[what] + 1
    if SAID[what] then print(("mutants: %s %s%s"):format(name, SAID[what], says(name))) end
  end
  return counts
end

--- Ends unless the specs of all these mutants have tests, which pass without them: a red spec would pass for
--- a kill, and one whose tests are elsewhere kills nothing.
local function check_specs(mutants)
  local specs, seen = {}, {}
  for _, mutant in ipairs(mutants) do
    for spec in mutant.specs:gmatch "%S+" do
      if not seen[spec] then specs[#specs + 1] = spec end
      seen[spec] = true
    end
  end
  local counts = spread("--spec", specs, function() return "" end)
  if counts.green < #specs then os.exit(1) end
end

local function main()
  local mutants, by_name = choose(arg)
  check_specs(mutants)
  local names = {}
  for i, mutant in ipairs(mutants) do names[i] = mutant.name end
  local counts = spread("--mutant", names, function(name)
    return (": %s (%s)"):format(by_name[name].says, by_name[name].file)
  end)
  print(("mutants: %d killed, %d survived"):format(counts.killed, counts.survived))
  os.exit(counts.killed == #mutants)
end

if arg[1] == "--mutant" then
  local mutants = choose { arg[2] }
  print(try(mutants[1]) .. " " .. arg[2])
elseif arg[1] == "--spec" then
  print(judge(arg[2]) .. " " .. arg[2])
else
  main()
end
