--- What a C program needs to be linked with the library of the build under test.

local c_flags = {}

--- Returns the sanitizers with which the library was built, as flags of the compiler; else "".
---@param library string  # path
---@return string
function c_flags.sanitizers(library)
  local pipe = assert(io.popen("env -u LD_PRELOAD nm " .. library))
  local names = pipe:read "a"
  pipe:close()
  return names:find("__asan_init", 1, true) and "-fsanitize=address,undefined" or ""
end

return c_flags
