--- The implementations of the guest's core that this Lua can run, which all have to give the same results: in
--- Lua, through the library, and, under PUC Lua 5.4, what the C module answers by its public API.

local cores = {}

--- A part in Lua, with the functions of the library in front.
local function lua_part(name) return require("coropanic.guest.core." .. name) end

local PARTS = { "traceparent", "tracestate", "baggage", "stack_hash", "ids" }

local in_lua = {}
for _, name in ipairs(PARTS) do in_lua[name] = lua_part(name) end
cores[1] = { name = "in Lua", parts = in_lua }

local native = require "coropanic.guest.core.ffi"
if next(native) ~= nil then cores[2] = { name = "through the library", parts = native } end

local VALID = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

--- The functions of the core as the C module's API shows them.
local function of_module(co)
  local extract = co.trace.extract
  local traceparent, tracestate, baggage = {}, {}, {}
  function traceparent.parse(value)
    local t = extract { traceparent = value }
    if not t.valid then return nil end
    return t.trace_id, t.span_id, (t.sampled and 1 or 0) + (t.random and 2 or 0)
  end
  -- The API does not tell an invalid header from an empty one, nor how many members there were.
  function tracestate.parse(value) return extract({ traceparent = VALID, tracestate = value }).state end
  function baggage.clean(text) return extract({ baggage = text }).baggage or "" end
  function baggage.decode(value)
    return co.trace.continue({ baggage = "k=" .. value }, function() return (co.trace.baggage "k") end)
  end
  function baggage.encode(value)
    return co.trace.continue({}, function()
      co.trace.set_baggage("k", value)
      return co.trace.inject().baggage:sub(3)
    end)
  end
  return { traceparent = traceparent, tracestate = tracestate, baggage = baggage }
end

local has_module, co = pcall(require, "coropanic.core")
if has_module then cores[#cores + 1] = { name = "of the C module", parts = of_module(co) } end

--- Defines a test for each implementation that has the part.
function cores.each(it, part, name, body)
  for _, core in ipairs(cores) do
    if core.parts[part] then it(("%s, %s"):format(name, core.name), function() body(core.parts[part]) end) end
  end
end

--- Defines tests of each implementation but the first, that it answers as that does.
---@param inputs fun(draw: fun(n: integer): integer): any  # makes a random input
---@param call fun(part: table, input: any): ...
function cores.agree(it, part, name, inputs, call)
  for i = 2, #cores do
    local other = cores[i].parts[part]
    if other then
      it(("%s, %s as in Lua"):format(name, cores[i].name), function()
        math.randomseed(1)
        for _ = 1, 2000 do
          local input = inputs(math.random)
          local expected, got = { call(cores[1].parts[part], input) }, { call(other, input) }
          if #expected ~= #got or table.concat(expected, "|") ~= table.concat(got, "|") then
            error(("%q: %q is not %q"):format(input, table.concat(got, "|"), table.concat(expected, "|")))
          end
        end
      end)
    end
  end
end

return cores
