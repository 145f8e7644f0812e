-- The headers of W3C Trace Context and Baggage, read and written by the guest's core: in Lua, and through the
-- library. spec/core has the same cases for C.

local cores = require "guest.cores"
local traceparent = require "coropanic.guest.core.traceparent"
local tracestate = require "coropanic.guest.core.tracestate"
local baggage = require "coropanic.guest.core.baggage"

local TRACE_ID, SPAN_ID = "12345678901234567890123456789012", "1234567890123456"
local IDS = TRACE_ID .. "-" .. SPAN_ID

--- Returns a text with some of its characters removed, doubled or replaced.
local function garbled(draw, text, alphabet)
  for _ = 1, draw(3) - 1 do
    local at, c = draw(#text + 1), draw(#alphabet)
    local how = draw(3)
    local with = how == 1 and "" or alphabet:sub(c, c)
    text = text:sub(1, at - 1) .. with .. text:sub(how == 3 and at or at + 1)
  end
  return text
end

local function pick(draw, list) return list[draw(#list)] end

describe("traceparent", function()
  local VALID = {
    ["00-" .. IDS .. "-01"] = 1,
    ["00-" .. IDS .. "-00"] = 0,
    ["00-" .. IDS .. "-02"] = 2,
    ["00-" .. IDS .. "-ff"] = 3,
    ["00-" .. IDS .. "-fc"] = 0,
    ["01-" .. IDS .. "-01"] = 1,
    ["cc-" .. IDS .. "-01"] = 1,
    ["cc-" .. IDS .. "-01-what-the-future-will-be-like"] = 1,
    ["cc-" .. IDS .. "-01-"] = 1,
    ["fe-" .. IDS .. "-09"] = 1,
    ["\t 00-" .. IDS .. "-01 \t"] = 1,
  }

  local INVALID = {
    "", " ", "00", "cc-" .. IDS .. "-01.what", "cc-" .. IDS .. "-012", "00-" .. IDS .. "-01-what",
    "00-" .. IDS .. "-01.", "00-" .. IDS .. "-01-", "ff-" .. IDS .. "-01", ".0-" .. IDS .. "-01",
    "0A-" .. IDS .. "-01", "000-" .. IDS .. "-01", "0-" .. IDS .. "-01", "-" .. IDS .. "-01",
    "00-00000000000000000000000000000000-" .. SPAN_ID .. "-01",
    "00-" .. TRACE_ID .. "-0000000000000000-01",
    "00-1234567890123456789012345678901A-" .. SPAN_ID .. "-01",
    "00-" .. TRACE_ID .. "1-" .. SPAN_ID .. "-01", "00-" .. TRACE_ID .. "-" .. SPAN_ID .. "1-01",
    "00-" .. TRACE_ID:sub(2) .. "-" .. SPAN_ID .. "-01", "00-" .. TRACE_ID .. "-" .. SPAN_ID:sub(2) .. "-01",
    "00-" .. IDS .. "-.0", "00-" .. IDS .. "-0A", "00-" .. IDS .. "-001", "00-" .. IDS .. "-1",
    "00-" .. IDS .. "-", "00-" .. IDS, "00_" .. IDS .. "-01", "00-" .. TRACE_ID .. "_" .. SPAN_ID .. "-01",
    "00-" .. IDS .. "-01,00-" .. IDS .. "-01", "\n00-" .. IDS .. "-01", "00-" .. IDS .. "-01\0",
  }

  cores.each(it, "traceparent", "reads valid values", function(core)
    for value, flags in pairs(VALID) do assert.same({ TRACE_ID, SPAN_ID, flags }, { core.parse(value) }) end
  end)

  cores.each(it, "traceparent", "refuses invalid ones", function(core)
    for _, value in ipairs(INVALID) do assert.is_nil((core.parse(value)), value) end
    local value = "cc-" .. IDS .. "-01"
    for length = 0, #value - 1 do assert.is_nil((core.parse(value:sub(1, length)))) end
  end)

  it("is written in version 00, with the known flags", function()
    assert.equal("00-" .. IDS .. "-01", traceparent.format(TRACE_ID, SPAN_ID, 1))
    assert.equal("00-" .. IDS .. "-03", traceparent.format(TRACE_ID, SPAN_ID, 255))
  end)

  local starts = {}
  for value in pairs(VALID) do starts[#starts + 1] = value end
  table.sort(starts)
  cores.agree(it, "traceparent", "reads random values",
    function(draw) return garbled(draw, pick(draw, starts), "0f-. Ag") end,
    function(core, value) return core.parse(value) end)
end)

describe("tracestate", function()
  cores.each(it, "tracestate", "keeps a valid list in order", function(core)
    local all = "foo=!\"#$%&'()*+-./09:;<>?@AZ[\\]^_`az{|}~"
    local rows = {
      ["foo=1"] = "foo=1",
      ["foo=1,bar=2,rojo=1,congo=2,baz=3"] = "foo=1,bar=2,rojo=1,congo=2,baz=3",
      ["foo=1 \t , \t bar=2, \t baz=3"] = "foo=1,bar=2,baz=3",
      [",foo=1,, ,bar=2,"] = "foo=1,bar=2",
      ["foo@bar@baz=1,0tenant@system=1"] = "foo@bar@baz=1,0tenant@system=1",
      ["a=1,foo=1,b=2,foo=2"] = "a=1,foo=1,b=2,foo=2",
      ["a_-*/0=1,foo= a b"] = "a_-*/0=1,foo= a b",
      [all] = all,
    }
    for value, kept in pairs(rows) do assert.equal(kept, (core.parse(value))) end
  end)

  cores.each(it, "tracestate", "drops an invalid list", function(core)
    for _, value in ipairs {
      "foo", "=", "=1", "foo=", "foo= ", "foo=,bar=3", "foo=bar=baz", "foo==1", "foo =1", "FOO=1",
      "foo.bar=1",
      "_foo=1", "-foo=1", "@foo=1,bar=2", "f\195\182o=1", "foo=\127", "foo=a\tb", "foo=\195\182", "foo=1\n",
      "bar=2,foo", "a=x\0y",
    } do
      assert.is_nil((core.parse(value)), value)
    end
  end)

  it("may have 32 members, of which it counts those that are not empty", function()
    local list = {}
    for i = 1, 32 do list[i] = ("bar%02d=%02d"):format(i, i) end
    local text = table.concat(list, ",")
    assert.same({ text, 32 }, { tracestate.parse(text .. ", ,,,") })
    assert.is_nil((tracestate.parse(text .. ",x=1")))
  end)

  cores.each(it, "tracestate", "limits keys and values to 256 characters", function(core)
    assert.is_not_nil((core.parse(("t"):rep(256) .. "=1")))
    assert.is_nil((core.parse(("t"):rep(257) .. "=1")))
    assert.is_not_nil((core.parse("a=" .. ("v"):rep(256))))
    assert.is_nil((core.parse("a=" .. ("v"):rep(257))))
  end)

  --- The list of members with these keys and lengths.
  local function members(lengths)
    local list = {}
    for i = 1, #lengths, 2 do list[#list + 1] = lengths[i] .. "=" .. ("v"):rep(lengths[i + 1] - 2) end
    return table.concat(list, ",")
  end

  cores.each(it, "tracestate", "leaves out whole members above 512 characters", function(core)
    local function kept(lengths) return (core.parse(members(lengths)):gsub("=v+,?", "")) end
    assert.equal("ab", kept { "a", 255, "b", 256 })
    assert.equal("acd", kept { "a", 128, "b", 129, "c", 128, "d", 128 })
    assert.equal("abce", kept { "a", 200, "b", 200, "c", 10, "d", 200, "e", 10 })
    assert.equal("abc", kept { "a", 128, "b", 128, "c", 128, "d", 128, "e", 128, "f", 128 })
    assert.equal("bcd", kept { "a", 250, "b", 128, "c", 128, "d", 128, "e", 128, "f", 128 })
    assert.equal("a", kept { "a", 258, "b", 258 })
  end)

  it("finds a member by its whole key, also in headers that are not valid", function()
    local text = "us=1,!! no member,\t us=2 \t,,us=3 4,us=,usa=5"
    local found = {}
    local value, at = tracestate.find(text, "us", 1)
    while value do
      found[#found + 1] = value
      value, at = tracestate.find(text, "us", at)
    end
    assert.same({ "1", "2", "3 4", "" }, found)
    assert.is_nil((tracestate.find("", "us", 1)))
  end)

  cores.each(it, "tracestate", "puts a member first and once", function(core)
    if not core.put then return end
    assert.equal("us=new", core.put("", "us", "new"))
    assert.equal("us=new,a=1,b=2", core.put("a=1,us=old,b=2", "us", "new"))
    assert.equal("us=new,usa=1", core.put("usa=1", "us", "new"))
    local list = {}
    for i = 1, 32 do list[i] = ("k%d=v"):format(i) end
    assert.equal("us=new," .. table.concat(list, ",", 1, 31), core.put(table.concat(list, ","), "us", "new"))
    local full = members { "a", 202, "b", 252, "c", 3, "d", 42 }
    assert.equal("us=0123456789abcdef," .. members { "a", 202, "c", 3, "d", 42 },
      core.put(full, "us", "0123456789abcdef"))
  end)

  cores.agree(it, "tracestate", "reads random values", function(draw)
    local list = {}
    for i = 1, draw(40) do
      list[i] = ("%s%d=%s"):format(pick(draw, { "k", "a@", "z_-*/" }), i, ("v"):rep(draw(20)))
    end
    local text = table.concat(list, pick(draw, { ",", " , ", ",\t" }))
    return draw(2) == 1 and text or garbled(draw, text, "=, @A\0")
  end, function(core, value) return (core.parse(value) or "") end)

  it("is put the same by the library as in Lua", function()
    for i = 2, #cores do
      local put = cores[i].parts.tracestate.put
      for length = 1, put and 256 or 0 do
        local text = members { "a", length + 2, "us", 5, "b", 202 }
        assert.equal(tracestate.put(text, "us", "x"), put(text, "us", "x"))
      end
    end
  end)
end)

describe("baggage", function()
  cores.each(it, "baggage", "keeps valid members in order", function(core)
    local all = "!#$%&'*+-.^_`|~09azAZ=!#$%&'()*+-./:<=>?@[]^_`{|}~"
    local rows = {
      [""] = "", [" , \t,"] = "", ["SomeKey="] = "SomeKey=", [all] = all,
      ["SomeKey = SomeValue ; SomeProp"] = "SomeKey = SomeValue ; SomeProp",
      [" a=1 ,\t b=2 ,c=3"] = "a=1,b=2,c=3",
      ["a=1;p;q=5;r = x,a=b=c"] = "a=1;p;q=5;r = x,a=b=c",
      ["userId=Am%C3%A9lie,serverNode=DF%2028,isProduction=false"] =
        "userId=Am%C3%A9lie,serverNode=DF%2028,isProduction=false",
    }
    for before, after in pairs(rows) do assert.equal(after, core.clean(before)) end
  end)

  cores.each(it, "baggage", "passes over what is no member", function(core)
    for _, text in ipairs {
      "novalue", "=1", "a b=1", "a=b c", 'a="1"', "a=\\", "a@b=1", "a(=1", "a=1;", "a=1;=2", "a=1;p q", "a,b",
      "a=1;p=\"x\"", "a=caf\195\169", "k\195\169=1", "a=\1", "a=1;p;;q", "[a]=1", "a{}=1", ";p", "a=\127",
      "a\127=1", "a=1;p\127", "a=1;p=\127", "a=\0b",
    } do
      assert.equal("x=1,y=2", core.clean("x=1," .. text .. ",y=2"))
    end
  end)

  cores.each(it, "baggage", "keeps as many members as fit, each whole", function(core)
    local list = {}
    for i = 1, 185 do list[i] = ("k%d=v"):format(i) end
    assert.equal(table.concat(list, ",", 1, 180), core.clean(table.concat(list, ",")))
    local long = "a=" .. ("v"):rep(8190)
    assert.equal(long, core.clean(long .. ",b=1"))
    assert.equal("", core.clean(long .. "v"))
    assert.equal("a=1,c=3", core.clean("a=1,b=" .. long .. ",c=3"))
  end)

  it("has members of a name, a value and properties", function()
    assert.same({ 28, "name = value ; p = 1 ; q", "name", "value", "p = 1 ; q" },
      { baggage.next(" name = value ; p = 1 ; q ", 1) })
    assert.is_nil((baggage.next("", 1)))
  end)

  cores.each(it, "baggage", "decodes values", function(core)
    local bad = "\239\191\189"
    local rows = {
      [""] = "", plain = "plain", ["Am%C3%A9lie"] = "Am\195\169lie", ["Am%c3%a9lie"] = "Am\195\169lie",
      ["%09%20%22%2C%3B%5C%25"] = "\t \",;\\%", ["%F0%9F%98%BC"] = "\240\159\152\188", ["a%"] = "a%",
      ["a%4"] = "a%4", ["a%zz"] = "a%zz", ["%%41"] = "%A", ["%C3"] = bad, ["%C3%28"] = bad .. "(",
      ["%ff%fe"] = bad .. bad, ["%E2%82"] = bad, ["%E2%82x%E2%82%AC"] = bad .. "x\226\130\172",
      ["%F0%9F%98%F0%9F%98%BC"] = bad .. "\240\159\152\188", ["%C0%80"] = bad .. bad,
      ["%E0%80%80"] = bad .. bad .. bad, ["%F0%80%80%80"] = bad .. bad .. bad .. bad,
      ["%ED%A0%80"] = bad .. bad .. bad, ["%F4%90%80%80"] = bad .. bad .. bad .. bad,
      ["%80%BF"] = bad .. bad, ["%E0%A0%80"] = "\224\160\128", ["%ED%9F%BF"] = "\237\159\191",
      ["%F4%8F%BF%BF"] = "\244\143\191\191",
      ["%41%C0%AF%41%F4%80%80%41"] = "A" .. bad .. bad .. "A" .. bad .. "A",
    }
    for before, after in pairs(rows) do assert.equal(after, core.decode(before), before) end
  end)

  cores.each(it, "baggage", "encodes values", function(core)
    local rows = {
      [""] = "", plain = "plain", ["Am\195\169lie"] = "Am%C3%A9lie", ["DF 28"] = "DF%2028", ["a=b"] = "a=b",
      ["100%"] = "100%25", ["\t\",;\\"] = "%09%22%2C%3B%5C", ["a\0]"] = "a%00]",
    }
    for before, after in pairs(rows) do assert.equal(after, core.encode(before)) end
  end)

  it("tells UTF-8, names, properties and what is encoded", function()
    for _, text in ipairs { "", "plain", "Am\195\169lie", "\244\143\191\191", "a\0b" } do
      assert.is_true(baggage.is_utf8(text))
    end
    for _, text in ipairs { "\255", "a\128", "\195", "\195(", "\195\169\226\130", "\237\160\128" } do
      assert.is_false(baggage.is_utf8(text))
    end
    for _, text in ipairs { "", "p", "p=1;q=%20%c3%A9" } do assert.is_true(baggage.is_encoded(text)) end
    for _, text in ipairs { "%", "p=%2", "p=%zz", "p=100%;q", "%%20" } do
      assert.is_false(baggage.is_encoded(text))
    end
    assert.is_true(baggage.are_properties "p; q = 1")
    assert.is_false(baggage.are_properties "p;")
    assert.is_true(baggage.is_name "a-b")
    assert.is_false(baggage.is_name "a b")
  end)

  cores.agree(it, "baggage", "cleans random headers", function(draw)
    local list = {}
    for i = 1, draw(8) do
      list[i] = pick(draw, { "a=1", "b = x;p", "c=%C3%A9;q=1 ;r", "d=", "no", "e==" })
    end
    return garbled(draw, table.concat(list, pick(draw, { ",", " , " })), "=,; \"\\%\195\0")
  end, function(core, value) return core.clean(value) end)

  cores.agree(it, "baggage", "decodes random values", function(draw)
    local bytes, some = {}, { "%C3", "%A9", "%E2", "%82", "%F0", "%9F", "%ED", "%80", "a", "%4" }
    for i = 1, draw(8) do bytes[i] = pick(draw, some) end
    return table.concat(bytes)
  end, function(core, value) return core.decode(value) end)

  cores.agree(it, "baggage", "encodes random values", function(draw)
    local bytes = {}
    for i = 1, draw(20) do bytes[i] = string.char(draw(127)) end
    return table.concat(bytes)
  end, function(core, value) return core.encode(value) end)
end)
