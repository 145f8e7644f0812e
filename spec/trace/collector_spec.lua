-- What the collector does to traces: a coroutine that is dropped inside a span leaves it, and finalizers may
-- change what is being read.

local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

local TRACE = "0af7651916cd43dd8448eb211c80319c"
local HEADERS = { traceparent = ("00-%s-b7ad6b7169203331-01"):format(TRACE), tracestate = "rojo=1" }

--- Runs `main` as a task and returns the spans that ended meanwhile, by name and in order.
local function spans_of(main)
  local spans = {}
  local before = co.trace.on_span(function(span)
    spans[#spans + 1] = span
    spans[span.name] = span
  end)
  local ok, why = pcall(co.run, main)
  co.trace.on_span(before)
  if not ok then error(why, 0) end
  return spans
end

local function names_of(spans)
  local names = {}
  for i, span in ipairs(spans) do names[i] = span.name end
  return names
end

describe("co.trace.continue", function()
  co_it("is over when the generator that is in it is dropped, with other baggage or not", seeded, function()
    local before = co.trace.current()
    for _, change in ipairs { function() end, function() co.trace.set_baggage("a", "1") end } do
      coroutine.wrap(function()
        co.trace.continue(HEADERS, function()
          change()
          coroutine.yield()
        end)
      end)()
      assert.equal(TRACE, co.trace.current().trace_id)
      for _ = 1, 3 do collectgarbage() end
      assert.same(before, co.trace.current())
    end
  end)
end)

describe("co.trace.set_baggage, while a generator in another trace is dropped", function()
  it("changes the trace that it is in then", function()
    finally(function()
      collectgarbage("incremental", 200, 100, 13) -- as Lua begins
      collectgarbage "restart"
    end)
    local function headers(digit, baggage)
      return { traceparent = ("00-%s-b7ad6b7169203331-01"):format(digit:rep(32)), baggage = baggage }
    end
    collectgarbage "stop"
    collectgarbage("incremental", 200, 400, 40) -- a step is a whole cycle
    local dropped = 0
    local function drop_at(kilobytes)
      co.trace.continue(headers("a", "user=alice"), function()
        local bobs = headers("b", "user=bob,pad=" .. ("x"):rep(4000))
        coroutine.wrap(function() co.trace.continue(bobs, coroutine.yield) end)()
        collectgarbage "restart"
        collectgarbage("step", -kilobytes) -- the collector's turn comes when so much more is allocated
        while co.trace.current().trace_id:sub(1, 1) == "b" do
          co.trace.set_baggage("n", ("1"):rep(1000))
        end
        collectgarbage "stop"
        dropped = dropped + 1
        assert.equal("alice", co.trace.baggage "user")
      end)
    end
    co.run(function()
      for kilobytes = 0, 40 do drop_at(kilobytes) end
    end)
    assert.equal(41, dropped)
  end)
end)

describe("spans that do not end in order", function()
  it("are left, and let go of, when their coroutines are dropped", function()
    local spans = spans_of(function()
      local before = co.trace.current()
      local dropped = setmetatable({}, { __mode = "v" })
      for i = 1, 100 do
        local thread = coroutine.create(function() co.trace.span("dropped", coroutine.yield) end)
        coroutine.resume(thread)
        dropped[i] = thread
      end
      for _ = 1, 3 do collectgarbage() end
      assert.is_nil(next(dropped))
      assert.same(before, co.trace.current())
      co.trace.event "here"
    end)
    assert.same({ "main" }, names_of(spans))
    assert.equal("here", spans.main.events[1].name)
  end)
end)

describe("a span that was dropped", function()
  it("is left although another one is inside, or a coroutine was made in it", function()
    spans_of(function()
      local before = co.trace.current()
      local inner, made
      coroutine.wrap(function()
        co.trace.span("dropped", function()
          inner = coroutine.wrap(function() co.trace.span("inner", coroutine.yield) end)
          made = co.coroutine.wrap(co.trace.current)
          coroutine.yield()
        end)
      end)()
      inner()
      collectgarbage()
      collectgarbage()
      inner()
      assert.same(before, co.trace.current())
      assert.equal(before.trace_id, made().trace_id)
    end)
  end)
end)

describe("spans of coroutines that are dropped", function()
  it("are left for good, also when others begin before the collector has come to their end", function()
    -- A state of its own, small enough to stop the collector in all of its phases.
    local result = helpers.run_script [[
      local co = require "coropanic"
      local headers = { traceparent = "00-" .. ("a"):rep(32) .. "-" .. ("b"):rep(16) .. "-01" }
      collectgarbage("incremental", 100, 4, 4)
      co.trace.on_span(function() end)
      co.run(function()
        local before = co.trace.current().span_id
        for steps = 1, 2000, 3 do
          collectgarbage()
          collectgarbage()
          collectgarbage "stop"
          coroutine.wrap(function() co.trace.continue(headers, coroutine.yield) end)()
          for _ = 1, steps do collectgarbage("step", 0) end
          co.trace.span("x", function() collectgarbage() collectgarbage() end)
          collectgarbage()
          assert(co.trace.current().span_id == before, steps)
        end
      end)
      io.write "left"]]
    assert.equal("left", result.stdout)
  end)
end)

describe("headers", function()
  it("may be changed by finalizers while they are read and set", function()
    local said = helpers.run_script [[
      local co = require "coropanic"
      local headers, finalizers = {}, 0
      local function change()
        finalizers = finalizers + 1
        for _, key in ipairs { "baggage", "Baggage", "bAGGAGE", "BAGGAGE", 1, 2, 7 } do
          local is_item = math.type(key) == "integer"
          local choice = math.random(3)
          headers[key] = nil
          if choice == 1 then headers[key] = is_item and { "Baggage", "k=1" } or "k=1" end
          if choice == 2 and is_item then headers[key] = "z=1" end
        end
        setmetatable({}, { __gc = change })
      end
      change()
      collectgarbage("setpause", 0)
      for _ = 1, 20000 do
        assert((co.trace.extract(headers).baggage or "k=1"):find "^k=1[,k=1]*$")
        co.trace.inject(headers)
      end
      print(finalizers > 200)
    ]]
    assert.same({ stdout = "true\n", stderr = "", status = 0 }, said)
  end)
end)
