--- What the specs of real hosts share: programs run with the module under test.

local host = {}

--- The folder of the checkout.
host.HERE = io.popen("pwd"):read "l"

-- Hosts change their folder, so paths must be good in any.
local function path_of(variable, fallback)
  return variable .. "=" .. ((os.getenv(variable) or fallback):gsub("%f[^\0;]%./", host.HERE .. "/"))
end

--- The environment in which a host finds the module, with what the tests preload.
---@return string[] variables  # `NAME=value`
function host.environment()
  local variables = {
    path_of("LUA_PATH", "./lua/?.lua;./lua/?/init.lua;;"),
    path_of("LUA_CPATH", "./build/?.so;;"),
  }
  for _, name in ipairs { "PATH", "HOME", "LD_PRELOAD", "ASAN_OPTIONS", "UBSAN_OPTIONS" } do
    local value = os.getenv(name)
    variables[#variables + 1] = value and name .. "=" .. value
  end
  return variables
end

--- Makes a folder for what a host writes.
---@return string path
function host.make_folder()
  return io.popen("mktemp -d"):read "l"
end

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- The same as words of a shell.
---@return string
function host.environment_words()
  local words = {}
  for i, variable in ipairs(host.environment()) do
    words[i] = quote(variable)
  end
  return table.concat(words, " ")
end

--- Seconds that a program may take; generous, since machines are busy.
local PATIENCE_SECONDS = 120

--- Runs a program to its end, without a terminal.
---@param ... string  # its name and arguments
---@return string output  # of both streams
---@return integer status
function host.run(...)
  local words = { "env", "-i", host.environment_words(), "timeout " .. PATIENCE_SECONDS }
  for _, word in ipairs { ... } do
    words[#words + 1] = quote(word)
  end
  local pipe = assert(io.popen(table.concat(words, " ") .. " 2>&1 </dev/null"))
  local output = pipe:read "a"
  local _, _, status = pipe:close()
  return output, status
end

--- Writes a file.
function host.write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

--- Reads a file.
---@return string
function host.read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

return host
