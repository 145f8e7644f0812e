-- Headers as HTTP libraries have them: in every shape the ids come in, and go out.

local co = require "coropanic"
local helpers = require "spec.helpers"

local TRACE = "0af7651916cd43dd8448eb211c80319c"
local SPAN = "b7ad6b7169203331"
local PARENT = ("00-%s-%s-03"):format(TRACE, SPAN)
local STALE = ("00-%s-%s-00"):format(("1"):rep(32), ("2"):rep(16))

--- The list in any order.
local function shuffled(list)
  for i = #list, 2, -1 do
    local j = math.random(i)
    list[i], list[j] = list[j], list[i]
  end
  return list
end

local function fails(message, fn, ...)
  local ok, why = pcall(fn, ...)
  assert.is_false(ok)
  assert.equal(message, why)
end

-- Objects ---------------------------------------------------------------------------------------------------

--- pairs, which LuaJIT and Lua 5.1 have without __pairs.
local function each(object)
  local meta = debug.getmetatable(object)
  if meta and meta.__pairs then return meta.__pairs(object) end
  return pairs(object)
end

--- A proxy that can be read, by __index and __pairs.
local function read_only(headers)
  return setmetatable({}, {
    __index = headers,
    __pairs = function() return each(headers) end,
    __len = function() return #headers end,
    __newindex = function() error("these headers are read-only", 2) end,
  })
end

--- A proxy that writes through.
local function proxy(headers)
  return setmetatable({}, {
    __index = headers,
    __pairs = function() return each(headers) end,
    __newindex = headers,
  })
end

--- A proxy that cannot be listed.
local function silent_proxy(headers)
  return setmetatable({}, {
    __index = function(_, name) return headers[name] end,
    __newindex = function(_, name, value) headers[name] = value end,
  })
end

--- Names are in lower case inside, and taken in any.
local function any_case(headers)
  local values = {}
  for name, value in pairs(headers) do values[name:lower()] = value end
  return setmetatable({}, {
    __index = function(_, name) return type(name) == "string" and values[name:lower()] or nil end,
    __newindex = function(_, name, value) values[name:lower()] = value end,
  })
end

--- A list of entries behind methods, as lua-http has its headers: what is not set by a method is no header.
local Collection = {}
Collection.__index = Collection

local function collection(entries)
  return setmetatable({ entries = entries or {} }, Collection)
end

function Collection:__pairs()
  local i = 0
  return function()
    i = i + 1
    local entry = self.entries[i]
    if entry then return entry.name, entry.value, false end
  end
end

function Collection:__len() return #self.entries end

function Collection:append(name, value)
  self.entries[#self.entries + 1] = { name = name, value = value }
end

function Collection:delete(name)
  for i = #self.entries, 1, -1 do
    if self.entries[i].name == name then table.remove(self.entries, i) end
  end
end

function Collection:upsert(name, value)
  for _, entry in ipairs(self.entries) do
    if entry.name == name then
      entry.value = value
      return
    end
  end
  self:append(name, value)
end

--- A list that is indexed by name too, as luvit has its headers.
local Named = {}

function Named.__index(list, name)
  if type(name) ~= "string" then return rawget(list, name) end
  for _, pair in ipairs(list) do
    if pair[1]:lower() == name:lower() then return pair[2] end
  end
end

function Named.__newindex(list, name, value)
  if type(name) ~= "string" then
    rawset(list, name, value)
    return
  end
  for i = #list, 1, -1 do
    if list[i][1]:lower() == name:lower() then table.remove(list, i) end
  end
  if value then rawset(list, #list + 1, { name, value }) end
end

-- What Lua calls a file: only later Luas have the name in its metatable.
local file_type = rawget(debug.getmetatable(io.stdout), "__name") or "userdata"

-- Coming in -------------------------------------------------------------------------------------------------

local function assert_reads(headers)
  local here = co.trace.extract(headers)
  assert.same({ TRACE, SPAN, true, true, "a=1,b=2", "k=1,l=2" },
    { here.trace_id, here.parent_span_id, here.sampled, here.valid, here.state, here.baggage })
  here = co.trace.continue(headers, co.trace.current)
  assert.same({ TRACE, SPAN, "a=1,b=2" }, { here.trace_id, here.parent_span_id, here.state })
end

describe("headers that come in", function()
  local map = { Traceparent = PARENT, traceState = { "a=1", "b=2" }, BAGGAGE = "k=1,l=2", host = "x" }
  local pairs_list = { { "host", "x" }, { "TraceParent", PARENT }, { "tracestate", { "a=1", "b=2" } },
    { "Baggage", "k=1" }, { "baggage", "l=2" } }
  local fields_list = { { name = "host", value = "x" }, { name = "TraceParent", value = PARENT },
    { name = "tracestate", value = { "a=1", "b=2" } }, { name = "Baggage", value = "k=1" },
    { name = "baggage", value = "l=2" } }
  local entries = { { name = "host", value = "x" }, { name = "traceparent", value = PARENT },
    { name = "tracestate", value = "a=1" }, { name = "baggage", value = "k=1" },
    { name = "tracestate", value = "b=2" }, { name = "baggage", value = "l=2" } }

  for shape, headers in pairs {
    ["names and values"] = map,
    ["a list of pairs"] = pairs_list,
    ["a list of names and values in fields"] = fields_list,
    ["a list of both"] = { pairs_list[1], fields_list[2], pairs_list[3], pairs_list[4], fields_list[5] },
    ["names and a list at once"] = { pairs_list[2], fields_list[3], baggage = "k=1,l=2" },
    ["a list with holes"] = { [2] = pairs_list[2], [9] = pairs_list[5], [4] = pairs_list[4],
      [70] = fields_list[3] },
    ["a read-only proxy"] = read_only(map),
    ["a read-only proxy of a list"] = read_only(pairs_list),
    ["a proxy"] = proxy(map),
    ["a proxy of a list"] = proxy(fields_list),
    ["a proxy of a proxy"] = proxy(proxy(map)),
    ["a table with defaults"] = setmetatable({ Traceparent = PARENT, Tracestate = "a=1,b=2" },
      { __index = map }),
    ["a list with defaults"] = setmetatable({ pairs_list[2], pairs_list[3] }, { __index = map }),
    ["a proxy that cannot be listed"] = silent_proxy { Traceparent = PARENT, tracestate = "a=1,b=2",
      BAGGAGE = "k=1,l=2" },
    ["a proxy of a list that cannot be listed"] = silent_proxy(pairs_list),
    ["names in any case"] = any_case(map),
    ["a collection with methods"] = collection(entries),
    ["a list that is indexed by name"] = setmetatable({ pairs_list[1], pairs_list[2],
      { "tracestate", "a=1,b=2" }, { "baggage", "k=1,l=2" } }, Named),
    ["an object with fields"] = setmetatable({ traceparent = PARENT, tracestate = "a=1,b=2",
      baggage = "k=1,l=2" }, { __name = "headers" }),
    ["proxies of values"] = { traceparent = proxy { PARENT }, tracestate = read_only { "a=1", "b=2" },
      baggage = setmetatable({}, { __index = { "k=1", "l=2" } }) },
    ["proxies of values in a list"] = { { "traceparent", proxy { PARENT } },
      { name = "tracestate", value = read_only { "a=1", "b=2" } }, { "baggage", proxy { "k=1", "l=2" } } },
    ["proxies of pairs"] = { proxy(pairs_list[2]), read_only(fields_list[3]), proxy(pairs_list[4]),
      read_only(fields_list[5]) },
  } do
    it("are read as " .. shape, function() assert_reads(headers) end)
  end

  it("are read in a userdata that can be indexed or listed", function()
    local file = assert(io.tmpfile())
    local metatable = debug.getmetatable(file)
    local index = metatable.__index
    local function with(field, value, fn)
      local before = metatable[field]
      metatable[field] = value
      local ok, why = pcall(fn)
      metatable[field] = before
      assert(ok, why)
    end
    local values = { traceparent = PARENT, tracestate = "a=1,b=2", baggage = "k=1,l=2" }
    local function reads() assert_reads(file) end
    with("__index", function(_, name) return values[name] or index[name] end, reads)
    with("__index", values, reads)
    with("__pairs", function() return pairs(map) end, reads)
    with("__index", nil, function()
      fails("bad argument #1 to 'extract' (table of headers, or an object with __pairs or __index expected, "
        .. "got " .. file_type .. ")", co.trace.extract, file)
    end)
  end)

  it("have the order of their bytes where names differ in case alone", function()
    for _ = 1, 20 do
      local headers = {}
      for _, i in ipairs(shuffled { 1, 2, 3, 4, 5 }) do
        local name = ({ "BAGGAGE", "BAGGAGe", "Baggage", "bAGGAGE", "baggage" })[i]
        headers[name] = ("k%d=%d"):format(i, i)
      end
      assert.equal("k1=1,k2=2,k3=3,k4=4,k5=5", co.trace.extract(headers).baggage)
      assert.equal("k1=1,k2=2,k3=3,k4=4,k5=5", co.trace.extract(proxy(headers)).baggage)
    end
  end)

  it("have what is in the list before what has a name", function()
    local headers = { Baggage = "e=5", BAGGAGE = "d=4", { "baggage", "a=1" }, [9] = { "baggage", "c=3" },
      [4] = { name = "BaggagE", value = "b=2" } }
    assert.equal("a=1,b=2,c=3,d=4,e=5", co.trace.extract(headers).baggage)
    assert.equal("a=1,b=2,c=3,d=4,e=5", co.trace.extract(proxy(headers)).baggage)
  end)

  it("are no trace where two traceparents are in it, wherever", function()
    for _, headers in ipairs {
      { traceparent = PARENT, TRACEPARENT = PARENT },
      { { "traceparent", PARENT }, { name = "Traceparent", value = PARENT } },
      { { "traceparent", { PARENT, PARENT } } },
      { { "traceparent", PARENT }, [5] = { "traceparent", PARENT } },
      { { "traceparent", PARENT }, traceparent = PARENT },
      collection { { name = "traceparent", value = PARENT }, { name = "traceparent", value = PARENT } },
      proxy { traceparent = PARENT, Traceparent = PARENT },
    } do
      assert.is_false(co.trace.extract(headers).valid)
    end
  end)

  it("have numbers for values, which are their text", function()
    local headers = { traceparent = PARENT, tracestate = { "a=1", 2 }, baggage = { "k=1", 2, "l=2" } }
    local here = co.trace.extract(headers)
    assert.is_true(here.valid)
    assert.is_nil(here.state)
    assert.equal("k=1,l=2", here.baggage)
    assert.same({ "a=1", 2 }, headers.tracestate)
    assert.is_false(co.trace.extract({ traceparent = PARENT, Traceparent = 5 }).valid)
    assert.is_true(co.trace.extract({ traceparent = PARENT, Traceparent = false, TRACEPARENT = {} }).valid)
  end)

  it("have as many values as somebody likes to send", function()
    local values = {}
    for i = 1, 600000 do values[i] = "x" end
    values[#values] = "k=1"
    assert.equal("k=1", co.trace.extract({ baggage = values }).baggage)
    assert.is_false(co.trace.extract({ traceparent = values }).valid)
    assert.is_nil(co.trace.extract({ traceparent = PARENT, tracestate = values }).state)
    local list = {}
    for i = 1, 600000 do list[i] = { "Baggage", "x" } end
    list[#list] = { name = "baggage", value = "k=1" }
    assert.equal("k=1", co.trace.extract(list).baggage)
  end)

  it("may have a name in every spelling at once", function()
    local headers, expected = {}, {}
    for number = 0, 127 do
      local i = 0
      local name = ("baggage"):gsub(".", function(letter)
        i = i + 1
        return math.floor(number / 2 ^ (7 - i)) % 2 == 0 and letter:upper() or letter
      end)
      headers[name] = ("k=%d"):format(number)
      expected[number + 1] = headers[name]
    end
    assert.equal(table.concat(expected, ","), co.trace.extract(headers).baggage)
    co.trace.continue({ traceparent = PARENT, baggage = "l=1" }, co.trace.inject, headers)
    headers.traceparent = nil
    assert.same({ baggage = "l=1" }, headers)
  end)

  it("are asked for nothing that they list already", function()
    local strict = setmetatable({}, {
      __pairs = function() return pairs { traceparent = PARENT } end,
      __index = function(_, name) error("no header " .. name) end,
    })
    assert.equal(TRACE, co.trace.extract(strict).trace_id)
  end)

  it("may be made for names alone, or be strict about others", function()
    local lowered = setmetatable({ traceparent = PARENT }, {
      __index = function(t, name) return rawget(t, name:lower()) end,
    })
    assert.equal(TRACE, co.trace.extract(lowered).trace_id)
    co.trace.inject(lowered)
    local strict = setmetatable({}, {
      __pairs = function() return pairs { traceparent = PARENT } end,
      __index = function(_, name) error("no header " .. name) end,
    })
    assert.equal(TRACE, co.trace.continue(strict, co.trace.current).trace_id)
    local defaults = setmetatable({ traceparent = PARENT }, { __index = function() return false end })
    assert.equal(TRACE, co.trace.continue(defaults, co.trace.current).trace_id)
    local flagged = { traceparent = PARENT, valid = true }
    assert.equal(TRACE, co.trace.continue(flagged, co.trace.current).trace_id)
  end)

  it("may have an answer to everything: there is an end to what they are asked", function()
    local entry = { "host", "x" }
    local endless = setmetatable({}, { __index = function() return entry end })
    assert.is_false(co.trace.extract(endless).valid)
    local values = setmetatable({ PARENT }, { __index = function() return "" end })
    assert.is_false(co.trace.extract({ traceparent = values }).valid)
    values = setmetatable({ PARENT }, { __len = function() return math.maxinteger end })
    assert.equal(TRACE, co.trace.extract({ traceparent = values }).trace_id)
  end)

  it("are read behind a metatable that is hidden", function()
    local headers = { traceparent = PARENT }
    local hidden = { __pairs = function() return each(headers) end, __metatable = false }
    assert.equal(TRACE, co.trace.extract(setmetatable({}, hidden)).trace_id)
    hidden = { __index = headers, __metatable = "hidden" }
    assert.equal(TRACE, co.trace.extract(setmetatable({}, hidden)).trace_id)
  end)

  it("hide the entries of what their __index has", function()
    local class = { { "traceparent", PARENT } }
    for _, index in ipairs { class, setmetatable({}, { __index = function(_, i) return class[i] end }) } do
      assert.is_false(co.trace.extract(setmetatable({ { "host", "x" } }, { __index = index })).valid)
      assert.is_true(co.trace.extract(setmetatable({ host = "x" }, { __index = index })).valid)
    end
  end)

  it("may have holes if they say how long they are", function()
    local function long(items)
      local function item(_, i) return items[i] end
      return setmetatable({}, { __index = item, __len = function() return 9 end })
    end
    local states = long { [3] = "a=1", [8] = "b=2" }
    local here = co.trace.extract(long { [2] = { "traceparent", PARENT }, [9] = { "tracestate", states } })
    assert.same({ TRACE, "a=1,b=2" }, { here.trace_id, here.state })
  end)

  it("raise what their metamethods raise", function()
    local broken = setmetatable({}, { __pairs = function() error("broken", 0) end })
    fails("broken", co.trace.extract, broken)
    fails("broken", co.trace.inject, broken)
  end)
end)

describe("an error of a metamethod", function()
  local function broken() error("broken", 2) end

  it("is what was raised, and names no line that is not the object's", function()
    local listed = setmetatable({}, { __pairs = broken })
    local stepped = setmetatable({}, { __pairs = function() return broken end })
    local asked = setmetatable({}, { __index = function(_, key) if key == "baggage" then broken() end end })
    local measured = setmetatable({}, { __index = function() end, __len = broken })
    local first = setmetatable({}, { __index = function(_, i) if i == 1 then broken() end end })
    local value, item = { baggage = first }, { first }
    local none = setmetatable({}, { __index = 5 })
    for _, headers in ipairs { listed, stepped, measured } do fails("broken", co.trace.extract, headers) end
    for _, headers in ipairs { asked, value, item } do
      local ok, why = pcall(co.trace.extract, headers)
      assert.is_false(ok)
      assert.matches("^spec/trace/carrier_spec.lua:%d+: broken$", why)
    end
    assert.is_false(co.trace.extract(none).valid)
  end)

  it("comes from setting too", function()
    local written = setmetatable({}, { __newindex = broken })
    local upserted = setmetatable({}, { __index = { delete = broken, upsert = broken } })
    for _, headers in ipairs { written, upserted } do fails("broken", co.trace.inject, headers) end
  end)

  it("has the metamethod in its stack", function()
    local headers = setmetatable({}, { __index = function() co.panic "broken" end })
    local record = helpers.record_of(co.trace.extract, headers)
    assert.equal("broken", record.value)
    helpers.assert_contains("spec/trace/carrier_spec.lua", record.frames[1].source)
  end)
end)

describe("the module that reads objects", function()
  local PLAIN = { Traceparent = PARENT, { "tracestate", { "a=1", "b=2" } }, TRACESTATE = "c=3" }
  local NAME = "coropanic.headers"

  --- Calls `fn` where nothing has loaded the module yet.
  local function without(path, fn)
    local loaded, before, preload = package.loaded[NAME], package.path, package.preload[NAME]
    package.loaded[NAME], package.path = nil, path
    local ok, why = pcall(fn)
    package.loaded[NAME], package.path, package.preload[NAME] = loaded, before, preload
    assert(ok, why)
  end

  it("is loaded when the first object comes", function()
    without(package.path, function()
      co.trace.continue(PLAIN, co.trace.inject, { { "host", "x" } })
      assert.is_nil(package.loaded[NAME])
      assert.equal(TRACE, co.trace.extract(proxy(PLAIN)).trace_id)
      assert.is_function(package.loaded[NAME])
    end)
  end)

  it("is missed for objects alone, by name", function()
    without("", function()
      local here = co.trace.extract(PLAIN)
      assert.same({ TRACE, "a=1,b=2,c=3" }, { here.trace_id, here.state })
      local item, value = { proxy { "traceparent", PARENT } }, { baggage = proxy {} }
      for _, headers in ipairs { proxy(PLAIN), item, value } do
        for _, call in ipairs { co.trace.extract, co.trace.inject, co.trace.continue } do
          local ok, why = pcall(call, headers, co.trace.current)
          assert.is_false(ok)
          helpers.assert_contains("headers that are objects need the Lua module 'coropanic.headers': module '"
            .. NAME .. "' not found:", why)
        end
      end
      assert.is_true(co.trace.extract(co.trace.inject(setmetatable({}, { __newindex = rawset }))).valid)
    end)
  end)

  it("raises what is no text as it is", function()
    without("", function()
      local reason = {}
      package.preload[NAME] = function() error(reason) end
      local ok, why = pcall(co.trace.extract, proxy(PLAIN))
      assert.same({ false, true }, { ok, why == reason })
    end)
  end)

  it("is not loaded again: require may be gone by then", function()
    local require = _G.require
    assert.equal(TRACE, co.trace.extract(proxy(PLAIN)).trace_id)
    _G.require = nil
    local ok, here = pcall(co.trace.extract, proxy(PLAIN))
    _G.require = require
    assert(ok, here)
  end)

  it("is missed where there is no require", function()
    local require = _G.require
    without(package.path, function()
      _G.require = nil
      local ok, why = pcall(co.trace.extract, proxy(PLAIN))
      _G.require = require
      assert.is_false(ok)
      helpers.assert_contains("need the Lua module 'coropanic.headers'", why)
    end)
  end)

  it("may be given by a host without files", function()
    local module = assert(package.searchpath(NAME, package.path))
    without("", function()
      package.preload[NAME] = loadfile(module)
      assert.equal(TRACE, co.trace.extract(proxy(PLAIN)).trace_id)
    end)
  end)

  it("is no other of its name", function()
    without("", function()
      package.loaded[NAME] = function() end
      fails("'coropanic.headers' is not the module that coropanic brings", co.trace.extract, proxy(PLAIN))
    end)
  end)
end)

describe("values and entries", function()
  it("count behind holes, and before the first", function()
    local OTHER = PARENT:gsub("^00%-0af", "00-1af")
    assert.is_false(co.trace.extract({ traceparent = { PARENT, [3] = OTHER } }).valid)
    assert.is_false(co.trace.extract({ traceparent = { PARENT, nil, OTHER } }).valid)
    assert.equal(TRACE, co.trace.extract({ traceparent = { [3] = PARENT } }).trace_id)
    local state, expected = { "b=2", [0] = "a=1", [-7] = "z=0" }, { "b=2", "z=0", "a=1" }
    for _, i in ipairs(shuffled { 3, 5, 9, 17, 33, 65, 129 }) do state[i] = ("k%03d=1"):format(i) end
    for _, i in ipairs { 3, 5, 9, 17, 33, 65, 129 } do expected[#expected + 1] = state[i] end
    local headers = { traceparent = PARENT, tracestate = state }
    assert.equal(table.concat(expected, ","), co.trace.extract(headers).state)
    assert.equal(table.concat(expected, ","), co.trace.extract(proxy(headers)).state)
    for _, i in ipairs { 0, -1, math.mininteger } do
      local list = { [i] = { "traceparent", PARENT }, { "host", "x" } }
      assert.equal(TRACE, co.trace.extract(list).trace_id)
      co.trace.inject(list)
      assert.is_nil(list[i])
      assert.equal(co.trace.current().trace_id, co.trace.extract(list).trace_id)
    end
  end)
end)

describe("what extract has returned", function()
  it("may be given to continue behind a proxy", function()
    local here = co.trace.continue(read_only(co.trace.extract { traceparent = PARENT }), co.trace.current)
    assert.same({ TRACE, SPAN }, { here.trace_id, here.parent_span_id })
  end)

  it("may have got more state and baggage than is carried", function()
    local extracted = co.trace.extract { traceparent = PARENT, tracestate = "a=1", baggage = "k=1" }
    extracted.state = ("a=%s,b=%s,c=%s"):format(("x"):rep(250), ("x"):rep(100), ("x"):rep(250))
    extracted.baggage = "a=" .. ("v"):rep(8190) .. ",b=2"
    co.trace.continue(extracted, function()
      local headers = co.trace.inject {}
      assert.equal("a=" .. ("x"):rep(250) .. ",b=" .. ("x"):rep(100), headers.tracestate)
      assert.equal("a=" .. ("v"):rep(8190), headers.baggage)
    end)
    extracted.state = ("x"):rep(513)
    extracted.baggage = ("v"):rep(8193)
    co.trace.continue(extracted, function()
      local headers = co.trace.inject {}
      assert.same({}, { headers.tracestate, headers.baggage })
      assert.equal(TRACE, headers.traceparent:sub(4, 35))
    end)
  end)

  for _, flags in ipairs { "00", "01", "02", "03" } do
    it("sends the flags " .. flags .. " on", function()
      local extracted = co.trace.extract { traceparent = ("00-%s-%s-%s"):format(TRACE, SPAN, flags) }
      local sent = co.trace.continue(extracted, co.trace.inject, {})
      assert.equal(("00-%s-"):format(TRACE), sent.traceparent:sub(1, 36))
      assert.equal(flags, sent.traceparent:sub(-2))
    end)
  end
end)

-- Going out -------------------------------------------------------------------------------------------------

--- What the code under this trace sends in the headers.
local function send(headers, state, baggage)
  return co.trace.continue({ traceparent = PARENT, tracestate = state, baggage = baggage }, function()
    assert.equal(headers, co.trace.inject(headers))
    return co.trace.inject {}.traceparent
  end)
end

describe("headers that go out", function()
  it("are pairs in a list of pairs, in the place of stale ones", function()
    local headers = { { "A", "1" }, { "TraceParent", STALE }, { "baggage", "stale=1" }, { "B", "2" },
      { "traceparent", STALE }, { "tracestate", "stale=1" } }
    local sent = send(headers, "a=1", nil)
    assert.same({ { "A", "1" }, { "traceparent", sent }, { "B", "2" }, { "tracestate", "a=1" } }, headers)
  end)

  it("are fields in a list of fields, in the place of stale ones", function()
    local headers = { { name = "A", value = "1" }, { name = "Baggage", value = "stale=1" },
      { name = "TRACEPARENT", value = STALE }, { name = "tracestate", value = "stale=1" } }
    local sent = send(headers, nil, "k=1")
    assert.same({ { name = "A", value = "1" }, { name = "baggage", value = "k=1" },
      { name = "traceparent", value = sent } }, headers)
  end)

  it("are added in the form that the list has", function()
    local headers = { { name = "A", value = "1" } }
    local sent = send(headers, "a=1", "k=1")
    assert.same({ { name = "A", value = "1" }, { name = "traceparent", value = sent },
      { name = "tracestate", value = "a=1" }, { name = "baggage", value = "k=1" } }, headers)
    headers = { { "A", "1" } }
    sent = send(headers, "a=1", "k=1")
    assert.same({ { "A", "1" }, { "traceparent", sent }, { "tracestate", "a=1" }, { "baggage", "k=1" } },
      headers)
  end)

  it("are added in the form of the first item", function()
    local pair, fields = { "A", "1" }, { name = "B", value = "2" }
    local headers = { pair, fields }
    local sent = send(headers)
    assert.same({ pair, fields, { "traceparent", sent } }, headers)
    headers = { fields, pair }
    sent = send(headers)
    assert.same({ fields, pair, { name = "traceparent", value = sent } }, headers)
    for _, i in ipairs { 3, 9, 50, 1000 } do
      headers = { [i] = fields, [1001] = pair, [1002] = pair, [2000] = pair }
      sent = send(headers)
      assert.same({ name = "traceparent", value = sent }, headers[1])
    end
  end)

  it("leave the items alone that somebody else may have", function()
    local item = { "traceparent", STALE }
    send { { "A", "1" }, item }
    assert.same({ "traceparent", STALE }, item)
  end)

  it("take the place of stale ones of the other form, and by name", function()
    local headers = { { "A", "1" }, { name = "traceparent", value = STALE }, Traceparent = STALE,
      BAGGAGE = "stale=1" }
    local sent = send(headers)
    assert.same({ { "A", "1" }, { name = "traceparent", value = sent } }, headers)
  end)

  it("lose no entry behind a hole", function()
    local headers = { [2] = { "A", "1" }, [4] = { "Traceparent", STALE }, [9] = { "B", "2" },
      [70] = { "baggage", "x=1" } }
    local sent = send(headers, "a=1", nil)
    local found = {}
    for _, item in pairs(headers) do found[item[1]] = item[2] end
    assert.same({ A = "1", B = "2", traceparent = sent, tracestate = "a=1" }, found)
    assert.is_true(co.trace.extract(headers).valid)
  end)

  it("lose no entry at the border of a hole", function()
    local headers = { { "A", "1" }, nil, { "traceparent", STALE }, { "traceparent", STALE }, nil,
      { "B", "2" } }
    local sent = send(headers)
    local found = {}
    for _, item in pairs(headers) do found[#found + 1] = item[1] .. "=" .. item[2] end
    table.sort(found)
    assert.same({ "A=1", "B=2", "traceparent=" .. sent }, found)
  end)

  for shape, make in pairs {
    ["a proxy"] = proxy,
    ["a proxy of a proxy"] = function(headers) return proxy(proxy(headers)) end,
    ["a proxy that cannot be listed"] = silent_proxy,
  } do
    it("are set through " .. shape, function()
      local headers = { Traceparent = STALE, tracestate = "stale=1", host = "x" }
      local sent = send(make(headers), nil, "k=1")
      assert.same({ traceparent = sent, baggage = "k=1", host = "x" }, headers)
    end)

    it("are set through " .. shape .. " of a list", function()
      local headers = { { "A", "1" }, { "Traceparent", STALE }, { "tracestate", "stale=1" } }
      local sent = send(make(headers), nil, "k=1")
      assert.same({ { "A", "1" }, { "traceparent", sent }, { "baggage", "k=1" } }, headers)
    end)
  end

  it("are set where names are taken in any case", function()
    local headers = any_case { TraceParent = STALE, Tracestate = "stale=1" }
    local sent = send(headers, nil, "k=1")
    assert.same({ sent, "k=1" }, { headers.TRACEPARENT, headers.Baggage })
    assert.is_nil(headers.tracestate)
  end)

  it("are set in a list that is indexed by name", function()
    local headers = setmetatable({ { "A", "1" }, { "Traceparent", STALE }, { "tracestate", "stale=1" } },
      Named)
    local sent = send(headers, nil, "k=1")
    assert.same({ { "A", "1" }, { "traceparent", sent }, { "baggage", "k=1" } }, setmetatable(headers, nil))
  end)

  it("are set by the methods of a collection", function()
    local headers = collection { { name = "a", value = "1" }, { name = "Traceparent", value = STALE },
      { name = "traceparent", value = STALE }, { name = "tracestate", value = "stale=1" } }
    local sent = send(headers, nil, "k=1")
    assert.same({ { name = "a", value = "1" }, { name = "traceparent", value = sent },
      { name = "baggage", value = "k=1" } }, headers.entries)
    assert.is_nil(rawget(headers, "traceparent"))
  end)

  it("are set in an object that can only be written to", function()
    local set = {}
    local headers = setmetatable({}, { __newindex = function(_, name, value) set[name] = value end })
    local sent = send(headers, nil, "k=1")
    assert.same({ traceparent = sent, baggage = "k=1" }, set)
  end)

  it("are set in a userdata that can be written to, else that is an error", function()
    local file = assert(io.tmpfile())
    local metatable = debug.getmetatable(file)
    fails("bad argument #1 to 'inject' (table of headers, or an object with __newindex, or with upsert and "
      .. "delete expected, got " .. file_type .. ")", co.trace.inject, file)
    local set = {}
    local index = metatable.__index
    metatable.__index = function(_, name) return set[name] or index[name] end
    metatable.__newindex = function(_, name, value) set[name] = value end
    local ok, why = pcall(co.trace.inject, file)
    metatable.__index, metatable.__newindex = index, nil
    assert(ok, why)
    assert.is_true(co.trace.extract(set).valid)
  end)

  it("fail in headers that are read-only, with their message", function()
    local ok, why = pcall(co.trace.inject, read_only { host = "x" })
    assert.is_false(ok)
    helpers.assert_contains("these headers are read-only", why)
  end)

  it("fail in headers that forget what is set", function()
    local function lost(name)
      return "bad argument #1 to 'inject' (headers that can be set expected: '" .. name
        .. "' is not as it was set)"
    end
    local function forget() end
    fails(lost "traceparent", co.trace.inject, setmetatable({}, { __index = {}, __newindex = forget }))
    fails(lost "traceparent", co.trace.inject,
      setmetatable({}, { __pairs = function() return pairs { traceparent = STALE } end }))
    fails(lost "tracestate", co.trace.inject, setmetatable({}, { __index = { tracestate = "stale=1" } }))
  end)
end)

-- Every shape -----------------------------------------------------------------------------------------------

describe("ids", function()
  local function spelled(name)
    return (name:gsub("%a", function(letter) return math.random(2) == 1 and letter:upper() or letter end))
  end

  --- Headers of a shape, in any order, with others between them.
  local function made(shape, values)
    local names = shuffled { "traceparent", "tracestate", "baggage", "host", "accept", "x-1" }
    local headers = {}
    for i, name in ipairs(names) do
      local value = values[name] or "other"
      local form = shape == "mixed" and ({ "map", "pairs", "fields" })[math.random(3)] or shape
      if math.random(3) == 1 then value = { value } end
      if form == "map" then
        headers[spelled(name)] = value
      else
        local at = shape == "pairs" and math.random(2) == 1 and i * 3 or #headers + 1
        headers[at] = form == "pairs" and { spelled(name), value } or { name = spelled(name), value = value }
      end
    end
    return headers
  end

  local function random_hex(digits)
    local list = {}
    for i = 1, digits do list[i] = ("%x"):format(math.random(1, 15)) end
    return table.concat(list)
  end

  it("survive headers of any shape, in and out", function()
    for _ = 1, 300 do
      local trace_id, span_id = random_hex(32), random_hex(16)
      local flags = ("0%d"):format(math.random(0, 3))
      local values = {
        traceparent = ("00-%s-%s-%s"):format(trace_id, span_id, flags),
        tracestate = "v=" .. random_hex(8),
        baggage = "k=" .. random_hex(8),
      }
      local stale = { traceparent = STALE, tracestate = "stale=1", baggage = "stale=1" }
      for _, shape in ipairs { "map", "pairs", "fields", "mixed" } do
        for _, wrap in ipairs { function(headers) return headers end, proxy } do
          local incoming = wrap(made(shape, values))
          local outgoing = wrap(made(shape, stale))
          co.trace.continue(incoming, function()
            local here = co.trace.current()
            assert.same({ trace_id, span_id }, { here.trace_id, here.parent_span_id })
            co.trace.inject(outgoing)
          end)
          local sent = co.trace.extract(outgoing)
          assert.same({ true, trace_id, values.tracestate, values.baggage, flags },
            { sent.valid, sent.trace_id, sent.state, sent.baggage,
              ("0%d"):format((sent.sampled and 1 or 0) + (sent.random and 2 or 0)) })
        end
      end
    end
  end)
end)
