--- What the plain host asks the operating system: the monotonic clock, the wall clock, sleep, random bytes.
--- Through LuaJIT's FFI; else through LuaSocket or luv where they are; else by Lua's own library, whose clock
--- counts whole seconds.

local clock = {}

local is_jit = type(rawget(_G, "jit")) == "table"
local ok_ffi, ffi = pcall(require, "ffi")
if not is_jit then ok_ffi = false end

-- Taken before user code changes what files have.
local open, read, close = io.open, io.stdout.read, io.stdout.close

local function random_file(n)
  local file = open("/dev/urandom", "rb")
  local bytes = file and read(file, n)
  if file then close(file) end
  return bytes
end

local function weak_random(n)
  local bytes = {}
  for i = 1, n do bytes[i] = string.char(math.random(0, 255)) end
  return table.concat(bytes)
end

--- Random bytes are read in blocks.
local BLOCK = 4096
local block, at = "", 1

function clock.random(n)
  if at + n - 1 > #block then
    block, at = random_file(BLOCK) or weak_random(BLOCK), 1
  end
  at = at + n
  return block:sub(at - n, at - 1)
end

--- Drops the bytes that were read before: a forked process must not use them too.
function clock.forget() block, at = "", 1 end

if ok_ffi then
  ffi.cdef [[
    typedef struct { long tv_sec; long tv_nsec; } coropanic_timespec;
    int coropanic_clock_gettime(int clock, coropanic_timespec *time) __asm__("clock_gettime");
    int coropanic_nanosleep(const coropanic_timespec *time, coropanic_timespec *left) __asm__("nanosleep");
  ]]
  local C = ffi.C
  local time, left = ffi.new "coropanic_timespec[1]", ffi.new "coropanic_timespec[1]"
  local REALTIME, MONOTONIC = 0, ffi.os == "Linux" and 1 or ffi.os == "OSX" and 6 or 4

  function clock.now()
    C.coropanic_clock_gettime(MONOTONIC, time)
    return tonumber(time[0].tv_sec) + tonumber(time[0].tv_nsec) * 1e-9
  end

  function clock.wall()
    C.coropanic_clock_gettime(REALTIME, time)
    return tonumber(time[0].tv_sec) * 1e9 + tonumber(time[0].tv_nsec)
  end

  function clock.sleep(seconds)
    left[0].tv_sec = math.floor(seconds)
    left[0].tv_nsec = (seconds - math.floor(seconds)) * 1e9
    C.coropanic_nanosleep(left, nil)
  end
  return clock
end

local to_integer = math.tointeger or function(value) return value end

local ok_socket, socket = pcall(require, "socket")
if ok_socket and type(socket) == "table" and socket.gettime then
  function clock.now() return socket.gettime() end
  function clock.wall() return to_integer(math.floor(socket.gettime() * 1e6) * 1000) end
  clock.sleep = socket.sleep
  return clock
end

--- Whole seconds, and what the processor's time adds to them since the last change of the second.
local last_time, last_clock = os.time(), os.clock()

function clock.now()
  local time, used = os.time(), os.clock()
  if time ~= last_time then last_time, last_clock = time, used end
  return time + math.min(used - last_clock, 0.999)
end

function clock.wall() return to_integer(os.time()) * 1000000000 end

--- Nothing in Lua's library sleeps: the loop looks at the clock again and again.
function clock.sleep(seconds)
  local until_time = clock.now() + seconds
  while clock.now() < until_time do end -- luacheck: ignore
end

return clock
