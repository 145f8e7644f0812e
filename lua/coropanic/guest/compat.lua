--- What differs between the Luas in which the guest runs: LuaJIT 2.1, and PUC Lua 5.1 and 5.3 to 5.5. Only
--- this file asks which Lua it is. All functions of the libraries that the guest calls in user code's stead
--- are taken here, before anybody replaces them.

local compat = {}

--- The name of this chunk.
compat.SOURCE = debug.getinfo(1, "S").source

local coroutine, debug, error, select, pcall, xpcall = coroutine, debug, error, select, pcall, xpcall
local create, resume, status, yield = coroutine.create, coroutine.resume, coroutine.status, coroutine.yield
local running, getinfo = coroutine.running, debug.getinfo

compat.unpack = table.unpack or unpack -- luacheck: ignore
compat.pack = table.pack or function(...) return { n = select("#", ...), ... } end
local pack, unpack = compat.pack, compat.unpack

--- Lua's own functions on coroutines, which the guest replaces in `coroutine` (coroutine.lua).
compat.create, compat.resume, compat.status, compat.yield = create, resume, status, yield
compat.running = running
compat.close = coroutine.close
compat.wrap = coroutine.wrap
compat.is_jit = type(rawget(_G, "jit")) == "table"

--- Stands for the main thread where `coroutine.running` returns nothing there, in Lua 5.1.
compat.MAIN = "main"

--- Whether code in a protected call can yield: not in Lua 5.1.
compat.yields_in_pcall = coroutine.wrap(function() return (pcall(yield, true)) end)() == true

--- Whether code called by a `for` loop's iterator, or a metamethod, can yield: not in Lua 5.1.
compat.yields_in_iterator = compat.yields_in_pcall

--- Whether variables can be `<close>`.
compat.has_close = compat.close ~= nil

--- Where protected calls have coroutines of their own: such a coroutine -> the thread that waits for it. That
--- thread's stack refers to the coroutine, so that as a strong value it would keep both for ever: Lua 5.1 has
--- no ephemeron tables.
compat.below = setmetatable({}, { __mode = "kv" })

--- The coroutine in which a protected call's coroutine runs, whatever number of them; other ones themselves.
function compat.outermost(thread)
  while compat.below[thread] do thread = compat.below[thread] end
  return thread
end

--- The running coroutine, as the code knows it that has made it.
function compat.outermost_running()
  local thread, is_main = running()
  return compat.outermost(thread), is_main
end

local is_c = setmetatable({}, { __mode = "k" }) -- by function, as to ask for what one is costs more

--- Whether the activation is one of a C function, or of a `for` loop's iterator.
local function is_obstacle(info)
  local fn = info.func
  if fn == nil then return false end -- a tail call
  if is_c[fn] == nil then is_c[fn] = getinfo(fn, "S").what == "C" end
  return is_c[fn] or info.name == "(for generator)"
end

--- Whether the code of a stack can yield, from `level` on, as far as Lua 5.1 tells. C functions and iterators
--- of `for` show there. A metamethod does not, but a function that has a name is none: nil, if one has no
--- name.
local function look_at(thread, level)
  local answer = true
  local info = getinfo(thread, level, "nf")
  while info do
    if is_obstacle(info) then return false end
    level = level + 1
    local outer = getinfo(thread, level, "nf")
    if outer ~= nil and info.namewhat == "" then answer = nil end
    info = outer
  end
  return answer
end

--- In Lua 5.1: whether the running coroutine can yield; nil: it may be in a metamethod, in which that fails.
local function looks_yieldable()
  local thread = running()
  if thread == nil then return false end
  local answer = look_at(thread, 3) -- the caller of this function
  thread = compat.below[thread]
  while thread and answer ~= false do
    local outer_answer = look_at(thread, 1) -- 0 is the `resume` in which it waits
    if outer_answer ~= true then answer = outer_answer end
    thread = compat.below[thread]
  end
  return answer
end

local function no_answer() return nil end

--- Whether the running coroutine can yield; nil: nobody knows, as also in nginx, whose library lacks the
--- function.
compat.isyieldable = coroutine.isyieldable or (compat.yields_in_pcall and no_answer or looks_yieldable)

--- The length of an object without its metamethods.
compat.rawlen = rawget(_G, "rawlen") or function(value) return #value end

--- A 64-bit hash, or the like, in a number is exact only below this.
compat.has_integers = _VERSION ~= "Lua 5.1" and math.type ~= nil

--- Whether the number has no fraction, so that it is shown without one.
function compat.is_integer(value)
  if math.type then return math.type(value) == "integer" end
  return value % 1 == 0
end

local has_new, new_table = pcall(require, "table.new")

--- A table with room for so many fields, in its array and besides.
---
--- In a constructor LuaJIT makes room for the constants alone, if there are any; each other field makes the
--- table grow. So constructors of what is made often name all fields as constants, and set them later.
---@type fun(array: integer, fields: integer): table
compat.new_table = has_new and new_table or function() return {} end

local jit = rawget(_G, "jit")
--- Keeps LuaJIT from compiling functions that yield or resume: it would begin a new trace behind each of
--- these calls, and so make thousands of them.
function compat.interpreted(...)
  if not compat.is_jit then return end
  for _, fn in ipairs { ... } do jit.off(fn) end
end

-- Protected calls ----------------------------------------------------------------------------------------

local passes_arguments = select(2, xpcall(function(...) return select("#", ...) end, print, 1)) == 1

--- The nested protected calls of Lua 5.1, each in a coroutine of its own, so that code in them can yield. C's
--- stack is not guarded there against nested coroutines.
local MAX_NESTED = 190
local nested = 0

--- Whether a protected call more may have a coroutine.
function compat.has_room() return nested < MAX_NESTED end

--- What is said of an error of which the coroutine of a protected call has died; kernel.lua replaces it.
function compat.explain(err, _) return err end

local function resume_nested(thread, ...)
  nested = nested + 1
  return resume(thread, ...)
end

--- Passes on what the coroutine of a protected call yields, until it ends. A loop: Lua 5.1 keeps a level of
--- the stack for each tail call.
local function pass_on(thread, results)
  nested = nested - 1
  while results[1] and status(thread) ~= "dead" do
    results = pack(resume_nested(thread, yield(unpack(results, 2, results.n))))
    nested = nested - 1
  end
  return unpack(results, 1, results.n)
end

--- The coroutine of a protected call has ended: returned, or died of an error.
local function end_protected(thread, handler, on_leave, ok, ...)
  if ok then
    on_leave(thread)
    return true, ...
  end
  local result = handler(compat.explain((...), thread), thread)
  on_leave(thread)
  return false, result
end

local function after_resume(thread, handler, on_leave, ok, ...)
  if ok and status(thread) ~= "dead" then
    return end_protected(thread, handler, on_leave, pass_on(thread, pack(ok, ...)))
  end
  nested = nested - 1
  return end_protected(thread, handler, on_leave, ok, ...)
end

--- Calls `fn(...)` as xpcall does, in a coroutine of its own.
---@param handler fun(err, thread)  # called when the coroutine has died, with the coroutine
---@param on_enter fun(thread)  # called with the coroutine before it runs
---@param on_leave fun(thread)  # and when it has ended
function compat.call_in_coroutine(fn, handler, on_enter, on_leave, ...)
  if nested >= MAX_NESTED then return false, handler("C stack overflow") end
  -- called by pcall it would add no place to its message
  if fn == error and (select("#", ...) < 2 or select(2, ...) == 1) then return false, handler((...)) end
  local ok, thread = pcall(create, fn)
  if not ok then thread = create(function(...) return fn(...) end) end -- fn is of C, or an object
  on_enter(thread)
  return after_resume(thread, handler, on_leave, resume_nested(thread, ...))
end

if passes_arguments then
  compat.xpcall = xpcall
else
  --- xpcall that passes arguments on, as in all later Luas.
  function compat.xpcall(fn, handler, ...)
    local count = select("#", ...)
    if count == 0 then return xpcall(fn, handler) end
    local arguments = pack(...)
    return xpcall(function() return fn(unpack(arguments, 1, count)) end, handler)
  end
end
compat.raw_xpcall, compat.pcall = xpcall, pcall

-- Stacks -------------------------------------------------------------------------------------------------

compat.getinfo, compat.getlocal = debug.getinfo, debug.getlocal
compat.getmetatable = debug.getmetatable

--- Whether getinfo tells of tail calls, by a "t", or by a level of their own ("tail").
compat.has_tail_flag = pcall(debug.getinfo, 1, "t")

return compat
