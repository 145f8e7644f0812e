-- How many instructions a program executes, counted by valgrind's callgrind.

local isolated = require "isolated"

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

--- Starts counting what a program executes.
---@param program isolated.program
---@return fun(): counts  # waits for it
function instructions.start(program)
  local wait = isolated.start("--tool=callgrind --callgrind-out-file", program)
  return function()
    local file <close> = wait()
    return instructions.parse(file:lines())
  end
end

return instructions
