-- W3C Baggage: what travels with a request. The grammar is tested in C (spec/core/baggage_spec.c).

local co = require "coropanic"

local PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

local function under(baggage, fn)
  return co.run(function() return co.trace.continue({ traceparent = PARENT, baggage = baggage }, fn) end)
end

describe("baggage", function()
  it("comes in, is read, and goes out as it came", function()
    local header = "userId=Am%C3%A9lie,serverNode=DF%2028;fast;weight = 3,isProduction=false"
    under(header, function()
      local values = { userId = "Am\u{e9}lie", serverNode = "DF 28", isProduction = "false" }
      assert.same(values, co.trace.baggage())
      assert.equal("Am\u{e9}lie", co.trace.baggage "userId")
      assert.same({ "DF 28", "fast;weight = 3" }, { co.trace.baggage "serverNode" })
      assert.is_nil(co.trace.baggage "userid")
      assert.equal(header, co.trace.inject({}).baggage)
    end)
  end)

  it("is a part of what extract returns, which continue takes", function()
    local extracted = co.trace.extract { traceparent = PARENT, Baggage = " a=1 , b=2" }
    assert.equal("a=1,b=2", extracted.baggage)
    assert.equal("2", co.trace.continue(extracted, co.trace.baggage, "b"))
    assert.is_nil(co.trace.extract({}).baggage)
  end)

  it("may come in several headers, and in any form of them", function()
    for _, headers in ipairs {
      { baggage = { "a=1,b=2", "c=3" } },
      { { "Baggage", "a=1,b=2" }, { "baggage", "c=3" } },
      { BAGGAGE = "a=1,b=2,c=3" },
    } do
      assert.same({ a = "1", b = "2", c = "3" }, co.trace.continue(headers, co.trace.baggage))
    end
  end)

  it("is kept without a valid traceparent", function()
    assert.equal("1", co.trace.continue({ traceparent = "none", baggage = "a=1" }, co.trace.baggage, "a"))
  end)

  it("is the last of several members of one name, which are all sent on", function()
    under("a=1,a=2", function()
      assert.equal("2", co.trace.baggage "a")
      assert.same({ a = "2" }, co.trace.baggage())
      assert.equal("a=1,a=2", co.trace.inject({}).baggage)
    end)
  end)

  it("is inherited by tasks, which change their own", function()
    under("a=1", function()
      local child = co.spawn(function()
        assert.equal("1", co.trace.baggage "a")
        co.trace.set_baggage("b", "2")
        assert.same({ a = "1", b = "2" }, co.spawn(co.trace.baggage):await())
        return co.trace.current()
      end)
      local there = child:await()
      assert.same({ a = "1" }, co.trace.baggage())
      assert.equal(co.trace.current().trace_id, there.trace_id)
    end)
  end)

  it("is back as it was after continue", function()
    co.run(function()
      co.trace.set_baggage("mine", "1")
      co.trace.continue({ baggage = "a=1" }, function() co.trace.set_baggage("b", "2") end)
      assert.same({ mine = "1" }, co.trace.baggage())
    end)
  end)

  it("may change inside a span, which still ends", function()
    local spans = {}
    local before = co.trace.on_span(function(span) spans[#spans + 1] = span end)
    co.run(function()
      local mine = co.trace.current().span_id
      co.trace.span("s", function() co.trace.set_baggage("a", "1") end)
      assert.equal(mine, co.trace.current().span_id)
      assert.equal("1", co.trace.baggage "a")
    end)
    co.trace.on_span(before)
    assert.equal("s", spans[1].name)
  end)

  it("does not touch the tracestate", function()
    co.trace.continue({ traceparent = PARENT, tracestate = "x=1" }, function()
      co.trace.set_baggage("a", "1")
      local headers = co.trace.inject {}
      assert.equal("x=1", headers.tracestate)
      assert.equal("a=1", headers.baggage)
    end)
  end)

  it("works outside tasks, and is not sent when there is none", function()
    co.trace.set_baggage("a", "1")
    assert.equal("a=1", co.trace.inject({}).baggage)
    co.trace.set_baggage("a", nil)
    assert.is_nil(co.trace.inject({ baggage = "stale=1" }).baggage)
    assert.same({}, co.trace.baggage())
  end)
end)

describe("co.trace.set_baggage", function()
  it("sets, replaces and removes members, in their order", function()
    under("a=1;p,b=2,a=3", function()
      local function header() return co.trace.inject({}).baggage end
      co.trace.set_baggage("c", "x y,z;\"\\%\u{e9}", "p;q=1")
      assert.equal("a=1;p,b=2,a=3,c=x%20y%2Cz%3B%22%5C%25%C3%A9;p;q=1", header())
      assert.same({ "x y,z;\"\\%\u{e9}", "p;q=1" }, { co.trace.baggage "c" })
      co.trace.set_baggage("a", "")
      assert.equal("b=2,c=x%20y%2Cz%3B%22%5C%25%C3%A9;p;q=1,a=", header())
      co.trace.set_baggage("c", nil)
      co.trace.set_baggage("nobody", nil)
      assert.equal("b=2,a=", header())
    end)
  end)

  it("has limits, and changes nothing beyond them", function()
    under("a=1", function()
      local ok, why = pcall(co.trace.set_baggage, "b", ("v"):rep(8192))
      assert.is_false(ok)
      assert.equal("co.trace.set_baggage: more than 180 members or 8192 bytes", why)
      for i = 2, 180 do co.trace.set_baggage("k" .. i, "v") end
      assert.is_false((pcall(co.trace.set_baggage, "k181", "v")))
      co.trace.set_baggage("k180", "w")
      assert.equal("1", co.trace.baggage "a")
    end)
  end)

  it("says what is wrong with its arguments", function()
    local function fails(message, ...)
      local ok, why = pcall(co.trace.set_baggage, ...)
      assert.is_false(ok)
      assert.equal(message, why)
    end
    local name = "bad argument #1 to 'set_baggage' (a name of letters, digits and !#$%&'*+-.^_`|~ expected)"
    fails("bad argument #1 to 'set_baggage' (string expected, got nil)", nil)
    fails(name, "a b", "1")
    fails(name, "", "1")
    fails("bad argument #2 to 'set_baggage' (string or nil expected, got number)", "a", 1)
    fails("bad argument #3 to 'set_baggage' (string or nil expected, got table)", "a", "1", {})
    fails([[bad argument #3 to 'set_baggage' (properties "key;key=value" expected)]], "a", "1", "p q")
  end)
end)
