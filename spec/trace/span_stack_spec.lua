-- Where code is in its traces: random programs of coroutines that open and leave spans in any order, beside a
-- model of what docs/spans.md says. The model has a list of spans for the task and for each coroutine of
-- co.coroutine.

local co = require "coropanic"

local TRACEPARENT = "00-%032x-%016x-01"

--- A model and the program that it follows; all choices come from `seed`.
local function new_program(seed)
  local rng = seed * 7919 + 17
  local function choose(n)
    rng = (rng * 1103515245 + 12345) % 2147483648
    return (rng >> 8) % n + 1
  end

  local here -- the context of the running code: { own, list of spans }; each is { open, id, trace, baggage }
  local coroutines, calls, failure, run = {}, 0, nil, nil

  local function innermost() return here.spans[#here.spans] or here.own end

  --- Notes where the code is if that is not where the model says.
  local function check()
    local now, there = co.trace.current(), innermost()
    local says = there.id .. " " .. there.trace
    local is = now.span_id .. " " .. now.trace_id
    for _, name in ipairs { "n", "b1", "b2", "b3" } do
      says = ("%s %s"):format(says, there.baggage[name])
      is = ("%s %s"):format(is, (co.trace.baggage(name)))
    end
    if says == is then return end
    failure = failure or ("seed %d, call %d: %s, the model: %s"):format(seed, calls, is, says)
  end

  local function leave(span)
    local spans = span.spans
    span.open = false
    while #spans > 0 and not spans[#spans].open do table.remove(spans) end
  end

  --- Runs on in a span of the running code: in another trace with baggage of its own, or in the same trace.
  --- An error, or the end of the coroutine, leaves it too.
  local function enter(trace, body)
    local around, span = innermost(), nil
    local _ <close> = setmetatable({}, { __close = function() leave(span) end })
    local function inside()
      local now = co.trace.current()
      span = { open = true, id = now.span_id, trace = now.trace_id, spans = here.spans }
      span.baggage = trace and { n = trace } or around.baggage
      table.insert(here.spans, span)
      check()
      body()
    end
    if trace then
      co.trace.continue({ traceparent = TRACEPARENT:format(trace, trace), baggage = "n=" .. trace }, inside)
    else
      co.trace.span("s", inside)
    end
  end

  local function new_coroutine(depth)
    local new = { library = choose(2) == 1 and coroutine or co.coroutine }
    if new.library == co.coroutine then
      local there = innermost()
      local baggage = {}
      for name, value in pairs(there.baggage) do baggage[name] = value end
      new.context = { own = { id = there.id, trace = there.trace, baggage = baggage }, spans = {} }
    end
    new.thread = new.library.create(function() run(depth + 1, new.library.yield) end)
    table.insert(coroutines, new)
  end

  --- Resumes the coroutine, or closes it, unless it runs. One that died of an error leaves its spans when it
  --- is closed.
  local function step(with, how)
    local status, around = coroutine.status(with.thread), here
    if status ~= "suspended" and status ~= "dead" then return end
    here = with.context or here
    with.library[how](with.thread)
    here = around
  end

  function run(depth, yield)
    for _ = 1, choose(6) do
      calls = calls + 1
      local what = choose(10)
      if calls > 300 then return end
      if what <= 2 and depth < 8 then
        enter(what == 1 and tostring(choose(9)), function() run(depth + 1, yield) end)
      elseif what <= 4 and yield then
        yield()
      elseif what == 5 then
        local name, value = "b" .. choose(3), tostring(choose(99))
        co.trace.set_baggage(name, value)
        innermost().baggage[name] = value
      elseif what == 6 then
        new_coroutine(depth)
      elseif what <= 8 and #coroutines > 0 then
        local with = coroutines[choose(#coroutines)]
        step(with, "resume")
      elseif what == 9 and #coroutines > 0 then
        local with = coroutines[choose(#coroutines)]
        step(with, "close")
      elseif what == 10 and choose(5) == 1 then
        error "leaves all spans of the coroutine"
      end
      check()
    end
  end

  --- Runs a task, and comes back to its own span once all coroutines have ended.
  return function()
    local now = co.trace.current()
    here = { own = { id = now.span_id, trace = now.trace_id, baggage = {} }, spans = {} }
    for _ = 1, 6 do pcall(run, 1) end
    for _, with in ipairs(coroutines) do step(with, "close") end
    check()
    assert.is_nil(failure)
    assert.same(now, co.trace.current())
    return calls
  end
end

describe("code in random coroutines", function()
  it("is in the span that the model says", function()
    local before = co.trace.on_span(function() end)
    local calls = 0
    for seed = 1, 200 do calls = calls + co.run(new_program(seed)) end
    co.trace.on_span(before)
    assert.is_true(calls > 2000, calls)
  end)
end)
