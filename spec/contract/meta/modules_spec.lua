-- The Lua modules say in their own files of which types their functions take and return what.

package.path = package.path .. ";/usr/share/lua/5.3/?.lua" -- where Debian has redis-lua

local api = require "contract.meta.api"
local documented = require "contract.meta.documented"
local luacats = require "contract.meta.luacats"

-- By the names that the documents call them by.
local MODULES = {
  lint = require "coropanic.lint",
  logging = require "coropanic.logging",
  metrics = require "coropanic.metrics",
  otlp = require "coropanic.export.otlp",
  redact = require "coropanic.redact",
  report = require "coropanic.report",
  resilience = require "coropanic.resilience",
  socket = { install = require("coropanic.socket").install },
  ssl = { wrap = require("coropanic.ssl").wrap },
  test = require "coropanic.test",
}

--- The annotations above a function, read strictly.
local function annotations_of(fn)
  local info = debug.getinfo(fn, "S")
  local lines, number = {}, 0
  for line in io.lines(info.source:sub(2)) do
    number = number + 1
    if number == info.linedefined then break end
    if line:find "^%-%-%-" then lines[#lines + 1] = line else lines = {} end
  end
  return luacats.block(lines)
end

local function each_function(visit)
  for module, functions in pairs(MODULES) do
    for name, fn in pairs(functions) do
      if type(fn) == "function" then visit(module .. "." .. name, fn) end
    end
  end
end

--- The classes that the Lua modules declare, by name.
local function classes()
  local found, lines = {}, {}
  for path in io.popen("ls lua/coropanic/*.lua lua/coropanic/*/*.lua"):lines() do
    for line in io.lines(path) do
      if line:find "^%-%-%-" then
        lines[#lines + 1] = line
      else
        local class = lines[1] and lines[1]:find "@class" and luacats.block(lines).class
        if class then found[class.name] = class end
        lines = {}
      end
    end
  end
  return found
end

describe("a Lua module", function()
  it("annotates each function: what it does, and each of its parameters", function()
    each_function(function(name, fn)
      local block, info = annotations_of(fn), debug.getinfo(fn, "u")
      assert.is_truthy(table.concat(block.text, " "):find "%u.*%.$", name)
      local parameters, annotated = {}, {}
      for i = 1, info.nparams do parameters[i] = debug.getlocal(fn, i) end
      if info.isvararg then parameters[#parameters + 1] = "..." end
      for i, param in ipairs(block.params) do annotated[i] = param.name end
      assert.same(parameters, annotated, name)
    end)
  end)

  it("names no type that is declared nowhere", function()
    local declared = {}
    for path in io.popen("find lua -name '*.lua'"):lines() do
      for line in io.lines(path) do
        local name = line:match "^%-%-%-@class ([%w_.]+)" or line:match "^%-%-%-@alias ([%w_.]+)"
        if name then declared[name] = true end
      end
    end
    each_function(function(name, fn)
      local block = annotations_of(fn)
      local function check(t)
        luacats.each_name(t, function(of)
          local known = luacats.BUILTIN[of] or block.generics[of] or declared[of]
          assert.is_truthy(known, ("%s: the type %s is declared nowhere"):format(name, of))
        end)
      end
      for _, param in ipairs(block.params) do check(param.type) end
      for _, result in ipairs(block.returns) do check(result.type) end
      for _, overload in ipairs(block.overloads) do check(overload) end
    end)
  end)

  it("declares the options that the documents list", function()
    local TABLES = {
      { "docs/testing.md", "Testing", "| option | type | |", "coropanic.test.options" },
      { "docs/export.md", "Export to OpenTelemetry", "| option | | default |",
        "coropanic.export.otlp.options" },
      { "docs/trace-ids.md", "From Redis", "| option | | default |", "coropanic.lease.redis.options" },
    }
    local declared = classes()
    for _, of in ipairs(TABLES) do
      local page, heading, header, class = table.unpack(of)
      local names = documented.names(page, heading, header)
      assert.same(api.sorted_keys(names), api.sorted_keys(declared[class].fields), page)
    end
  end)

  it("has the functions that the documents give, with as many parameters", function()
    local count = 0
    for _, signature in ipairs(documented.signatures()) do
      local module, name = signature.callee:match "^(%a+)%.([%a_]+)$"
      local fn = MODULES[module] and MODULES[module][name]
      if fn then
        count = count + 1
        local info, parameters = debug.getinfo(fn, "u"), signature.parameters
        assert.is_true(parameters.most == info.nparams or info.isvararg, signature.callee)
        assert.equal(info.isvararg, parameters.vararg, signature.callee)
      end
    end
    assert.is_true(count > 10)
  end)
end)
