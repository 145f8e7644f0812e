--- Go's own tools, for specs of the files that are made for them.

local go_tool = {}

--- Runs `go tool ARGUMENTS FILE` with a file of these bytes.
---@param arguments string  # "trace -d"
---@return boolean? ok, string output
function go_tool.run(arguments, bytes)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(bytes)
  file:close()
  local pipe = assert(io.popen(("env -u LD_PRELOAD HOME=/tmp go tool %s %s 2>&1"):format(arguments, path)))
  local output = pipe:read "a"
  local ok = pipe:close()
  os.remove(path)
  return ok, output
end

return go_tool
