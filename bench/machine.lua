-- Where a benchmark ran.

local machine = {}

--- The first line that a command prints, nil if it fails or prints nothing.
---@param command string
---@return string?
function machine.first_line(command)
  local pipe = assert(io.popen("{ " .. command .. "; } 2>/dev/null"))
  local line = pipe:read "l"
  pipe:read "a"
  local ok = pipe:close()
  return ok and line ~= "" and line or nil
end

local first_line = machine.first_line

local function integer(command) return math.tointeger(tonumber(first_line(command))) end

---@return table
function machine.describe()
  return {
    processor = first_line [[sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo]] or first_line "uname -m",
    cores = integer "getconf _NPROCESSORS_ONLN",
    memory_megabytes = integer [[awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo]],
    kernel = first_line "uname -sr",
    system = first_line [[. /etc/os-release && echo "$PRETTY_NAME"]],
    compiler = first_line((os.getenv "CC" or "cc") .. " --version"),
  }
end

return machine
