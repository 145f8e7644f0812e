--- `.coropanic-lint.lua`, which returns a table:
---   ignore   ids of rules that are off: { "C103" }
---   exclude  files and folders that are not looked at: { "build", "spec/**/bad.lua" }
---   files    by file or folder: { ["spec"] = { ignore = { "C104" } } }
--- In the names `*` stands for any text without a slash, and `**` for any text.

local config = {}

--- The name of the file in the current folder.
config.PATH = ".coropanic-lint.lua"

local ENOENT = 2 -- what opening a missing file fails with

local function fail(key, format, ...) error({ problem = ("'%s': %s"):format(key, format:format(...)) }, 0) end

local function check_list(key, value)
  if type(value) ~= "table" then fail(key, "a list expected, got %s", type(value)) end
  local count = 0
  for _ in pairs(value) do count = count + 1 end
  for index = 1, count do
    if type(value[index]) ~= "string" then
      fail(("%s[%d]"):format(key, index), "a string expected, got %s", type(value[index]))
    end
  end
  return value
end

local function set_of_rules(key, value, known)
  local set = {}
  for index, id in ipairs(check_list(key, value)) do
    if not known[id] then fail(("%s[%d]"):format(key, index), "there is no rule '%s'", id) end
    set[id] = true
  end
  return set
end

--- Makes a Lua pattern of a name.
local function pattern_of(name)
  local pattern = name:gsub("^%./", ""):gsub("/$", ""):gsub("[%^%$%(%)%%%.%[%]%+%-%?]", "%%%0")
  pattern = pattern:gsub("%*+", function(stars) return #stars > 1 and ".*" or "[^/]*" end)
  return "^" .. pattern .. "%f[/\0]"
end

local READERS = {}

function READERS.ignore(value, known, result) result.ignore = set_of_rules("ignore", value, known) end

function READERS.exclude(value, _, result)
  for index, name in ipairs(check_list("exclude", value)) do result.exclude[index] = pattern_of(name) end
end

function READERS.files(value, known, result)
  if type(value) ~= "table" then fail("files", "a table expected, got %s", type(value)) end
  for name, settings in pairs(value) do
    local key = ("files[%q]"):format(tostring(name))
    if type(name) ~= "string" then fail(key, "a string expected as the key, got %s", type(name)) end
    if type(settings) ~= "table" then fail(key, "a table expected, got %s", type(settings)) end
    for setting in pairs(settings) do
      if setting ~= "ignore" then fail(("%s.%s"):format(key, tostring(setting)), "unknown key (ignore)") end
    end
    local ignore = set_of_rules(key .. ".ignore", settings.ignore or {}, known)
    result.files[#result.files + 1] = { pattern = pattern_of(name), ignore = ignore }
  end
end

--- Checks a configuration.
---@param given table
---@param known table<string, true>  # ids of rules
---@return table? config  # for excludes and ignores
---@return string? problem  # begins with the key
function config.read(given, known)
  local result = { ignore = {}, exclude = {}, files = {} }
  local ok, failure = pcall(function()
    for key, value in pairs(given) do
      local reader = READERS[key]
      if not reader then fail(tostring(key), "unknown key (ignore, exclude, files)") end
      reader(value, known, result)
    end
  end)
  if ok then return result end
  if type(failure) ~= "table" or not failure.problem then error(failure, 0) end
  return nil, failure.problem
end

--- Loads the file of this name, which may be missing. It runs without any globals. Returns what it returns.
---@param path string
---@param known table<string, true>
---@return table? given  # is valid for config.read
---@return string? problem
function config.load(path, known)
  local file, why, code = io.open(path)
  if not file and code == ENOENT then return {} end
  if not file then return nil, why end
  file:close()
  local chunk, problem = loadfile(path, "t", {})
  if not chunk then return nil, problem end
  local ok, given = pcall(chunk)
  if not ok then return nil, tostring(given) end
  if type(given) ~= "table" then return nil, ("%s: must return a table, not %s"):format(path, type(given)) end
  local valid
  valid, problem = config.read(given, known)
  if not valid then return nil, ("%s: %s"):format(path, problem) end
  return given
end

local function plain(path) return (path:gsub("^%./", "")) end

--- Whether a file or folder is not to be looked at.
function config.excludes(self, path)
  for _, pattern in ipairs(self.exclude) do
    if plain(path):find(pattern) then return true end
  end
  return false
end

--- Whether a rule is off in a file.
function config.ignores(self, path, id)
  if self.ignore[id] then return true end
  for _, of in ipairs(self.files) do
    if of.ignore[id] and plain(path):find(of.pattern) then return true end
  end
  return false
end

return config
