--- The frames of a record, as reports and scripts see them: without the runtime's own activations. What
--- capture has found is looked at here, when somebody asks for it.

local compat = require "coropanic.guest.compat"
local kernel = require "coropanic.guest.kernel"

local record_frames = {}

local getinfo = compat.getinfo
local is_ours = kernel.is_ours

--- Whether the activation is not shown: the runtime's own calls and the C functions that these call.
local function is_hidden(source, outer_source)
  if source == kernel.UNWIND then return true end
  return source == "=[C]" and outer_source ~= nil and is_ours(outer_source)
end

--- What a stack's text tells of its activations, and of their functions. A line is the name, or the chunk and
--- the line where the function begins if it has no name, then the chunk and the line that it has reached; of
--- a C function it is the name, then another text.
local function parse(text)
  local stack, about = {}, {}
  for called, place in text:gmatch "([^\n]-)\t([^\n]*)\n" do
    local i = #stack + 1
    local chunk, line = place:match "^(.*):(%-?%d+)$"
    if chunk == nil then
      stack[i] = { name = called ~= place and called or nil, currentline = -1 }
      about[i] = { source = "=[C]", what = "C", linedefined = -1 }
    else
      local begins = called:sub(1, #chunk + 1) == chunk .. ":" and tonumber(called:sub(#chunk + 2))
      stack[i] = { name = not begins and called or nil, currentline = tonumber(line) }
      about[i] = { source = "@" .. chunk, what = begins == 0 and "main" or "Lua", linedefined = begins or -1 }
    end
  end
  return stack, about
end

--- What is told of the function outside the one at the index; not Lua 5.1's sign of a tail call.
local function outer_of(about, index)
  repeat index = index + 1 until about[index] == nil or about[index].what ~= "tail"
  return about[index]
end

--- Adds the frames of one stack. A run of our own activations is shown as one C function, that of the API
--- which user code has called; it is not shown at the inner end of the stack of a panic, whose function has
--- raised it.
local function add_stack(result, stack, shows_api)
  local about = {} -- by index: what getinfo tells of the function
  if stack.text then stack, about = parse(stack.text) end
  for i = #about + 1, #stack do
    local fn = stack[i].func
    about[i] = fn and getinfo(fn, "S") or { source = "=?", what = "tail", linedefined = -1 }
  end
  local before = #result
  for i = 1, #stack do
    if stack.omitted and i == stack.omitted_after + 1 then result.omitted_after = #result end
    local info, of, outer = stack[i], about[i], outer_of(about, i)
    if of.what == "tail" then -- luacheck: ignore (not shown)
    elseif is_ours(of.source) then
      local is_api = outer == nil or not is_ours(outer.source) and outer.source ~= "=[C]"
      local is_inner = #result == before
      if is_api and outer ~= nil and of.source ~= kernel.UNWIND and (shows_api or not is_inner) then
        result[#result + 1] =
          { source = "=[C]", what = "C", name = info.name, line = -1, linedefined = -1, short = "[C]" }
      end
    elseif not is_hidden(of.source, outer and outer.source)
      and not (#result == 0 and (info.func == error or info.func == assert)) then
      local is_named = info.name ~= "?" and not (outer and is_ours(outer.source)) -- not by a variable of ours
      result[#result + 1] = {
        source = of.source, what = of.what, name = is_named and info.name or nil,
        line = info.currentline, linedefined = of.linedefined, func = of.what ~= "C" and info.func or nil,
      }
    end
  end
  if stack.omitted then
    result.omitted_after = result.omitted_after or #result
    result.omitted = (result.omitted or 0) + stack.omitted
    result.is_deep = result.is_deep or stack.unknown or stack.omitted > 16384 - 40
  end
end

--- The frames: an array of {source, what, name, line, linedefined, func}, with `omitted`, `omitted_after` and
--- `is_deep`.
function record_frames.of(r)
  local cached = rawget(r, "_frames")
  if cached then return cached end
  local result = {}
  for i, stack in ipairs(r._stacks) do add_stack(result, stack, r._api or i > 1) end
  rawset(r, "_frames", result)
  return result
end

return record_frames
