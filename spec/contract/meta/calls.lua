--- Calls of functions by the names that they are declared by, "coropanic.task:join", which hold what goes in
--- and what comes out against the types that are declared.

local assert = require "luassert"
local co = require "coropanic"
local api = require "contract.meta.api"
local conforms = require "contract.meta.conforms"

-- The names of what was called.
local calls = { called = {} }

local function declared(name)
  local class, function_name = name:match "^(.*)[.:]([^.:]+)$"
  calls.called[name] = true
  return assert(api.classes[class] and api.classes[class].functions[function_name], name)
end

--- Holds values against a list of types, the last of which may be for all that follow.
local function check(what, values, types)
  local last = types[#types]
  for i = 1, math.max(values.n, #types) do
    local of = types[i] or (last and last.name == "..." and last)
    assert.is_truthy(of, ("%s %d is not declared"):format(what, i))
    local left_out = values[i] == nil and (of.optional or of.name == "...")
    local wrong = not left_out and conforms(api, values[i], of.type)
    assert.is_falsy(wrong, ("%s %d: %s"):format(what, i, wrong))
  end
end

--- Holds them against what the function itself or one of its overloads has.
local function check_any(what, values, own, overloads, part)
  local ok, err = pcall(check, what, values, own)
  for _, overload in ipairs(overloads) do ok = ok or pcall(check, what, values, overload[part]) end
  if not ok then error(tostring(err), 0) end
end

--- Checks and returns what a function that has to be called where it stands has returned.
function calls.told(name, ...)
  local fn = declared(name)
  check_any("result of " .. name, table.pack(...), fn.returns, fn.overloads, "results")
  return ...
end

--- Whether it may suspend: it does by itself, or a function that it calls does.
local function may_suspend(fn)
  for _, param in ipairs(fn.params) do
    if param.type.is_async then return true end
  end
  return fn.async or false
end

--- Calls it, a method with its object first, and returns what it returns.
function calls.call(name, ...)
  local fn = declared(name)
  local class, separator, function_name = name:match "^(.*)([.:])([^.:]+)$"
  local is_method = separator == ":"
  local arguments = table.pack(select(is_method and 2 or 1, ...))
  check_any("argument of " .. name, arguments, fn.params, fn.overloads, "arguments")
  local of = is_method and (...) or api.modules[class]
  local before = co.stats().switches
  local results = table.pack(of[function_name](...))
  local has_suspended = co.current() and co.stats().switches > before
  assert.is_true(may_suspend(fn) or not has_suspended, name .. " has suspended and is not async")
  return calls.told(name, table.unpack(results, 1, results.n))
end

return calls
