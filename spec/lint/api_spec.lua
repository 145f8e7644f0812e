--- What lint knows of the API is what lua/coropanic/meta.lua declares.

local declared = require "contract.meta.api"
local known = require "coropanic.lint.api"

--- The name by which lint knows a function of a class: "co.sleep", "channel:send", "co.profile.take".
local function path_of(class, name)
  local library = class:match "^coropanic%.(%a+)lib$" or class:match "^coropanic%.(trace)$"
  if class == "coropanic" then return "co." .. name end
  if library then return ("co.%s.%s"):format(library, name) end
  return class:match "^coropanic%.(.*)$" .. ":" .. name
end

--- All functions that are declared, by path.
local functions = {}
for class_name, class in pairs(declared.classes) do
  for name, fn in pairs(class.functions) do functions[path_of(class_name, name)] = fn end
end

local function sorted(set)
  local list = {}
  for key in pairs(set) do list[#list + 1] = key end
  table.sort(list)
  return list
end

--- The place of the parameter among those of the function.
local function place_of(fn, is_it)
  for place, param in ipairs(fn.params) do
    if is_it(param) then return place end
  end
end

describe("lint", function()
  it("knows the functions that suspend: those declared async", function()
    local async = {}
    for path, fn in pairs(functions) do
      if fn.async then async[path] = true end
    end
    assert.same(sorted(async), sorted(known.SUSPENDS))
  end)

  it("knows where each of them has its time-out", function()
    for path, how in pairs(known.SUSPENDS) do
      local place = place_of(functions[path], function(param)
        return param.name == "seconds" or param.name == "timeout"
      end)
      assert.equal(place, how.seconds, path)
    end
  end)

  it("knows where functions get the function that they call", function()
    for _, calls in ipairs { known.CALLS, known.SPAWNS, known.DEFERS } do
      for path, place in pairs(calls) do
        local fn = functions[path]
        if fn and place.at ~= "function" then
          assert.equal(place.at, place_of(fn, function(param) return param.name == "fn" end), path)
        end
      end
    end
  end)

  it("knows calls of sockets that there are", function()
    local socket = require "coropanic.socket"
    local object = assert(socket.tcp())
    for path in pairs(known.SOCKET_WAITS) do
      local name = path:match "^coropanic%.socket%.(%a+)$"
      if name then
        assert.equal("function", type(socket[name]), path)
      else
        assert.is_truthy(object[path:match "^socket:(%a+)$"], path)
      end
    end
    object:close()
  end)

  it("names no function that is not declared", function()
    local function is_of_lua(path)
      local library, name = path:match "^(%a+)%.(%a+)$"
      return _G[path] or library ~= "co" and _G[library] and _G[library][name]
    end
    local resilience = require "coropanic.resilience"
    --- The policies that have each of lint's types.
    local POLICIES = {
      policy = { resilience.breaker {}, resilience.retry {} }, timeout = { resilience.timeout(1) },
      bulkhead = { resilience.bulkhead { permits = 1 } }, boundary = { resilience.boundary {} },
    }
    local function is_of_module(path)
      if path:find "^socket:" or path:find "^coropanic%.socket%." then return true end -- see above
      local constructor = path:match "^coropanic%.resilience%.(%a+)$"
      local type_name, method = path:match "^(%a+):(%a+)$"
      if constructor then return resilience[constructor] ~= nil end
      if type_name == "handle" then return method == "compensate" end
      for _, policy in ipairs(POLICIES[type_name] or {}) do
        if type(policy[method]) ~= "function" then return false end
      end
      return POLICIES[type_name] ~= nil
    end
    for _, list in ipairs {
      known.SUSPENDS, known.CALLS, known.SPAWNS, known.DEFERS, known.RESULTS, known.LOCKS, known.GUARDS,
      known.ITERATES, known.RAISES, known.PARAMETERS, known.BOUNDS,
    } do
      for path in pairs(list) do
        assert.is_truthy(functions[path] or is_of_lua(path) or is_of_module(path), path)
      end
    end
  end)
end)
