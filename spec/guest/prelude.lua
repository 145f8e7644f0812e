-- What the shared specs use of later Luas' libraries, for Lua 5.1, LuaJIT and 5.3: the specs' own needs. The
-- guest takes nothing of it.

local guest = package.loaded["coropanic.guest.kernel"] -- must not be loaded yet
assert(guest == nil)
require "coropanic"

local pack = table.pack or function(...) return { n = select("#", ...), ... } end
table.pack = pack -- luacheck: ignore
table.unpack = table.unpack or unpack -- luacheck: ignore

if not math.type then
  function math.type(value) -- luacheck: ignore
    if type(value) ~= "number" then return nil end
    return value % 1 == 0 and "integer" or "float"
  end
end

if not rawget(_G, "utf8") then
  -- the length in characters, or nil if it is not UTF-8
  local text = require "coropanic.guest.text"
  utf8 = {} -- luacheck: ignore
  function utf8.len(s) -- luacheck: ignore
    local count, i = 0, 1
    while i <= #s do
      local size = text.utf8_length(s, i)
      if size == 0 then return nil, i end
      count, i = count + 1, i + size
    end
    return count
  end
end

if _VERSION == "Lua 5.1" then
  if not pcall(load, "return 1") then -- not in LuaJIT
    local load_function, load_string = load, loadstring -- luacheck: ignore
    function load(chunk, name, mode, env) -- luacheck: ignore
      local load_chunk = type(chunk) == "string" and load_string or load_function
      local fn, message = load_chunk(chunk, name)
      if fn and env ~= nil then setfenv(fn, env) end -- luacheck: ignore
      return fn, message, mode
    end
  end

  -- "a" for "*a", ...
  local file = getmetatable(io.stdout).__index
  local read = file.read
  function file.read(self, format, ...)
    if type(format) == "string" and not format:find "^%*" then format = "*" .. format end
    return read(self, format or "*l", ...)
  end

  -- where a process has ended: io.popen's close returns nothing of it
  local popen = io.popen
  function io.popen(command, mode) -- luacheck: ignore
    local status = os.tmpname()
    local pipe = popen(("{ %s\n}; echo $? >%s"):format(command, status), mode)
    local proxy = {}
    function proxy.read(_, ...) return pipe:read(...) end
    function proxy.write(_, ...) return pipe:write(...) end
    function proxy.lines(_, ...) return pipe:lines(...) end
    function proxy.close()
      pipe:close()
      local result = io.open(status)
      local code = result and tonumber(result:read "l") or 0
      if result then result:close() end
      os.remove(status)
      if code > 128 and code ~= 255 then return nil, "signal", code - 128 end
      return code == 0 or nil, "exit", code
    end
    return proxy
  end
end
