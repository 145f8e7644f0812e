-- Runs pieces of Lua under valgrind so that its counts are the same from run to run. Lua's hash of strings
-- depends on the time, and on where its stack lies: no random addresses, nobody's variables, always the same
-- time.

local isolated = {}

local COMMAND = table.concat({
  "env -i PATH=/usr/bin:/bin LC_ALL=C LD_PRELOAD=%s/frozen_time.so",
  "LUA_PATH='bench/?.lua;lua/?.lua;lua/?/init.lua' LUA_CPATH='%s/?.so'",
  "setarch -R valgrind %s=%s %s -e '%s' 2>&1",
}, " ")

---@class isolated.program
---@field build string  # directory
---@field lua string  # interpreter
---@field code string  # without single quotes

--- Starts a program.
---@param tool string  # valgrind's options; the last of them is the one that names the file of its counts
---@param program isolated.program
---@return fun(): file*  # waits for it; what has been counted
function isolated.start(tool, program)
  local out = os.tmpname()
  local build = program.build
  local pipe = assert(io.popen(COMMAND:format(build, build, tool, out, program.lua, program.code)))
  return function()
    local said = pipe:read "a"
    local ok = pipe:close()
    if not ok then error("valgrind failed:\n" .. said, 0) end
    local file = assert(io.open(out))
    os.remove(out)
    return file
  end
end

return isolated
