-- lua/coropanic/meta.lua and its parts, read by a strict reader of LuaCATS, are whole by themselves.

local api = require "contract.meta.api"
local luacats = require "contract.meta.luacats"

describe("a file of definitions", function()
  it("is the module's, by its name, or part of that and not to be required", function()
    for path, file in pairs(api.files) do
      local is_module = path == "lua/coropanic/meta.lua"
      assert.equal(is_module and "coropanic" or "_", file.meta, path)
      assert.equal(is_module and "co" or nil, file.returned, path)
    end
  end)

  it("raises when a program requires it, and says what to require", function()
    for path in pairs(api.files) do
      local module = path:match("^lua/(.*)%.lua$"):gsub("/", ".")
      local ok, err = pcall(require, module)
      assert.is_false(ok)
      assert.match(module:gsub("%.", "%%.") .. ' .* require "coropanic"$', err)
    end
  end)

  it("names no type that is declared nowhere", function()
    local function check(where, t, generics)
      luacats.each_name(t, function(name)
        local declared = api.classes[name] or api.aliases[name] or luacats.BUILTIN[name]
        local found = declared or (generics and generics[name])
        assert.is_truthy(found, ("%s: the type %s is declared nowhere"):format(where, name))
      end)
    end
    for name, alias in pairs(api.aliases) do check(name, alias.type) end
    for name, class in pairs(api.classes) do
      if class.parent then check(name, api.type_of(class.parent)) end
      for _, field in pairs(class.fields) do check(name, field.type, class.generics) end
      for _, result in pairs(class.operators) do check(name, result, class.generics) end
      for _, fn in pairs(class.functions) do
        local generics = setmetatable(fn.generics, { __index = class.generics })
        for _, param in ipairs(fn.params) do check(fn.name, param.type, generics) end
        for _, result in ipairs(fn.returns) do check(fn.name, result.type, generics) end
        for _, overload in ipairs(fn.overloads) do check(fn.name, overload, generics) end
      end
    end
  end)

  it("declares no type that nothing has", function()
    local used = { coropanic = true }
    local function use(t) luacats.each_name(t, function(name) used[name] = true end) end
    for _, alias in pairs(api.aliases) do use(alias.type) end
    for _, class in pairs(api.classes) do
      if class.parent then used[class.parent] = true end
      for _, field in pairs(class.fields) do use(field.type) end
    end
    api.each_function(function(fn)
      for _, param in ipairs(fn.params) do use(param.type) end
      for _, result in ipairs(fn.returns) do use(result.type) end
    end)
    for name in pairs(api.classes) do assert.is_true(used[name], name) end
    for name in pairs(api.aliases) do assert.is_true(used[name], name) end
  end)

  it("says in a sentence what each function does, and of which type each parameter is", function()
    api.each_function(function(fn)
      local text = table.concat(fn.text, " ")
      assert.is_truthy(text:find "^%u.*%.$", fn.name)
      local names = {}
      for i, param in ipairs(fn.params) do names[i] = param.name end
      assert.same(fn.arguments, names, fn.name)
    end)
  end)

  it("has no parameter that must be given behind one that may be left out", function()
    api.each_function(function(fn)
      local may_be_left_out = false
      for _, param in ipairs(fn.params) do
        assert.is_false(may_be_left_out and not param.optional and param.name ~= "...", fn.name)
        may_be_left_out = param.optional
      end
    end)
  end)
end)
