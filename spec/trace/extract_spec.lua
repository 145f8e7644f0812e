--- W3C Trace Context, level 2: what comes in.

local co = require "coropanic"

local extract = co.trace.extract

local TRACE = "0af7651916cd43dd8448eb211c80319c"
local SPAN = "b7ad6b7169203331"
local PARENT = "00-" .. TRACE .. "-" .. SPAN .. "-01"

--- What a run under these headers sees as its trace.
local function continued(headers)
  return co.trace.continue(headers, co.trace.current)
end

local function assert_continues(headers)
  local here = continued(headers)
  assert.same({ TRACE, SPAN }, { here.trace_id, here.parent_span_id })
end

local function assert_starts_new(headers)
  local here = continued(headers)
  assert.matches("^" .. ("[0-9a-f]"):rep(32) .. "$", here.trace_id)
  assert.not_equal(TRACE, here.trace_id)
  assert.not_equal(("0"):rep(32), here.trace_id)
  assert.is_nil(here.parent_span_id)
end

describe("co.trace.extract", function()
  it("gives the trace id and the caller's span, and whether it is sampled and valid", function()
    local incoming = extract { traceparent = PARENT }
    assert.same({ TRACE, SPAN, true, true },
      { incoming.trace_id, incoming.parent_span_id, incoming.sampled, incoming.valid })
  end)

  it("gives a new trace, and says so, when there are no headers", function()
    local first, second = extract {}, extract {}
    assert.is_false(first.valid)
    assert.matches("^" .. ("[0-9a-f]"):rep(32) .. "$", first.trace_id)
    assert.not_equal(first.trace_id, second.trace_id)
  end)

  it("gives the tracestate as it came", function()
    local state = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
    assert.equal(state, extract({ traceparent = PARENT, tracestate = state }).state)
  end)

  it("does not change the headers", function()
    local headers = { Traceparent = PARENT, tracestate = "a=1" }
    extract(headers)
    assert.same({ Traceparent = PARENT, tracestate = "a=1" }, headers)
  end)

  it("does not change the trace of its caller", function()
    local before = co.trace.current()
    extract { traceparent = PARENT }
    assert.same(before, co.trace.current())
  end)
end)

describe("a traceparent", function()
  for name, value in pairs {
    ["of version 00"] = PARENT,
    ["with the flags not sampled"] = "00-" .. TRACE .. "-" .. SPAN .. "-00",
    ["with flags that nobody knows"] = "00-" .. TRACE .. "-" .. SPAN .. "-ff",
    ["with blanks and tabs around it"] = " \t" .. PARENT .. "\t ",
    ["of a later version"] = "cc-" .. TRACE .. "-" .. SPAN .. "-01",
    ["of a later version with more behind a dash"] = "cc-" .. TRACE .. "-" .. SPAN
      .. "-01-what-the-future-will-be-like",
    ["of a later version that ends with a dash"] = "cc-" .. TRACE .. "-" .. SPAN .. "-01-",
  } do
    it(name .. " is continued", function()
      assert_continues { traceparent = value }
      assert.is_true(extract({ traceparent = value }).valid)
    end)
  end

  for name, value in pairs {
    ["that is empty"] = "",
    ["of version ff"] = "ff-" .. TRACE .. "-" .. SPAN .. "-01",
    ["with an upper-case version"] = "CC-" .. TRACE .. "-" .. SPAN .. "-01",
    ["with a dot in the version"] = ".0-" .. TRACE .. "-" .. SPAN .. "-01",
    ["with a dot at the end of the version"] = "0.-" .. TRACE .. "-" .. SPAN .. "-01",
    ["with a version of three digits"] = "000-" .. TRACE .. "-" .. SPAN .. "-01",
    ["with a version of one digit"] = "0-" .. TRACE .. "-" .. SPAN .. "-01",
    ["without a version"] = TRACE .. "-" .. SPAN .. "-01",
    ["with a trace id of zeros"] = "00-" .. ("0"):rep(32) .. "-" .. SPAN .. "-01",
    ["with an upper-case trace id"] = "00-" .. TRACE:upper() .. "-" .. SPAN .. "-01",
    ["with a dot in the trace id"] = "00-." .. TRACE:sub(2) .. "-" .. SPAN .. "-01",
    ["with a trace id that is short by one"] = "00-" .. TRACE:sub(2) .. "-" .. SPAN .. "-01",
    ["with a trace id that is long by one"] = "00-" .. TRACE .. "0-" .. SPAN .. "-01",
    ["with a span id of zeros"] = "00-" .. TRACE .. "-" .. ("0"):rep(16) .. "-01",
    ["with an upper-case span id"] = "00-" .. TRACE .. "-" .. SPAN:upper() .. "-01",
    ["with a dot in the span id"] = "00-" .. TRACE .. "-." .. SPAN:sub(2) .. "-01",
    ["with a span id that is short by one"] = "00-" .. TRACE .. "-" .. SPAN:sub(2) .. "-01",
    ["with a span id that is long by one"] = "00-" .. TRACE .. "-" .. SPAN .. "0-01",
    ["with a dot before the flags"] = "00-" .. TRACE .. "-" .. SPAN .. "-.0",
    ["with a dot behind the flags"] = "00-" .. TRACE .. "-" .. SPAN .. "-0.",
    ["with flags of one digit"] = "00-" .. TRACE .. "-" .. SPAN .. "-1",
    ["with flags of three digits"] = "00-" .. TRACE .. "-" .. SPAN .. "-001",
    ["with upper-case flags"] = "00-" .. TRACE .. "-" .. SPAN .. "-0A",
    ["without flags"] = "00-" .. TRACE .. "-" .. SPAN,
    ["of version 00 with a dot at its end"] = PARENT .. ".",
    ["of version 00 with a dash at its end"] = PARENT .. "-",
    ["of version 00 with more behind a dash"] = PARENT .. "-x",
    ["of a later version with more but no dash"] = "cc-" .. TRACE .. "-" .. SPAN
      .. "-01.what-the-future-will-not-be-like",
    ["with underscores for dashes"] = PARENT:gsub("-", "_"),
    ["with a blank inside"] = "00-" .. TRACE .. " -" .. SPAN .. "-01",
    ["with a zero byte at its end"] = PARENT .. "\0",
    ["that is two, in one header"] = PARENT .. "," .. PARENT,
  } do
    it(name .. " is not: a new trace starts", function()
      assert_starts_new { traceparent = value }
      assert.is_false(extract({ traceparent = value }).valid)
    end)
  end

  it("is sampled if the flag says so", function()
    assert.is_true(continued({ traceparent = PARENT }).sampled)
    assert.is_false(continued({ traceparent = "00-" .. TRACE .. "-" .. SPAN .. "-00" }).sampled)
    assert.is_false(continued({ traceparent = "00-" .. TRACE .. "-" .. SPAN .. "-fe" }).sampled)
  end)

  it("has a name in any case", function()
    for _, name in ipairs { "traceparent", "Traceparent", "TraceParent", "TRACEPARENT", "tRaCeparent" } do
      assert_continues { [name] = PARENT }
    end
  end)

  it("has no other name", function()
    for _, name in ipairs { "trace-parent", "trace.parent", "trace_parent", "traceparent ", "parent" } do
      assert_starts_new { [name] = PARENT }
    end
  end)

  it("that came twice is none", function()
    local other = "00-" .. TRACE .. "-1111111111111111-01"
    assert_starts_new { traceparent = { PARENT, other } }
    assert_starts_new { traceparent = { "cc" .. PARENT:sub(3) .. "-x", other } }
    assert_starts_new { traceparent = PARENT, Traceparent = other }
    assert_starts_new { { "traceparent", PARENT }, { "Traceparent", other } }
  end)

  it("may come in a list of one value, or in a list of pairs", function()
    assert_continues { traceparent = { PARENT } }
    assert_continues { { "host", "example.org" }, { "Traceparent", PARENT } }
  end)

  it("that is no string is none", function()
    for _, value in ipairs { 1, true, {}, print } do
      assert_starts_new { traceparent = value }
    end
  end)
end)

describe("a tracestate", function()
  local function state_of(...)
    local values = { ... }
    return extract({ traceparent = PARENT, tracestate = #values == 1 and values[1] or values }).state
  end

  --- `first=1,m2=1,...` with this many members.
  local function members(count)
    local list = {}
    for i = 1, count do
      list[i] = ("m%d=%d"):format(i, i)
    end
    return table.concat(list, ",")
  end

  for name, value in pairs {
    ["of one member"] = "foo=1",
    ["of two members"] = "foo=1,bar=2",
    ["of 32 members"] = members(32),
    ["with keys of all characters"] = "0a_-*/=1,a_-*/z=2",
    ["with a key of a tenant and a system"] = "t61rcwkgmze@vendor=1",
    ["with a key of 256 characters"] = ("k"):rep(256) .. "=1",
    ["with a value of 256 characters"] = "foo=" .. ("v"):rep(256),
    ["with a value of all characters"] = "foo=!\"#$%&'()*+-./09:;<>?@AZ[\\]^_`az{|}~",
    ["with a blank inside a value"] = "foo=1 2",
    ["with the same key twice"] = "foo=1,foo=2",
    ["with the order of its members"] = "zebra=1,alpha=2,middle=3",
  } do
    it(name .. " is carried unchanged", function() assert.equal(value, state_of(value)) end)
  end

  for name, value in pairs {
    ["without an equals sign"] = "foo",
    ["with an empty key"] = "=1",
    ["with an upper-case key"] = "Foo=1",
    ["with a blank in a key"] = "foo bar=1",
    ["with a blank before the equals sign"] = "foo =1",
    ["with a key of 257 characters"] = ("k"):rep(257) .. "=1",
    ["with a value of 257 characters"] = "foo=" .. ("v"):rep(257),
    ["with an equals sign in a value"] = "foo=bar=1",
    ["with a character that is not ASCII"] = "foo=caf\195\169",
    ["with a control character"] = "foo=a\1b",
    ["with 33 members"] = members(33),
  } do
    it(name .. " is dropped, and the traceparent is continued", function()
      assert.is_nil(state_of(value))
      assert_continues { traceparent = PARENT, tracestate = value }
    end)
  end

  it("that came in several headers is one, in their order", function()
    assert.equal("foo=1,bar=2,baz=3", state_of("foo=1", "bar=2,baz=3"))
  end)

  it("may have empty members, and blanks around commas", function()
    local state = state_of " foo=1 \t,\t ,, bar=2 "
    assert.equal("foo=1,bar=2", (state:gsub(",+", ",")))
  end)

  it("without a traceparent is dropped", function()
    assert.is_nil(extract({ tracestate = "foo=1" }).state)
    assert.is_nil(continued({ tracestate = "foo=1" }).state)
  end)

  it("with an invalid traceparent is dropped", function()
    assert.is_nil(extract({ traceparent = "ff" .. PARENT:sub(3), tracestate = "foo=1" }).state)
  end)

  it("of 512 characters is carried whole", function()
    local value = "a=" .. ("x"):rep(125) .. ",b=" .. ("x"):rep(125) .. ",c=" .. ("x"):rep(125) .. ",d="
      .. ("x"):rep(126)
    assert.equal(512, #value)
    assert.equal(value, state_of(value))
  end)

  it("that is too long loses whole members, long ones first, and keeps 512 characters", function()
    local long = "long=" .. ("x"):rep(200)
    local short = {}
    for i = 1, 20 do
      short[i] = ("s%02d=%s"):format(i, ("x"):rep(15))
    end
    local state = state_of(long .. "," .. table.concat(short, ",") .. ",last=" .. ("x"):rep(250))
    assert.is_nil(state:find("last=", 1, true))
    for _, member in ipairs(short) do
      assert.is_truthy((state .. ","):find(member .. ",", 1, true), member)
    end
  end)

  it("has a name in any case", function()
    assert.equal("foo=1", extract({ traceparent = PARENT, TraceState = "foo=1" }).state)
  end)
end)
