-- How many instructions a program executes, counted by valgrind's callgrind.

local instructions = {}

---@class counts
---@field total integer
---@field by_file table<string, integer>  # source file -> instructions of its lines, inlined ones too

--- Reads callgrind's file: https://valgrind.org/docs/manual/cl-format.html
---@param lines fun(): string?
---@return counts
function instructions.parse(lines)
  local counts = { total = 0, by_file = {} }
  local names = {}
  local file, is_call
  for line in lines do
    -- A name is written out once, wherever it comes first: c for the file of a function that is called.
    local called, number, name = line:match "^(c?)f[lie]=%((%d+)%) ?(.*)$"
    if number then
      if name ~= "" then names[number] = name end
      if called == "" then file = names[number] end
    elseif line:find "^calls=" then
      is_call = true
    elseif line:find "^[%d%+%-%*]" then
      -- What a call costs, the line behind `calls=`, is counted in the function that it calls.
      local cost = not is_call and math.tointeger(line:match "^%S+ (%d+)$") or 0
      is_call = false
      counts.total = counts.total + cost
      if file then counts.by_file[file] = (counts.by_file[file] or 0) + cost end
    end
  end
  return counts
end

-- Lua's hash of strings also depends on where its stack lies: nobody's variables, no random addresses.
local COMMAND = table.concat({
  "env -i PATH=/usr/bin:/bin LC_ALL=C LD_PRELOAD=%s/frozen_time.so",
  "LUA_PATH='bench/?.lua;lua/?.lua;lua/?/init.lua' LUA_CPATH='%s/?.so'",
  "setarch -R valgrind --tool=callgrind --callgrind-out-file=%s %s -e '%s' 2>&1",
}, " ")

--- Starts counting what a piece of Lua executes.
---@param build string  # directory
---@param lua string  # interpreter
---@param code string  # without single quotes
---@return fun(): counts  # waits for it
function instructions.start(build, lua, code)
  local out = os.tmpname()
  local pipe = assert(io.popen(COMMAND:format(build, build, out, lua, code)))
  return function()
    local said = pipe:read "a"
    local ok = pipe:close()
    if not ok then error("callgrind failed:\n" .. said, 0) end
    local file <close> = assert(io.open(out))
    os.remove(out)
    return instructions.parse(file:lines())
  end
end

return instructions
