--- What moves a record's stack hash, and what does not: functions are told apart by what they are.

local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

--- Runs a program, which is given `co` and returns functions, and returns the records of their panics.
local function records_of(text, name)
  local program = assert(load(text, name or "@/srv/app/shop.lua"))
  local records = {}
  for i, fn in ipairs { program(co) } do
    records[i] = helpers.record_of(fn)
  end
  return records
end

--- The hashes of the panics of a program's functions.
local function hashes_of(text, name)
  local hashes = {}
  for i, record in ipairs(records_of(text, name)) do
    hashes[i] = record.stack_hash
  end
  return hashes
end

--- The hash of `function(...) <body> end`.
local function hash_of(body)
  return hashes_of("local co, x, y = ...\nreturn function(...) " .. body .. " end")[1]
end

describe("the stack hash", function()
  co_it("differs for two anonymous functions of one file", seeded, function()
    local a = co.spawn(function() error("no such user", 0) end)
    local b = co.spawn(function() error("disk is full", 0) end)
    local _, one = a:join()
    local _, other = b:join()
    assert.not_equal(one.stack_hash, other.stack_hash)
    assert.not_equal(one.stack_hash_full, other.stack_hash_full)
    assert.equal(one:stack_hashes(1), (other:stack_hashes(1)))
  end)

  it("differs for handlers that a router calls", function()
    local hashes = hashes_of [[
      local co = ...
      local function fail() error "failed" end
      local routes = {
        a = function() fail() return 1 end,
        b = function() fail() return 2 end,
      }
      local function route(path) local handler = routes[path] handler() return path end
      return function() route "a" end, function() route "b" end
    ]]
    assert.not_equal(hashes[1], hashes[2])
  end)

  local differing = {
    ["a string"] = { "error 'a'", "error 'b'" },
    ["a small number"] = { "co.sleep(1, error())", "co.sleep(2, error())" },
    ["a large number"] = { "error(123456789)", "error(987654321)" },
    ["a float"] = { "error(0.1)", "error(0.2)" },
    ["an integer for a float"] = { "error(1000000)", "error(1000000.0)" },
    ["an operator"] = { "local a, b = ... error(a == b)", "local a, b = ... error(a ~= b)" },
    ["a global"] = { "error(a)", "error(b)" },
    ["a variable from outside"] = { "error(x)", "error(y)" },
    ["a parameter"] = { "local a, b = ... error(a)", "local a, b = ... error(b)" },
    ["an inner function"] = {
      "local f = function() return 'a' end error(f)",
      "local f = function() return 'b' end error(f)",
    },
    ["an inner function's variable"] = {
      "local a, b = ... local f = function() return a end error(f)",
      "local a, b = ... local f = function() return b end error(f)",
    },
    ["a function inside an inner function"] = {
      "local f = function() return function() return 1.5 end end error(f)",
      "local f = function() return function() return 2.5 end end error(f)",
    },
    ["true for false"] = { "error(x == true)", "error(x == false)" },
  }
  for what, bodies in pairs(differing) do
    it("differs where two functions differ in " .. what, function()
      assert.not_equal(hash_of(bodies[1]), hash_of(bodies[2]))
    end)
  end

  it("differs where two functions differ in their parameters", function()
    local hashes = hashes_of [[
      return function() error "x" end, function(_) error "x" end, function(...) error "x" end
    ]]
    assert.not_equal(hashes[1], hashes[2])
    assert.not_equal(hashes[1], hashes[3])
    assert.not_equal(hashes[2], hashes[3])
  end)

  it("is one for functions of one text, which nothing tells apart", function()
    local hashes = hashes_of [[
      return function() error "x" end, function() error "x" end
    ]]
    assert.equal(hashes[1], hashes[2])
  end)

  local before = [[
    local co = ...
    local count, name = 0, "x"
    return function()
      count = count + 1
      local function inner() error(name .. count) end
      inner()
    end
  ]]
  local after = {
    ["lines above"] = "\n\n\n\n" .. before,
    ["code above"] = before:gsub("local count", "local u = {}\nlocal function more() return u end\n%0"),
    ["variables above, also of other functions"] = before:gsub("local count, name",
      "local a, b, c = 1, 2, 3\n%0") .. "",
    ["comments in it"] = before:gsub("count = count %+ 1", "-- counts\n%0 --[[ one\nmore ]]\n")
      :gsub("error%(", "--\n%0"),
    ["white space in it"] = before:gsub("\n", "\n\n\t"),
    ["names of local variables in it"] = before:gsub("inner", "nested"),
    ["code below"] = before:gsub("return function", "local later = function")
      .. "\nlocal a = 1\nreturn later",
    ["the directory"] = before,
  }
  for what, text in pairs(after) do
    it("does not move with " .. what, function()
      local name = what == "the directory" and "@C:\\app\\SHOP.lua" or nil
      assert.same(hashes_of(before), hashes_of(text, name))
    end)
  end

  it("does not move when a function is called by another name, or by a tail call", function()
    local by_name = records_of [[
      local co = ...
      local function f() error("x", 0) end
      local how = 0
      local function call()
        local g, t = f, { h = f, f }
        how = how + 1
        if how == 1 then f() elseif how == 2 then g() elseif how == 3 then t.h() end
        if how == 4 then t[1]() elseif how == 5 then t:h() end
        return how
      end
      return call, call, call, call, call
    ]]
    for i = 2, 5 do
      assert.equal(by_name[1].stack_hash, by_name[i].stack_hash)
      assert.equal(by_name[1].frames[1].fingerprint, by_name[i].frames[1].fingerprint)
    end
    assert.not_equal(by_name[1]:stack_hashes(1), (by_name[2]:stack_hashes(1)))
    -- a tail call takes the caller from the stack
    local tail = records_of [[
      local function f() error("x", 0) end
      local t = { f }
      return f, function() return f() end, function() return t[1]() end
    ]]
    assert.equal(tail[1].stack_hash, tail[2].stack_hash)
    assert.equal(tail[1].stack_hash, tail[3].stack_hash)
  end)

  it("takes a file's main function for what it is, whatever is in it", function()
    local hashes = {}
    local texts = { "error 'x' return 1", "local a = 2\nlocal function f() return a end error 'y'" }
    for i, text in ipairs(texts) do
      hashes[i] = helpers.record_of(assert(load(text, "@shop.lua"))).stack_hash
    end
    assert.equal(hashes[1], hashes[2])
  end)

  it("is that of what a file was when it was loaded", function()
    local old = assert(load("return function() error 'x' end", "@shop.lua"))()
    local new = assert(load("return function() error 'y' end", "@shop.lua"))()
    local before_reload = helpers.record_of(old).stack_hash
    assert.not_equal(before_reload, helpers.record_of(new).stack_hash)
    assert.equal(before_reload, helpers.record_of(old).stack_hash)
  end)

  it("tells functions of code from a long string apart", function()
    local text = "--" .. ("x"):rep(200000) .. "\nreturn function() error 'a' end, function() error 'b' end"
    local hashes = hashes_of(text, text)
    assert.not_equal(hashes[1], hashes[2])
    assert.same(hashes, hashes_of("return function() error 'a' end, function() error 'b' end", "text"))
  end)

  it("goes by the beginning of a function that is very large", function()
    local function large(last)
      local items = {}
      for i = 1, 20000 do
        items[i] = ("'item %d'"):format(i)
      end
      return ("return function() local t = { %s } error(%q) end"):format(table.concat(items, ","), last)
    end
    assert.same(hashes_of(large "a"), hashes_of(large "b"))
  end)

  it("needs no debug information, and is the same without it but for names of variables", function()
    local function stripped(body)
      local fn = assert(load("return function() " .. body .. " end", "@shop.lua"))()
      return helpers.record_of(load(string.dump(fn, true), "shop", "b", _G))
    end
    assert.equal(stripped("error 'a'").stack_hash, stripped("\nerror 'a'").stack_hash)
    assert.matches("^%x+$", stripped("error 'a'").stack_hash)
  end)

  it("is that of the functions of coroutines inside too", function()
    local function in_coroutine(fn)
      return helpers.record_of(function() co.coroutine.wrap(fn)() end)
    end
    local fns = table.pack(load([[
      return function() error("a", 0) end, function() error("b", 0) end
    ]], "@shop.lua")())
    local one, other, again = in_coroutine(fns[1]), in_coroutine(fns[2]), in_coroutine(fns[1])
    assert.not_equal(one.stack_hash, other.stack_hash)
    assert.equal(one.stack_hash, again.stack_hash)
    assert.matches("^" .. ("%x"):rep(16) .. "$", one.frames[1].fingerprint)
  end)

  it("is made of the functions that there were, although they are garbage by then", function()
    local records = {}
    local texts = { "error 'x'", "error 'x'", "local f = function() error 'x' end f() return 1" }
    texts[4] = texts[3]
    for i, text in ipairs(texts) do
      records[i] = helpers.record_of(assert(load(text, "@shop.lua")))
    end
    collectgarbage()
    collectgarbage()
    assert.equal(records[1].stack_hash, records[2].stack_hash)
    assert.equal(records[3].stack_hash, records[4].stack_hash)
    assert.not_equal(records[1].stack_hash, records[3].stack_hash)
  end)

  it("is in frames: of functions of Lua, not of C's nor of a file", function()
    local program = "local function f() error 'x' end table.sort({ 2, 1 }, f)"
    local _, record = pcall(co.call, load(program, "@shop.lua"))
    local kinds = {}
    for _, frame in ipairs(record.frames) do
      kinds[frame.what] = frame.fingerprint or "none"
    end
    assert.equal("none", kinds.C)
    assert.equal("none", kinds.main)
    assert.matches("^" .. ("[0-9a-f]"):rep(16) .. "$", kinds.Lua)
    assert.same(record.frames[1].fingerprint, record:to_table().frames[1].fingerprint)
  end)
end)
