--- Reads profiles as pprof writes them (profile.proto of google/pprof), and asks Go's own pprof about them.

local co = require "coropanic"
local go_tool = require "spec.go_tool"

local pprof = {}

local function varint(bytes, at)
  local value, shift = 0, 0
  while true do
    local byte = bytes:byte(at)
    at, value, shift = at + 1, value | (byte & 0x7f) << shift, shift + 7
    if byte < 0x80 then return value, at end
  end
end

--- The fields of a message, as a list of { number, value }.
local function fields(bytes)
  local at, list = 1, {}
  while at <= #bytes do
    local key, value
    key, at = varint(bytes, at)
    if key & 7 == 0 then
      value, at = varint(bytes, at)
    else
      assert(key & 7 == 2, "wire type")
      local length
      length, at = varint(bytes, at)
      value, at = bytes:sub(at, at + length - 1), at + length
      assert(#value == length, "cut off")
    end
    list[#list + 1] = { key >> 3, value }
  end
  return list
end

--- A message as a table: number of a field → its last value, or all of them if it is in `repeated`.
local function message(bytes, repeated)
  local m = {}
  for _, field in ipairs(fields(bytes)) do
    local number, value = field[1], field[2]
    if repeated and repeated[number] then
      m[number] = m[number] or {}
      table.insert(m[number], value)
    else
      m[number] = value
    end
  end
  for number in pairs(repeated or {}) do m[number] = m[number] or {} end
  return m
end

local function packed(bytes)
  local at, list = 1, {}
  while at <= #(bytes or "") do list[#list + 1], at = varint(bytes, at) end
  return list
end

---@class pprof.sample
---@field stack string[]  # names, the innermost first
---@field lines string[]  # "file:line", likewise
---@field values integer[]
---@field labels table<string, string | integer>

---@return { types: string[], samples: pprof.sample[], comments: string[], period: integer? }
function pprof.read(bytes)
  local p = message(bytes, { [1] = true, [2] = true, [4] = true, [5] = true, [6] = true, [13] = true })
  local texts = p[6]
  local function text(number) return assert(texts[(number or 0) + 1], "no such text") end
  local functions, locations = {}, {}
  for _, f in ipairs(p[5]) do
    f = message(f)
    functions[f[1]] = { name = text(f[2]), file = text(f[4]), line = f[5] or 0 }
  end
  for _, l in ipairs(p[4]) do
    l = message(l)
    local line = message(l[4])
    local f = assert(functions[line[1]], "no such function")
    locations[l[1]] = { name = f.name, line = f.file .. ":" .. (line[2] or 0) }
  end
  local read = { types = {}, samples = {}, comments = {}, period = p[12], texts = #texts, functions = #p[5] }
  assert(texts[1] == "")
  for i, t in ipairs(p[1]) do
    t = message(t)
    read.types[i] = text(t[1]) .. "/" .. text(t[2])
  end
  for i, s in ipairs(p[2]) do
    s = message(s, { [3] = true })
    local sample = { stack = {}, lines = {}, values = packed(s[2]), labels = {} }
    for n, id in ipairs(packed(s[1])) do
      sample.stack[n], sample.lines[n] = assert(locations[id]).name, locations[id].line
    end
    for _, l in ipairs(s[3]) do
      l = message(l)
      sample.labels[text(l[1])] = l[2] and text(l[2]) or l[3] or 0
    end
    read.samples[i] = sample
  end
  for i, number in ipairs(p[13]) do read.comments[i] = text(number) end
  return read
end

--- The sum of a value of all samples, or of those that `wanted` says.
---@param wanted? fun(sample: pprof.sample): any
function pprof.total(read, value, wanted)
  local total = 0
  for _, sample in ipairs(read.samples) do
    if not wanted or wanted(sample) then total = total + sample.values[value] end
  end
  return total
end

--- Whether a function is on the sample's stack.
function pprof.has(sample, name)
  for _, on_stack in ipairs(sample.stack) do
    if on_stack == name then return true end
  end
  return false
end

--- The output of `go tool pprof` with these options about a profile.
function pprof.go(bytes, options)
  local ok, output = go_tool.run("pprof " .. options, bytes)
  assert(ok, output)
  return output
end

--- Profiles a run of `fn`; `options` are those of co.profile.start. Raises what the run raises.
---@return table read, string bytes
function pprof.of_run(options, fn, ...)
  local profile = co.profile.start(options)
  local ok, why = pcall(co.run, fn, ...)
  local bytes = profile:stop()
  assert(ok, why)
  return pprof.read(bytes), bytes
end

return pprof
