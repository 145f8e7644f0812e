-- W3C Baggage: what travels with a request. The grammar is tested in C (spec/core/baggage_spec.c).

local co = require "coropanic"
local co_it = require("spec.helpers").co_it(it)

local PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

local function under(baggage, fn)
  return co.run(function() return co.trace.continue({ traceparent = PARENT, baggage = baggage }, fn) end)
end

describe("baggage", function()
  it("comes in, is read, and goes out as it came", function()
    local header = "userId=Am%C3%A9lie,serverNode=DF%2028;fast;weight = 3,isProduction=false"
    under(header, function()
      local values = { userId = "Am\195\169lie", serverNode = "DF 28", isProduction = "false" }
      assert.same(values, co.trace.baggage())
      assert.equal("Am\195\169lie", co.trace.baggage "userId")
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

  it("has values whose bytes that are no UTF-8 are replaced, and is sent on as it came", function()
    local header = "a=%E2%82x,b=%F5%80,c=100%,d=%zz%41"
    under(header, function()
      local replacement = "\239\191\189"
      assert.same({ a = replacement .. "x", b = replacement:rep(2), c = "100%", d = "%zzA" },
        co.trace.baggage())
      assert.equal(header, co.trace.inject({}).baggage)
    end)
  end)

  it("has members behind one that is too long for the header", function()
    under("a=1,b=" .. ("v"):rep(8192) .. ",c=3", function()
      assert.equal("a=1,c=3", co.trace.inject({}).baggage)
    end)
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

  it("is inherited by what is run and spawned outside tasks, in traces of their own", function()
    co.trace.continue({ traceparent = PARENT, tracestate = "x=1" }, function()
      co.trace.set_baggage("a", "1")
      assert.same({ a = "1" }, co.run(co.trace.baggage))
    end)
    co.trace.set_baggage("a", "1")
    local outside = co.trace.current().trace_id
    local sent = {}
    local function send() sent[#sent + 1] = co.trace.inject {} end
    local function change()
      co.trace.set_baggage("b", "2")
      send()
    end
    co.spawn(change)
    co.run(send)
    co.trace.set_baggage("a", nil)
    assert.same({ "b=2,a=1", "a=1" }, { sent[1].baggage, sent[2].baggage })
    for _, headers in ipairs(sent) do assert.not_equal(outside, headers.traceparent:sub(4, 35)) end
    assert.same({}, co.run(co.trace.baggage))
  end)

  it("is not inherited with detached_trace", function()
    under("a=1", function()
      local task = co.spawn_with({ detached_trace = true }, co.trace.baggage)
      assert.same({}, task:await())
    end)
  end)

  co_it("is back as it was after continue", function()
    co.trace.set_baggage("mine", "1")
    co.trace.continue({ baggage = "a=1" }, function() co.trace.set_baggage("b", "2") end)
    assert.same({ mine = "1" }, co.trace.baggage())
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

  it("may change inside spans, and is as it was when the continue around them is over", function()
    local before = co.trace.on_span(function() end)
    co.run(function()
      co.trace.set_baggage("mine", "1")
      co.trace.continue({ baggage = "a=1" }, function()
        co.trace.span("outer", co.trace.span, "inner", function() co.trace.set_baggage("b", "2") end)
        assert.same({ a = "1", b = "2" }, co.trace.baggage())
      end)
      assert.same({ mine = "1" }, co.trace.baggage())
    end)
    co.trace.on_span(before)
  end)

  it("changes for a coroutine of co.coroutine alone, and not for the span in which that was made", function()
    local before = co.trace.on_span(function() end)
    co.run(function()
      co.trace.span("s", function()
        co.coroutine.wrap(function()
          co.trace.set_baggage("a", "1")
          co.trace.span("inner", function() co.trace.set_baggage("b", "2") end)
          assert.same({ a = "1", b = "2" }, co.trace.baggage())
        end)()
        assert.same({}, co.trace.baggage())
      end)
    end)
    co.trace.on_span(before)
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
  it("sets, replaces and removes members, in front of those that came", function()
    under("a=1;p,b=2,a=3", function()
      local function header() return co.trace.inject({}).baggage end
      co.trace.set_baggage("c", "x y,z;\"\\%\195\169", "p;q=1")
      assert.equal("c=x%20y%2Cz%3B%22%5C%25%C3%A9;p;q=1,a=1;p,b=2,a=3", header())
      assert.same({ "x y,z;\"\\%\195\169", "p;q=1" }, { co.trace.baggage "c" })
      co.trace.set_baggage("a", "")
      assert.equal("a=,c=x%20y%2Cz%3B%22%5C%25%C3%A9;p;q=1,b=2", header())
      co.trace.set_baggage("c", nil)
      co.trace.set_baggage("nobody", nil)
      assert.equal("a=,b=2", header())
    end)
  end)

  it("takes properties encoded, without the blanks around them", function()
    under("", function()
      co.trace.set_baggage("a", "1", "\t p ; q = %C3%A9 ")
      assert.equal("a=1;p ; q = %C3%A9", co.trace.inject({}).baggage)
      assert.same({ "1", "p ; q = %C3%A9" }, { co.trace.baggage "a" })
    end)
  end)

  --- `k1=v,k2=v,...` with this many members, as they come in.
  local function members(count)
    local list = {}
    for i = 1, count do list[i] = ("k%d=v"):format(i) end
    return table.concat(list, ",")
  end

  it("has room beyond 180 members: those that came last are left out", function()
    under(members(180), function()
      co.trace.set_baggage("mine", "1")
      assert.equal("mine=1," .. members(179), co.trace.inject({}).baggage)
      co.trace.set_baggage("k1", "w")
      assert.equal("k1=w,mine=1," .. members(179):sub(#"k1=v," + 1), co.trace.inject({}).baggage)
      for i = 1, 178 do co.trace.set_baggage("own" .. i, "1") end
      assert.equal("1", co.trace.baggage "mine")
      assert.is_nil(co.trace.baggage "k2")
    end)
  end)

  it("has room beyond 8192 bytes: those that came last are left out", function()
    local long = "b=" .. ("v"):rep(8192 - #"a=1,b=,c=3")
    under("a=1," .. long .. ",c=3", function()
      co.trace.set_baggage("c", "4")
      assert.equal("c=4,a=1," .. long, co.trace.inject({}).baggage)
      co.trace.set_baggage("d", "5")
      assert.equal("d=5,c=4,a=1", co.trace.inject({}).baggage)
    end)
  end)

  it("fails for a member that is too long alone, and changes nothing", function()
    under("a=1", function()
      co.trace.set_baggage("b", ("v"):rep(8190))
      assert.equal("b=" .. ("v"):rep(8190), co.trace.inject({}).baggage)
      for _, value in ipairs { ("v"):rep(8191), (" "):rep(2730) .. "v" } do
        local ok, why = pcall(co.trace.set_baggage, "b", value)
        assert.is_false(ok)
        assert.equal("bad argument #2 to 'set_baggage' "
          .. "(at most 8192 bytes expected, with the name and encoded, got 8193)", why)
      end
      assert.equal("b=" .. ("v"):rep(8190), co.trace.inject({}).baggage)
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
    local properties = [[bad argument #3 to 'set_baggage' (properties "key;key=value" expected, ]]
      .. "with values percent-encoded)"
    for _, given in ipairs { "p q", "", "p;", "p=a,b", "p=100%", "p=%zz", "p=\195\169", "p=\127" } do
      fails(properties, "a", "1", given)
    end
    local utf8 = "bad argument #2 to 'set_baggage' "
      .. "(text in UTF-8 expected: encode other bytes, as hex or base64)"
    for _, given in ipairs { "\255", "a\195", "\237\160\128" } do fails(utf8, "a", given) end
  end)
end)

describe("co.trace.set_baggage, at the limit", function()
  it("keeps what came in to the last byte, and no byte further", function()
    for room, kept in pairs { [0] = true, [-1] = false } do
      local own = "n=" .. ("v"):rep(100)
      local came_in = "a=" .. ("x"):rep(8192 - #own - #"," - #"a=" - room)
      co.trace.continue({ traceparent = PARENT, baggage = came_in }, function()
        co.trace.set_baggage("n", ("v"):rep(100))
        assert.equal(kept and own .. "," .. came_in or own, co.trace.inject({}).baggage)
      end)
    end
  end)

  it("keeps nothing behind what has no room", function()
    local came_in = "a=" .. ("x"):rep(8100) .. ",b=2"
    co.trace.continue({ traceparent = PARENT, baggage = came_in }, function()
      co.trace.set_baggage("n", ("v"):rep(100))
      assert.equal("n=" .. ("v"):rep(100), co.trace.inject({}).baggage)
    end)
  end)

  it("and co.trace.baggage take no names with a NUL", function()
    assert.has_error(function() co.trace.set_baggage("a\0b", "1") end)
    co.trace.continue({ traceparent = PARENT, baggage = "a\0b=1,c=2" }, function()
      assert.same({ c = "2" }, co.trace.baggage())
    end)
  end)
end)
