--- W3C Trace Context, level 2: what goes out.

local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

local TRACE = "0af7651916cd43dd8448eb211c80319c"
local SPAN = "b7ad6b7169203331"

--- The headers that a call under `headers` sends on.
local function forwarded(headers)
  return co.trace.continue(headers, co.trace.inject, {})
end

local function with_flags(flags)
  return { traceparent = ("00-%s-%s-%s"):format(TRACE, SPAN, flags) }
end

describe("co.trace.inject", function()
  co_it("writes the trace and the span of the running task", seeded, function()
    local here = co.trace.current()
    local headers = co.trace.inject {}
    assert.matches(("^00%%-%s%%-%s%%-%%x%%x$"):format(here.trace_id, here.span_id), headers.traceparent)
  end)

  it("returns the table that it was given, with its other headers", function()
    local headers = { host = "example.org" }
    assert.equal(headers, co.trace.inject(headers))
    assert.equal("example.org", headers.host)
    assert.is_string(headers.traceparent)
  end)

  it("works outside tasks", function()
    helpers.assert_contains(co.trace.current().trace_id, co.trace.inject({}).traceparent)
  end)

  it("keeps the trace id of the caller, under a span of its own", function()
    local headers = forwarded(with_flags "01")
    assert.equal(TRACE, headers.traceparent:sub(4, 35))
    assert.not_equal(SPAN, headers.traceparent:sub(37, 52))
  end)

  co_it("is sampled, and random, when the trace began here", seeded, function()
    local task = co.spawn_with({ detached_trace = true }, co.trace.inject, {})
    assert.equal("03", task:await().traceparent:sub(-2))
  end)

  for incoming, outgoing in pairs {
    ["00"] = "00",
    ["01"] = "01",
    ["02"] = "02",
    ["03"] = "03",
    ["fc"] = "00",
    ["ff"] = "03",
  } do
    it(("passes flags %s on as %s: known ones unchanged, others as 0"):format(incoming, outgoing), function()
      assert.equal(outgoing, forwarded(with_flags(incoming)).traceparent:sub(-2))
    end)
  end

  it("writes version 00, whatever came", function()
    local headers = forwarded { traceparent = ("cc-%s-%s-01-future"):format(TRACE, SPAN) }
    assert.matches("^00%-" .. TRACE .. "%-" .. ("[0-9a-f]"):rep(16) .. "%-01$", headers.traceparent)
  end)

  it("passes the tracestate on unchanged", function()
    local headers = with_flags "01"
    headers.tracestate = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
    assert.equal(headers.tracestate, forwarded(headers).tracestate)
  end)

  co_it("passes the tracestate on from child tasks too", seeded, function()
    local headers = with_flags "01"
    headers.tracestate = "rojo=1"
    local task = co.trace.continue(headers, function() return co.spawn(co.trace.inject, {}) end)
    assert.equal("rojo=1", task:await().tracestate)
  end)

  it("writes no tracestate when there is none", function()
    assert.is_nil(forwarded(with_flags "01").tracestate)
  end)

  it("replaces what the table has of another trace, in any case", function()
    local headers = co.trace.inject {
      Traceparent = "stale",
      TRACESTATE = "stale=1",
      traceparent = "stale",
      host = "example.org",
    }
    local names = {}
    for name in pairs(headers) do
      names[#names + 1] = name:lower()
    end
    table.sort(names)
    assert.same({ "host", "traceparent" }, names)
    helpers.assert_contains(co.trace.current().trace_id, headers.traceparent or headers.Traceparent)
  end)

  co_it("writes what extract reads", seeded, function()
    local here = co.trace.current()
    local incoming = co.trace.extract(co.trace.inject {})
    assert.is_true(incoming.valid)
    assert.same({ here.trace_id, here.span_id, here.sampled },
      { incoming.trace_id, incoming.parent_span_id, incoming.sampled })
  end)
end)
