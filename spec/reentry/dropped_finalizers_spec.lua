-- Lua drops the finalizers that it would call where the C stack is at its limit, and frees their objects in
-- the next cycle. What lists, timers and tasks have of an object must not be the object.

local helpers = require "spec.helpers"

--- The program of a process in which objects of one kind are collected where their finalizers are dropped.
---@param make string  # makes one, and drops it
---@param check string?  # what must hold at the end
local function program(make, check)
  return ([[
    local co = require "coropanic"
    local n, reports = 0, {}
    co.on_panic(function(record) reports[#reports + 1] = record.message end)
    local function deep(depth, f)
      if depth == 0 then return f() end
      pcall(deep, depth - 1, f)
    end
    local function make()
      %s
    end
    local function reuse_memory()
      local junk = {}
      for i = 1, 2e4 do junk[i] = { i } end
      for i = 1, 2e3 do junk[i] = co.mutex() end
      junk = nil
      collectgarbage()
    end
    co.run_with({ clock = "virtual" }, function()
      for depth = 192, 199 do -- of C calls, of which Lua allows 200
        for _ = 1, 5 do make() end
        co.yield()
        deep(depth, collectgarbage)
        deep(depth, collectgarbage)
        reuse_memory()
      end
      co.sleep(10)
    end)
    local made = 8 * 5
    %s
    print "ok"
  ]]):format(make, check or "")
end

local kinds = {
  ["a waitgroup with tasks"] = {
    "co.waitgroup():spawn(function() n = n + 1 co.sleep(3) end)", "assert(n == made)",
  },
  ["a context with a deadline"] = { "co.context.with_timeout(co.ctx(), 5)" },
  ["a context with a deadline, and its children"] = {
    "co.context.with_value(co.context.with_cancel(co.context.with_timeout(co.ctx(), 5)), 'k', 1)",
  },
  ["a child of a context that ends"] = {
    [[co.with_timeout(3, function()
        for _ = 1, 9 do co.context.with_cancel(co.ctx()) end
        for depth = 189, 198 do deep(depth, collectgarbage) end
        co.sleep(5)
      end)]],
  },
  ["a context with a done channel"] = { "co.context.with_timeout(co.ctx(), 5):done()" },
  ["what ctx:after has"] = {
    "co.context.with_timeout(co.ctx(), 5):after(function() n = n + 1 end)", "assert(n == made)",
  },
  ["a mutex that a task holds"] = { "co.spawn(function() co.mutex():lock() co.sleep(3) end)" },
  ["a lock for writers that a task holds"] = { "co.spawn(function() co.rwmutex():lock() co.sleep(3) end)" },
  ["a channel with values"] = { "co.chan(3):send({})" },
  ["a semaphore"] = { "co.semaphore(1):acquire()" },
  ["a coroutine inside a frame"] = {
    "coroutine.wrap(function() co.call(function() co.defer(print) coroutine.yield() end) end)()",
  },
  ["a coroutine of co.coroutine inside a span"] = {
    [[co.trace.on_span(function() n = n + 1 end)
      co.coroutine.wrap(function() co.trace.span("x", co.coroutine.yield) end)()
      co.trace.span("y", function() end)]],
  },
  ["a generator that was dropped inside a span"] = {
    [[co.trace.on_span(function() n = n + 1 end)
      coroutine.wrap(function() co.trace.span("x", coroutine.yield) end)()
      co.trace.span("y", function() end)]],
  },
  ["a coroutine in another trace"] = {
    [[coroutine.wrap(function()
        co.trace.continue({ traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" },
          coroutine.yield)
      end)()
      co.trace.span("y", function() end)]],
  },
  ["a once"] = { "co.once(function() end)()" },
  ["an event"] = { "co.event():set()" },
  ["a task whose panic nobody claims"] = {
    "co.spawn(error, 'lost', 0)",
    [[assert(#reports == made, #reports)
      for i = 1, made do assert(reports[i] == "lost") end]],
  },
  ["a panic with nil that nobody claims"] = { "co.spawn(co.panic)", "assert(#reports == made, #reports)" },
}

describe("finalizers that Lua drops", function()
  for kind, text in pairs(kinds) do
    it(("are not needed by %s"):format(kind), function()
      local result = helpers.run_script(program(table.unpack(text)))
      assert.equal("", result.stderr)
      assert.equal("ok\n", result.stdout)
    end)
  end
end)
