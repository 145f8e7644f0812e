-- Counts the instructions of each hot path and compares them with bench/baseline.json; with the argument
-- `baseline` it writes that file instead. Counts do not wobble, times do: only these decide anything.

local cjson = require "cjson"
local instructions = require "instructions"
local machine = require "machine"
local paths = require "hot_paths"
local verdicts = require "verdicts"

local BASELINE = "bench/baseline.json"
local BUILD = os.getenv "BUILD" or "build"
local LUA = os.getenv "LUA" or "lua5.4"

local FEW, MANY = 1000, 3000 -- operations

-- What the trace may cost a spawn, wherever its lines are inlined.
local TRACE = {
  path = "spawn",
  file = "runtime/trace%.[ch]$",
  name = "trace id at spawn",
  at_most = 12,
}

-- What was allocated is freed, and counts. The state is not closed: that would unload the module, and
-- callgrind would not know any more which lines it has counted.
local CODE = 'collectgarbage "stop" require("hot_paths")["%s"](%d) collectgarbage() os.exit(true)'

local function environment()
  return {
    compiler = machine.first_line((os.getenv "CC" or "cc") .. " --version"),
    flags = os.getenv "CFLAGS",
    lua = machine.first_line(LUA .. " -v"),
    libc = machine.first_line "ldd --version",
    processor = machine.first_line "uname -m",
  }
end

--- Instructions per operation, in all and of the trace. A path has both processors to itself.
local function count(path)
  local few = instructions.start(BUILD, LUA, CODE:format(path, FEW))
  local many = instructions.start(BUILD, LUA, CODE:format(path, MANY))
  few, many = few(), many()
  local trace = 0
  for file, cost in pairs(many.by_file) do
    if file:find(TRACE.file) then trace = trace + cost - (few.by_file[file] or 0) end
  end
  return (many.total - few.total) / (MANY - FEW), trace / (MANY - FEW)
end

local function count_all()
  local counted, trace = {}, nil
  for path in pairs(paths) do
    local total, of_trace = count(path)
    counted[path] = math.floor(total * 10 + 0.5) / 10
    if path == TRACE.path then trace = of_trace end
  end
  return counted, trace
end

local function read_baseline()
  local file <close> = assert(io.open(BASELINE))
  return cjson.decode(file:read "a")
end

--- An object with its keys in order, a line each, so that a change of one count is a change of one line.
local function write_object(file, object, format)
  local keys = {}
  for key in pairs(object) do keys[#keys + 1] = key end
  table.sort(keys)
  for i, key in ipairs(keys) do
    file:write("    ", cjson.encode(key), ": ", format(object[key]), i < #keys and "," or "", "\n")
  end
end

local function write_baseline(counted)
  local file <close> = assert(io.open(BASELINE, "w"))
  file:write '{\n  "environment": {\n'
  write_object(file, environment(), cjson.encode)
  file:write '  },\n  "instructions": {\n'
  write_object(file, counted, function(value) return ("%.1f"):format(value) end)
  file:write "  }\n}\n"
end

local function show(value, format) return value and format:format(value) or "-" end

local ROW = "%-28s %10s %10s %8s  %s"

local function report(baseline, counted, trace)
  local failed = false
  print(ROW:format("instructions of", "baseline", "now", "change", ""))
  for _, v in ipairs(verdicts.compare(baseline.instructions, counted)) do
    failed = failed or v.failed
    local change = show(v.change and 100 * v.change, "%+.1f%%")
    print(ROW:format(v.path, show(v.before, "%.1f"), show(v.now, "%.1f"), change, v.text))
  end
  local too_many = trace > TRACE.at_most
  local text = too_many and "too many" or ""
  print(ROW:format(TRACE.name, "<= " .. TRACE.at_most, show(trace, "%.1f"), "", text))
  local differences = verdicts.differences(baseline.environment, environment())
  if #differences > 0 then
    print("The baseline was counted elsewhere, and counts depend on that:")
    print("  " .. table.concat(differences, "\n  "))
  end
  if failed then
    print(("A hot path has changed by more than %g%%: make it as fast as it was, or commit what\n"
      .. "`make bench-baseline` writes, and why."):format(100 * verdicts.LIMIT))
  end
  return not failed and not too_many
end

local counted, trace = count_all()
if arg[1] == "baseline" then
  write_baseline(counted)
elseif not report(read_baseline(), counted, trace) then
  os.exit(1)
end
