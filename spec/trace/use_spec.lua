-- The generators of trace ids, as scripts choose them. What a clock can do to them is tested in C
-- (spec/core/id_spec.c), where the clock is the test's.

local co = require "coropanic"
local helpers = require "spec.helpers"
local uv = require "luv"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

local function new_id()
  return co.run(function() return co.trace.current() end)
end

local function number(hex) return tonumber(hex, 16) end

--- The unix milliseconds with which a UUID, or an id of a hybrid logical clock, begins.
local function milliseconds(id) return number(id:sub(1, 12)) end

--- The parts of a snowflake: milliseconds since the epoch, machine. In halves: not every Lua has 64 bits.
local function parts(id)
  local high, low = number(id:sub(1, 8)), number(id:sub(9, 16))
  return high * 1024 + math.floor(low / 2 ^ 22), math.floor(low / 4096) % 1024
end

local function machine_of(id) return select(2, parts(id)) end

--- A timestamp of a hybrid logical clock, which is how an id begins.
local function stamp(ms, logical) return ("%012x%04x"):format(ms, logical or 0) end

local function now()
  local seconds, microseconds = uv.gettimeofday()
  return seconds * 1000 + math.floor(microseconds / 1000)
end

local function assert_in_order(ids)
  for i = 2, #ids do assert.is_true(ids[i - 1] < ids[i], ids[i - 1] .. " and " .. ids[i]) end
end

local function make(n)
  local ids = {}
  for i = 1, n do ids[i] = new_id().trace_id end
  return ids
end

describe("co.trace.use", function()
  after_each(function() co.trace.use "random" end)

  it("returns the name of the generator before", function()
    assert.equal("random", co.trace.use "uuid7")
    assert.equal("uuid7", co.trace.use("snowflake", { machine = 1 }))
    assert.equal("snowflake", co.trace.use "hlc")
    assert.equal("hlc", co.trace.use "random")
  end)

  it("makes ids that are valid, and random where level 2 of Trace Context says so", function()
    for _, generator in ipairs { "random", "uuid7", "snowflake", "hlc" } do
      co.trace.use(generator, generator == "snowflake" and { machine = 1 } or nil)
      local here = new_id()
      assert.matches("^" .. ("%x"):rep(32) .. "$", here.trace_id)
      assert.is_true(here.random, generator)
      assert.not_equal(("0"):rep(14), here.trace_id:sub(19))
      local headers = co.run(function() return co.trace.inject {} end)
      assert.matches("^00%-%x+%-%x+%-03$", headers.traceparent)
      assert.is_true(co.trace.extract(headers).valid)
    end
  end)

  it("makes ids that survive every form of headers", function()
    local function upper(headers)
      local other = {}
      for name, value in pairs(headers) do other[name:upper()] = value end
      return other
    end
    local function arrays(headers)
      local other = {}
      for name, value in pairs(headers) do other[name] = { value } end
      return other
    end
    local function pairs_of(headers)
      local other = {}
      for name, value in pairs(headers) do other[#other + 1] = { name, value } end
      return other
    end
    for _, generator in ipairs { "random", "uuid7", "snowflake", "hlc" } do
      co.trace.use(generator, generator == "snowflake" and { machine = 1 } or nil)
      for _, form in ipairs { upper, arrays, pairs_of } do
        co.run(function()
          local here = co.trace.current()
          local there = co.trace.extract(form(co.trace.inject {}))
          assert.is_true(there.valid)
          assert.equal(here.trace_id, there.trace_id)
          assert.equal(here.span_id, there.parent_span_id)
          assert.equal(here.random, there.random)
          local function id() return co.trace.current().trace_id end
          assert.equal(here.trace_id, co.trace.continue(there, id))
        end)
      end
    end
  end)

  it("makes ids in order", function()
    for _, generator in ipairs { "uuid7", "snowflake", "hlc" } do
      co.trace.use(generator, generator == "snowflake" and { machine = 1 } or nil)
      assert_in_order(make(5000))
    end
  end)

  it("goes on in order when a generator comes back", function()
    local ids = {}
    for i = 1, 20 do
      co.trace.use "uuid7"
      ids[i] = new_id().trace_id
      co.trace.use "random"
    end
    assert_in_order(ids)
    ids = {}
    for i = 1, 20 do
      co.trace.use("snowflake", { machine = 1 })
      ids[i] = new_id().trace_id
      co.trace.use "random"
    end
    assert_in_order(ids)
  end)

  co_it("does not touch traces that there are", seeded, function()
    local before = co.trace.current().trace_id
    co.trace.use "uuid7"
    assert.equal(before, co.trace.current().trace_id)
    assert.equal(before, co.spawn(function() return co.trace.current().trace_id end):await())
  end)

  it("also makes the ids that extract and detached_trace begin with", function()
    co.trace.use("snowflake", { machine = 77 })
    assert.equal(77, machine_of(co.trace.extract({}).trace_id))
    co.run(function()
      local t = co.spawn_with({ detached_trace = true }, function() return co.trace.current().trace_id end)
      assert.equal(77, machine_of(t:await()))
    end)
  end)

  describe("uuid7", function()
    it("makes UUIDs of version 7", function()
      co.trace.use "uuid7"
      local before = now()
      local id = new_id().trace_id
      assert.equal("7", id:sub(13, 13))
      assert.matches("[89ab]", id:sub(17, 17))
      assert.is_true(milliseconds(id) >= before and milliseconds(id) <= before + 60000)
    end)
  end)

  describe("snowflake", function()
    it("has milliseconds since the epoch, machine and sequence", function()
      local epoch = 1288834974657
      co.trace.use("snowflake", { machine = 378, epoch = epoch })
      local before = now()
      local ms, machine = parts(new_id().trace_id)
      assert.equal(378, machine)
      local made = ms + epoch
      assert.is_true(made >= before and made <= before + 60000)
    end)

    it("makes no ids before its epoch", function()
      co.trace.use("snowflake", { machine = 9, epoch = now() + 3600000 })
      local ok, why = pcall(co.run, function() end)
      assert.is_false(ok)
      assert.matches("no trace id: the clock is outside the time", tostring(why), 1, true)
    end)

    it("has one user for each machine id in a process", function()
      co.trace.use("snowflake", { machine = 3 })
      assert.equal("snowflake", co.trace.use("snowflake", { machine = 3, on_clock_back = "borrow" }))
    end)

    it("keeps the epoch of a machine id", function()
      co.trace.use("snowflake", { machine = 382, epoch = 1 })
      co.trace.use("snowflake", { machine = 382, epoch = 2 }) -- there are no ids yet
      local before = new_id().trace_id
      assert.has_error(function() co.trace.use("snowflake", { machine = 382, epoch = 3 }) end,
        "co.trace.use: option 'epoch': machine id 382 has made ids since another epoch in this process; "
        .. "with 3 they would not be in order")
      assert_in_order { before, new_id().trace_id }
    end)

    it("makes no ids when the lease was never held", function()
      co.trace.use("snowflake", { lease = function() return 502 end })
      assert.is_false((pcall(co.run, function() end)))
    end)

    co_it("may wait for the lease", seeded, function()
      co.trace.use("snowflake", {
        lease = function(hold)
          co.sleep(0.001)
          hold(math.huge)
          return 503
        end,
      })
      local t = co.spawn_with({ detached_trace = true }, function() return co.trace.current().trace_id end)
      assert.equal(503, machine_of(t:await()))
    end)

    it("keeps the generator when the lease fails", function()
      assert.has_error(function()
        co.trace.use("snowflake", { lease = function() error("no machine id is free", 0) end })
      end, "no machine id is free")
      assert.equal("random", co.trace.use "random")
    end)
  end)

  describe("hlc", function()
    local function member(headers) return (headers.tracestate or ""):match "^coropanic=hlc:(%x+)" end

    local function headers_with(timestamp, others)
      return {
        traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        tracestate = ("%scoropanic=hlc:%s"):format(others or "", timestamp),
      }
    end

    co_it("travels in our member of tracestate, in front", function()
      co.trace.use "hlc"
      co.trace.continue(headers_with(stamp(now()), "a=1,"), function()
        local headers = co.trace.inject {}
        assert.matches("^coropanic=hlc:%x+,a=1$", headers.tracestate)
      end)
    end)

    co_it("advances with each message that goes out", function()
      co.trace.use "hlc"
      local stamps = {}
      for i = 1, 1000 do stamps[i] = member(co.trace.inject {}) end
      assert_in_order(stamps)
    end)

    it("is behind no message that came in: an effect has a later id than its cause", function()
      co.trace.use "hlc"
      local ahead = stamp(now() + 400, 12)
      co.trace.extract(headers_with(ahead))
      assert.is_true(new_id().trace_id > ahead)
    end)

    it("does not believe an absurd clock", function()
      co.trace.use("hlc", { max_drift = 1 })
      co.trace.extract(headers_with(stamp(now() + 3600000)))
      co.trace.extract(headers_with(("f"):rep(16)))
      assert.is_true(milliseconds(new_id().trace_id) < now() + 60000)
    end)

    it("finds the clock where the tracestate is not carried, or not all of it", function()
      local long = {}
      for i = 1, 20 do long[i] = ("k%d=%s,"):format(i, ("x"):rep(40)) end
      local rows = {
        ["behind what is too long"] = { table.concat(long), "" },
        ["behind one of ours that is no clock"] = { "coropanic=x, ", "" },
        ["with a member that is not valid"] = { "", ",!!" },
        ["before an earlier one"] = { "", ",coropanic=hlc:0000000000000001" },
        ["behind an earlier one"] = { "coropanic=hlc:0000000000000001\t,\t", "" },
        ["behind one that is absurd"] = { "coropanic=hlc:ffffffffffffffff,", "" },
        ["before one that is absurd"] = { "", ",coropanic=hlc:ffffffffffffffff" },
      }
      co.trace.use("hlc", { max_drift = 60 })
      for what, row in pairs(rows) do
        local ahead = stamp(milliseconds(new_id().trace_id) + 1000) -- of our own clock
        local headers = headers_with(ahead, row[1])
        headers.tracestate = headers.tracestate .. row[2]
        co.trace.extract(headers)
        assert.is_true(new_id().trace_id > ahead, what)
        assert.is_true(milliseconds(new_id().trace_id) < now() + 60000, what)
      end
    end)

    it("finds it whatever the traceparent is", function()
      co.trace.use("hlc", { max_drift = 60 })
      local good = headers_with(stamp(0)).traceparent
      for _, traceparent in ipairs { "", "nonsense", "ff" .. good:sub(3), { good, good } } do
        local ahead = stamp(milliseconds(new_id().trace_id) + 1000)
        local headers = headers_with(ahead)
        headers.traceparent = traceparent
        local extracted = co.trace.extract(headers)
        assert.is_false(extracted.valid)
        assert.is_nil(extracted.state)
        assert.is_true(extracted.trace_id > ahead)
      end
    end)

    it("counts the clocks that it does not believe", function()
      co.trace.use "hlc"
      local before = co.stats().rejected_clocks
      co.trace.extract(headers_with(stamp(now() + 3600000)))
      co.trace.extract(headers_with(stamp(now())))
      assert.equal(before + 1, co.stats().rejected_clocks)
    end)

    it("believes as much drift as it was told to", function()
      -- A state of its own, whose clock stays ahead.
      local result = helpers.run_script [[
        local co = require "coropanic"
        co.trace.use("hlc", { max_drift = 3600 })
        local ahead = ("%012x0000"):format(os.time() * 1000 + 3000000)
        local id = co.trace.extract {
          traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
          tracestate = "coropanic=hlc:" .. ahead,
        } and co.trace.current().trace_id
        io.write(tostring(id > ahead))]]
      assert.equal("true", result.stdout)
    end)

    it("merges what co.trace.continue takes from headers", function()
      co.trace.use("hlc", { max_drift = 60 })
      local ahead = stamp(math.max(now(), milliseconds(new_id().trace_id)) + 5)
      local sent = co.trace.continue(headers_with(ahead), function() return co.trace.inject {} end)
      assert.is_true(member(sent) > ahead)
    end)

    it("takes no notice of a member that is no clock", function()
      co.trace.use "hlc"
      for _, value in ipairs { "hlc:12", "hlc:zzzzzzzzzzzzzzzz", "x", "hlc:" .. ("f"):rep(17) } do
        local headers = headers_with(stamp(0))
        headers.tracestate = "coropanic=" .. value
        assert.is_true(co.trace.extract(headers).valid)
      end
      assert.is_true(milliseconds(new_id().trace_id) < now() + 60000)
    end)

    co_it("leaves headers alone when another generator is used", function()
      local came_in = headers_with(stamp(now()))
      co.trace.continue(came_in, function()
        assert.equal(came_in.tracestate, co.trace.inject({}).tracestate)
      end)
      assert.is_nil(co.trace.inject({}).tracestate)
    end)
  end)

  it("says what is wrong with its arguments", function()
    local function fails(message, ...)
      local ok, why = pcall(co.trace.use, ...)
      assert.is_false(ok)
      assert.equal(message, why)
    end
    fails([[bad argument #1 to 'use' ("random", "uuid7", "snowflake" or "hlc" expected)]], "uuid4")
    for _, name in ipairs { "uuid7\0x", "uuid7\0", "", "uuid" } do
      fails([[bad argument #1 to 'use' ("random", "uuid7", "snowflake" or "hlc" expected)]], name)
    end
    fails([[bad argument #1 to 'use' (string expected, got nil)]], nil)
    fails([[bad argument #2 to 'use' (table expected, got number)]], "hlc", 5)
    fails([[bad argument #2 to 'use' (unknown option 'machine')]], "uuid7", { machine = 5 })
    fails([[bad argument #2 to 'use' (option 'max_drift': seconds from 0 expected, got -1)]], "hlc",
      { max_drift = -1 })
    fails("bad argument #2 to 'use' (for a snowflake either option 'machine' or option 'lease' expected)",
      "snowflake")
    fails("bad argument #2 to 'use' (for a snowflake either option 'machine' or option 'lease' expected)",
      "snowflake", { machine = 1, lease = function() end })
    fails("bad argument #2 to 'use' (option 'machine': integer from 0 to 1023 expected, got 1024)",
      "snowflake", { machine = 1024 })
    fails("bad argument #2 to 'use' (option 'on_clock_back': "
      .. [["wait", "borrow" or "error" expected, got stop)]],
      "snowflake", { machine = 1, on_clock_back = "stop" })
    fails("bad argument #2 to 'use' (option 'lease': function expected, got number)",
      "snowflake", { lease = 5 })
    fails("co.trace.use: option 'lease': the function returned nil, not a machine id, an integer from "
      .. "0 to 1023",
      "snowflake", { lease = function() end })
  end)
end)
