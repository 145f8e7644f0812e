-- What lua/coropanic/meta.lua declares is what the module and its objects have.

local co = require "coropanic"
local api = require "contract.meta.api"
local conforms = require "contract.meta.conforms"

local TOLD = "lua/coropanic/meta.lua has to declare what there is: "

--- The names of the functions of a table of the module.
local function functions_of(t)
  local names = {}
  for name, value in pairs(t) do
    if type(value) == "function" then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

describe("the module", function()
  it("has the functions and fields that are declared, and no others", function()
    for class, t in pairs(api.modules) do
      assert.same(functions_of(t), api.sorted_keys(api.classes[class].functions), TOLD .. class)
      local fields = {}
      for name, value in pairs(t) do
        if type(value) ~= "function" then fields[name] = true end
      end
      assert.same(api.sorted_keys(fields), api.sorted_keys(api.classes[class].fields), TOLD .. class)
    end
    assert.is_nil(conforms(api, co, api.type_of "coropanic"))
  end)

  it("has a coroutine library with the functions of Lua's", function()
    assert.same(functions_of(coroutine), functions_of(co.coroutine))
  end)
end)

--- The table of an object's methods: its __index, or what the function there looks into.
local function methods_of(object)
  local index = debug.getmetatable(object).__index
  if type(index) == "table" then return index end
  for i = 1, index and 10 or 0 do
    local _, value = debug.getupvalue(index, i)
    if type(value) == "table" then return value end
  end
  return {}
end

--- One object of each class that the module makes.
local function objects()
  local made = {}
  local function make(object) made[debug.getmetatable(object).__name] = object end
  co.run_with({ clock = "virtual" }, function()
    make(co.spawn(co.yield))
    make(co.chan())
    make(co.mutex())
    make(co.mutex():guard())
    make(co.rwmutex())
    make(co.condition(co.mutex()))
    make(co.semaphore(1))
    make(co.waitgroup())
    make(co.once(print))
    make(co.event())
    make(co.census())
    make(co.task_local())
    make(co.ctx())
    local recorder = co.record()
    make(recorder)
    make(recorder:lanes())
    recorder:stop()
    local order = co.order()
    make(order)
    order:stop()
    local forecast = co.forecast()
    make(forecast)
    forecast:stop()
    order:stop()
    make(co.defer(function() end))
    local profile <close> = co.profile.start { kind = "cpu" }
    make(profile)
    make(select(2, co.pcall(error)))
    co.scope(make)
  end)
  return made
end

describe("an object", function()
  -- What an operator of LuaCATS is in a metatable.
  local OPERATORS = { len = "__len", call = "__call", concat = "__concat" }

  it("has the methods and operators that its class has, and no others", function()
    local made = objects()
    for name, object in pairs(made) do
      local class = assert(api.classes[name], name)
      assert.same(functions_of(methods_of(object)), api.sorted_keys(class.functions), TOLD .. name)
      for operator, event in pairs(OPERATORS) do
        local has_it = debug.getmetatable(object)[event] ~= nil
        assert.equal(has_it, class.operators[operator] ~= nil, name .. ": " .. operator)
      end
    end
  end)

  it("is made here of each class with methods", function()
    local made = objects()
    for name, class in pairs(api.classes) do
      local _, method = next(class.functions)
      if method and method.is_method then assert.is_truthy(made[name], name) end
    end
  end)
end)
