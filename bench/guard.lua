-- Counts the instructions of each hot path, and the cache misses of each cold one, and compares them with
-- bench/baseline.json; with the argument `baseline` it writes that file instead. Counts do not wobble, times
-- do: only these decide anything.

local cjson = require "cjson"
local cold_paths = require "cold_paths"
local hot_paths = require "hot_paths"
local instructions = require "instructions"
local machine = require "machine"
local misses = require "misses"
local verdicts = require "verdicts"

local BASELINE = "bench/baseline.json"
local BUILD = os.getenv "BUILD" or "build"
local LUA = os.getenv "LUA" or "lua5.4"

local FEW, MANY = 1000, 3000 -- operations
local COLD_FEW, COLD_MANY = 4000, 12000 -- twice and six times of each task

-- What the lines of some files may cost a path, wherever they are inlined: of the trace, and of the decision
-- that nothing is recorded.
local TRACE, SPAN = "kernel/trace%.[ch]$", "span/span%.[ch]$"
local LIMITS = {
  { name = "trace id at spawn", path = "spawn", file = TRACE, at_most = 16 },
  { name = "decision: span", path = "span that is not sampled", file = SPAN, at_most = 12 },
  { name = "decision: event", path = "event that is not sampled", file = SPAN, at_most = 12 },
  { name = "decision: set", path = "set that is not sampled", file = SPAN, at_most = 12 },
  { name = "decision: spawn", path = "spawn that is not sampled", file = SPAN, at_most = 24 },
  { name = "decision: nobody listens", path = "span that nobody hears of", file = SPAN, at_most = 12 },
}

-- What was allocated is freed, and counts. The state is not closed: that would unload the module, and
-- callgrind would not know any more which lines it has counted.
local CODE = 'collectgarbage "stop" require("%s")["%s"](%d) collectgarbage() os.exit(true)'

local function program(paths, path, operations)
  return { build = BUILD, lua = LUA, code = CODE:format(paths, path, operations) }
end

local function environment()
  return {
    compiler = machine.first_line((os.getenv "CC" or "cc") .. " --version"),
    flags = os.getenv "CFLAGS",
    lua = machine.first_line(LUA .. " -v"),
    libc = machine.first_line "ldd --version",
    processor = machine.first_line "uname -m",
  }
end

--- Instructions per operation, in all and by file. A path has both processors to itself.
local function count(path)
  local few = instructions.start(program("hot_paths", path, FEW))
  local many = instructions.start(program("hot_paths", path, MANY))
  few, many = few(), many()
  local by_file = {}
  for file, cost in pairs(many.by_file) do
    by_file[file] = (cost - (few.by_file[file] or 0)) / (MANY - FEW)
  end
  return (many.total - few.total) / (MANY - FEW), by_file
end

--- Misses per operation.
local function count_misses(path)
  local few = misses.start(program("cold_paths", path, COLD_FEW))
  local many = misses.start(program("cold_paths", path, COLD_MANY))
  few, many = few(), many()
  return (many - few) / (COLD_MANY - COLD_FEW)
end

local function cost_of_files(by_file, pattern)
  local cost = 0
  for file, of_file in pairs(by_file) do cost = cost + (file:find(pattern) and of_file or 0) end
  return cost
end

local function rounded(value) return math.floor(value * 10 + 0.5) / 10 end

local function count_all()
  local counted, limited = { instructions = {}, misses = {} }, {}
  for path in pairs(cold_paths) do counted.misses[path] = rounded(count_misses(path)) end
  for path in pairs(hot_paths) do
    local total, by_file = count(path)
    counted.instructions[path] = rounded(total)
    for _, limit in ipairs(LIMITS) do
      if limit.path == path then limited[limit] = cost_of_files(by_file, limit.file) end
    end
  end
  return counted, limited
end

local function read_baseline()
  local file <close> = assert(io.open(BASELINE))
  return cjson.decode(file:read "a")
end

--- An object with its keys in order, a line each, so that a change of one count is a change of one line.
local function write_object(file, name, object, format)
  file:write("  ", cjson.encode(name), ": {\n")
  local keys = {}
  for key in pairs(object) do keys[#keys + 1] = key end
  table.sort(keys)
  for i, key in ipairs(keys) do
    file:write("    ", cjson.encode(key), ": ", format(object[key]), i < #keys and "," or "", "\n")
  end
  file:write "  }"
end

local function write_baseline(counted)
  local file <close> = assert(io.open(BASELINE, "w"))
  local function a_digit(value) return ("%.1f"):format(value) end
  file:write "{\n"
  write_object(file, "environment", environment(), cjson.encode)
  file:write ",\n"
  write_object(file, "instructions", counted.instructions, a_digit)
  file:write ",\n"
  write_object(file, "misses", counted.misses, a_digit)
  file:write "\n}\n"
end

local function show(value, format) return value and format:format(value) or "-" end

local ROW = "%-28s %10s %10s %8s  %s"

---@return boolean failed
local function compare(title, before, now, limit)
  local failed = false
  print(ROW:format(title, "baseline", "now", "change", ""))
  for _, v in ipairs(verdicts.compare(before, now, limit)) do
    failed = failed or v.failed
    local change = show(v.change and 100 * v.change, "%+.1f%%")
    print(ROW:format(v.path, show(v.before, "%.1f"), show(v.now, "%.1f"), change, v.text))
  end
  return failed
end

local function report(baseline, counted, limited)
  local dearer =
    compare("instructions of", baseline.instructions, counted.instructions, verdicts.INSTRUCTIONS_LIMIT)
  local colder = compare("cache misses of", baseline.misses, counted.misses, verdicts.MISSES_LIMIT)
  local too_many = false
  for _, limit in ipairs(LIMITS) do
    local is_over = limited[limit] > limit.at_most
    too_many = too_many or is_over
    local text = is_over and "too many" or ""
    print(ROW:format(limit.name, "<= " .. limit.at_most, show(limited[limit], "%.1f"), "", text))
  end
  local differences = verdicts.differences(baseline.environment, environment())
  if #differences > 0 then
    print("The baseline was counted elsewhere, and counts depend on that:")
    print("  " .. table.concat(differences, "\n  "))
  end
  if dearer or colder then
    print(("A path has grown by more than %g%% in instructions, or %g%% in misses: make it as fast as it\n"
      .. "was, or commit what `make bench-baseline` writes, and why."):format(
      100 * verdicts.INSTRUCTIONS_LIMIT, 100 * verdicts.MISSES_LIMIT))
  end
  return not (dearer or colder or too_many)
end

local counted, limited = count_all()
if arg[1] == "baseline" then
  write_baseline(counted)
elseif not report(read_baseline(), counted, limited) then
  os.exit(1)
end
