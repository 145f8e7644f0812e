--- co.coroutine against Lua's own coroutine library: the same programs, the same results.

local co = require "coropanic"
local co_it = require("spec.helpers").co_it(it)

--- Each returns what it has seen; `c` is the library.
local programs = {
  ["values pass in and out"] = function(c)
    local thread = c.create(function(a, b)
      local d, e = c.yield(a + b)
      return d, e, c.yield()
    end)
    return c.resume(thread, 1, 2), select(2, c.resume(thread, "d", nil)), c.resume(thread, "last")
  end,
  ["status and running"] = function(c)
    local seen = {}
    local thread
    thread = c.create(function()
      local running, is_main = c.running()
      table.insert(seen, tostring(running == thread) .. tostring(is_main))
      table.insert(seen, c.status(thread))
      c.wrap(function() table.insert(seen, c.status(thread)) end)()
      table.insert(seen, tostring(c.isyieldable()))
      c.yield()
    end)
    table.insert(seen, c.status(thread))
    c.resume(thread)
    table.insert(seen, c.status(thread))
    c.resume(thread)
    table.insert(seen, c.status(thread))
    return table.concat(seen, " ")
  end,
  ["errors kill and are returned"] = function(c)
    local value = { "an error" }
    local thread = c.create(function() error(value) end)
    local ok, err = c.resume(thread)
    return ok, err[1], c.status(thread), select(2, c.resume(thread))
  end,
  ["wrap raises with the position of the call"] = function(c)
    local _, err = pcall(function() c.wrap(function() error("inner", 0) end)() end)
    return (err:gsub("^.-:%d+: ", "place: "))
  end,
  ["a dead wrap says so"] = function(c)
    local f = c.wrap(function() end)
    f()
    return (select(2, pcall(f)):gsub("^.-:%d+: ", ""))
  end,
  ["resuming itself or its resumer fails"] = function(c)
    local outer
    outer = c.create(function()
      local _, self = c.resume(c.running())
      local _, resumer = c.resume(c.create(function() return select(2, c.resume(outer)) end))
      return self, resumer
    end)
    return c.resume(outer)
  end,
  ["yield across pcall"] = function(c)
    local f = c.wrap(function()
      local ok, err = pcall(function()
        c.yield "inside"
        error("after", 0)
      end)
      return ok, err
    end)
    return f(), f()
  end,
  ["many values"] = function(c)
    local f = c.wrap(function(...) return select("#", c.yield(...)) end)
    local values = table.pack(f(table.unpack({}, 1, 200)))
    return values.n, f(table.unpack({}, 1, 150))
  end,
  ["iteration"] = function(c)
    local sum = 0
    for i in c.wrap(function() for i = 1, 10 do c.yield(i) end end) do sum = sum + i end
    return sum
  end,
  ["a coroutine that is never finished is collected"] = function(c)
    local weak = setmetatable({}, { __mode = "k" })
    do
      local thread = c.create(function() c.yield() end)
      c.resume(thread)
      weak[thread] = true
    end
    collectgarbage()
    collectgarbage()
    return next(weak)
  end,
}

local function outcome(program, library)
  return table.pack(program(library))
end

describe("co.coroutine does as Lua's:", function()
  for name, program in pairs(programs) do
    it(name, function()
      assert.same(outcome(program, coroutine), outcome(program, co.coroutine))
    end)

    it(name .. ", in a task", function()
      assert.same(
        outcome(program, coroutine),
        co.run(function() return outcome(program, co.coroutine) end)
      )
    end)
  end
end)

describe("co.coroutine.yield", function()
  co_it("in a task's own code says what to use", function()
    local ok, message = pcall(co.coroutine.yield)
    assert.is_false(ok)
    assert.matches("use co%.yield to let other tasks run", message)
    assert.is_false(co.coroutine.isyieldable())
  end)
end)
