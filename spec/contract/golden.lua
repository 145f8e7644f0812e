-- Records as golden files have them: what differs from run to run is replaced by what it is, by rule.
-- Run as a program, `lua5.4 spec/contract/golden.lua` writes the files anew.

local cjson = require "cjson"

local golden = {}

golden.DIRECTORY = "spec/contract/"

--- The file of a panic: its name, with dashes.
function golden.path(name) return golden.DIRECTORY .. name:gsub("[^%w]+", "-") .. ".json" end

-- By key: what its value is replaced by. Ids and sequences become their order of appearance.
local RULES = {
  trace_id = function(state) return state.rank("trace", "%032x") end,
  span_id = function(state) return state.rank("span", "%016x") end,
  parent_span_id = function(state) return state.rank("span", "%016x") end,
  time = function() return function() return "0" end end,
  seq = function(state) return state.rank("seq") end,
  fingerprint = function(state) return state.rank("fingerprint", "%016x") end, -- of one release of Lua
  stack_hash = function(state) return state.rank("hash", "%016x") end,
  stack_hash_full = function(state) return state.rank("hash", "%016x") end,
  id = function(state) return state.rank("task") end,
  parent = function(state) return state.rank("task") end,
}

local function new_state()
  local state, seen = {}, {}
  function state.rank(family, format)
    seen[family] = seen[family] or { n = 0 }
    local ranks = seen[family]
    return function(value)
      if not ranks[value] then
        ranks.n = ranks.n + 1
        ranks[value] = ranks.n
      end
      return format and format:format(ranks[value]) or ranks[value]
    end
  end
  return state
end

local function sorted_keys(table)
  local keys = {}
  for key in pairs(table) do keys[#keys + 1] = key end
  _G.table.sort(keys)
  return keys
end

--- Tasks are named by their number where they have no name; a checkout may be anywhere.
local function plain_text(state, text)
  text = text:gsub('[^%s"]*/(panics%.lua)', "%1")
  return (text:gsub("task (%d+)", function(id) return "task " .. state.rank "task"(tonumber(id)) end))
end

local function normalise(state, value, key)
  if key ~= nil and RULES[key] and type(value) ~= "table" then return RULES[key](state)(value) end
  if type(value) == "string" then return plain_text(state, value) end
  if type(value) ~= "table" then return value end
  local result = {}
  if #value > 0 then
    for i, item in ipairs(value) do result[i] = normalise(state, item) end
  else
    for _, name in ipairs(sorted_keys(value)) do result[name] = normalise(state, value[name], name) end
  end
  return result
end

--- JSON with sorted keys and a line for each, so that a difference is a line.
local function write(value, indent)
  if type(value) ~= "table" then
    return math.type(value) == "integer" and ("%d"):format(value) or cjson.encode(value)
  end
  local inner, lines = indent .. "  ", {}
  if #value > 0 then
    for i, item in ipairs(value) do lines[i] = inner .. write(item, inner) end
    return "[\n" .. table.concat(lines, ",\n") .. "\n" .. indent .. "]"
  end
  for _, key in ipairs(sorted_keys(value)) do
    lines[#lines + 1] = inner .. cjson.encode(key) .. ": " .. write(value[key], inner)
  end
  return #lines == 0 and "{}" or "{\n" .. table.concat(lines, ",\n") .. "\n" .. indent .. "}"
end

--- A record as its golden file has it.
function golden.text(record)
  return write(normalise(new_state(), record:to_table()), ""):gsub("\\/", "/") .. "\n"
end

if arg and arg[0] and arg[0]:find "golden%.lua$" then
  local panics = require "contract.panics"
  for name, make in pairs(panics) do
    local file <close> = assert(io.open(golden.path(name), "w"))
    file:write(golden.text(make()))
  end
end

return golden
