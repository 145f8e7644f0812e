--- The Lua files that the arguments of the command name.

local files = {}

local EISDIR = 21 -- what reading a folder fails with, on Linux, the BSDs and macOS

local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

--- Reads a file. Returns its text, or nil and what is wrong.
---@param path string
---@return string?
---@return string? problem
function files.read(path)
  local file, problem = io.open(path, "rb")
  if not file then return nil, (problem:gsub("^.-: ", "")) end
  local text, why = file:read "a"
  file:close()
  return text, why
end

local function is_folder(path)
  local file = io.open(path, "rb")
  if not file then return false end
  local _, _, code = file:read(0)
  file:close()
  return code == EISDIR
end

-- Ends names by NUL, because they may have line ends.
local FIND = "find %s -mindepth 1 -name '.?*' -prune -o -type f -name '*.lua' -print0"

--- Appends the files below the folder whose names end in .lua, in the order of their names, but for those in
--- hidden folders.
local function in_folder(path, found)
  local name = path:find "^%-" and "./" .. path or path
  local listing = assert(io.popen(FIND:format(quote(name))))
  local list = {}
  for file in listing:read("a"):gmatch "[^\0]+" do list[#list + 1] = file end
  listing:close()
  table.sort(list)
  return table.move(list, 1, #list, #found + 1, found)
end

--- The files that these paths stand for: a file for itself, a folder for the Lua files in it.
---@param paths string[]
---@return string[]
function files.list(paths)
  local found = {}
  for _, path in ipairs(paths) do
    if is_folder(path) then
      in_folder(#path > 1 and path:gsub("/+$", "") or path, found)
    else
      found[#found + 1] = path
    end
  end
  return found
end

return files
