-- Generators of trace ids in the guest's core, in Lua and through the library, under a clock that the tests
-- move. spec/core/id_spec.c has the same cases for C.

local cores = require "guest.cores"

local NOW, HOUR = 1700000000123, 3600000
local TWITTER_EPOCH = 1288834974657

-- A function of the library that calls the clock back may not be compiled.
for _, core in ipairs(cores) do
  for _, fn in pairs(core.parts.ids or {}) do
    if type(fn) == "function" and core.name == "through the library" then require("jit").off(fn) end
  end
end

local random_file = assert(io.open("/dev/urandom", "rb"))

--- A generator, and its clock.
local function start(core, now_ms)
  local clock = { ms = now_ms, paused = 0 }
  function clock.now_ms() return clock.ms end
  function clock.pause(ms)
    clock.paused = clock.paused + ms
    if not clock.frozen then clock.ms = clock.ms + ms end
  end
  return core.new(function(count) return random_file:read(count) end, clock), clock
end

--- The left half of a snowflake of this millisecond since the epoch.
local function snowflake(ms, machine, sequence)
  return ("%08x%08x"):format(math.floor(ms / 1024), ms % 1024 * 2 ^ 22 + machine * 4096 + sequence)
end

local function left(id) return id and id:sub(1, 16) end

local function each(name, body) cores.each(it, "ids", name, body) end

describe("a generator", function()
  --- Moves the clock as nobody should: mostly a little on, or not at all; at times it is set back or forward,
  --- and right again.
  local function move(clock, right_ms, forward)
    local how = math.random(64)
    if how == 1 then
      clock.ms = right_ms - math.random(HOUR)
    elseif how == 2 then
      clock.ms = right_ms + math.random(forward)
    elseif how == 3 then
      clock.ms = right_ms
    else
      clock.ms = clock.ms + math.random(2) - 1
    end
  end

  local function check_order(ids, clock, forward)
    math.randomseed(7)
    local right_ms, last, made = clock.ms, "", 0
    for _ = 1, 20000 do
      right_ms = right_ms + math.random(2) - 1
      move(clock, right_ms, forward)
      local id, reason = ids:next()
      if id then
        assert.equal(32, #id)
        assert.is_true(last < id)
        last, made = id, made + 1
      else
        assert.equal("clock back", reason)
      end
    end
    assert.is_true(made > 2000)
  end

  each("keeps order whatever the clock does", function(core)
    local ids, clock = start(core, NOW)
    ids:use_uuid7()
    check_order(ids, clock, HOUR)
    ids, clock = start(core, NOW)
    ids:use_hlc(500)
    check_order(ids, clock, HOUR)
    for i, policy in ipairs { "wait", "borrow", "error" } do
      ids, clock = start(core, NOW)
      assert.is_nil(ids:use_snowflake(100 + i, 0, policy, 5000))
      check_order(ids, clock, 50)
      ids:give_back()
    end
  end)

  each("makes random ids and span ids at first", function(core)
    local ids, seen = start(core, NOW), {}
    assert.equal("random", ids.kind)
    for _ = 1, 1000 do
      local id, span_id = ids:next(), ids:span_id()
      assert.match("^[0-9a-f]+$", id .. span_id)
      assert.equal(48, #(id .. span_id))
      assert.is_nil(seen[id] or seen[span_id])
      seen[id], seen[span_id] = true, true
    end
  end)

  each("has 56 random bits at the right of each id", function(core)
    for _, use in ipairs { "use_random", "use_uuid7", "use_hlc" } do
      local ids, ones = start(core, NOW), {}
      ids[use](ids, 500)
      for _ = 1, 1024 do
        local id = ids:next()
        for i = 19, 32 do
          local digit = tonumber(id:sub(i, i), 16)
          for bit = 0, 3 do
            local place = 4 * i + bit
            ones[place] = (ones[place] or 0) + math.floor(digit / 2 ^ bit) % 2
          end
        end
      end
      -- 512 expected, 16 the standard deviation: nine of them are out of the question.
      for _, count in pairs(ones) do assert.is_true(count > 512 - 144 and count < 512 + 144) end
    end
  end)
end)

describe("uuid7", function()
  local function counter_of(id)
    return tonumber(id:sub(14, 16), 16) * 64 + tonumber(id:sub(17, 18), 16) % 64
  end

  each("has the fields of RFC 9562, and counts", function(core)
    local ids = start(core, 0x017F22E279B0) -- the example of its appendix A.6
    ids:use_uuid7()
    local first, second = ids:next(), ids:next()
    assert.equal("017f22e279b0", first:sub(1, 12))
    assert.equal("7", first:sub(13, 13))
    assert.equal(2, math.floor(tonumber(first:sub(17, 17), 16) / 4))
    assert.is_true(counter_of(first) < 2 ^ 17)
    assert.equal(counter_of(first) + 1, counter_of(second))
  end)

  each("goes on in the next millisecond if its counter is full", function(core)
    local ids = start(core, NOW)
    ids:use_uuid7()
    local id = ids:next()
    for _ = counter_of(id) + 1, 2 ^ 18 - 1 do id = ids:next() end
    assert.equal(2 ^ 18 - 1, counter_of(id))
    assert.equal(("%012x"):format(NOW), id:sub(1, 12))
    id = ids:next()
    assert.equal(("%012x"):format(NOW + 1), id:sub(1, 12))
    assert.is_true(counter_of(id) < 2 ^ 17)
  end)

  each("ends with its 48 bits", function(core)
    local ids, clock = start(core, 2 ^ 48 - 1)
    ids:use_uuid7()
    assert.equal("ffffffffffff", ids:next():sub(1, 12))
    clock.ms = clock.ms + 1
    assert.same({ nil, "clock out" }, { ids:next() })
  end)
end)

describe("snowflake", function()
  -- IdWorkerSpec of twitter/snowflake, snowflake-2010.
  each("is Twitter's", function(core)
    local ids, clock = start(core, TWITTER_EPOCH + 1)
    ids:use_snowflake(0, TWITTER_EPOCH, "error", 0)
    assert.equal(("%016x"):format(4194304), left(ids:next()))
    assert.equal(("%016x"):format(4194305), left(ids:next()))
    clock.ms = clock.ms - 1
    assert.same({ nil, "clock back" }, { ids:next() })
    clock.ms = clock.ms + 1
    assert.equal(("%016x"):format(4194306), left(ids:next()))
    ids:give_back()
    -- An id that Twitter gave out on 2022-06-28T16:07:40.105Z: 1541815603606036480.
    ids = start(core, TWITTER_EPOCH + 367597485448)
    ids:use_snowflake(378, TWITTER_EPOCH, "wait", 0)
    assert.equal("1565a11f6217a000", left(ids:next()))
    ids:give_back()
  end)

  local function fill(ids) for _ = 1, 4096 do assert(ids:next()) end end

  each("waits for the next millisecond, or borrows it, when one is full", function(core)
    for i, policy in ipairs { "wait", "error" } do
      local ids, clock = start(core, NOW)
      ids:use_snowflake(900 + i, 0, policy, 100)
      fill(ids)
      assert.equal(0, clock.paused)
      assert.equal(snowflake(NOW + 1, 900 + i, 0), left(ids:next()))
      assert.equal(1, clock.paused)
      clock.frozen = true
      for _ = 1, 4095 do ids:next() end
      assert.same({ nil, "clock back" }, { ids:next() })
      assert.equal(101, clock.paused)
      ids:give_back()
    end
    local ids, clock = start(core, NOW)
    ids:use_snowflake(905, 0, "borrow", 2)
    for _ = 1, 3 do fill(ids) end
    assert.same({ nil, "clock back" }, { ids:next() })
    clock.ms = clock.ms + 1
    assert.equal(snowflake(NOW + 3, 905, 0), left(ids:next()))
    assert.equal(0, clock.paused)
    ids:give_back()
  end)

  each("rides out a clock that is set back as its policy says", function(core)
    for i, row in ipairs {
      { "wait", 1, 1 }, { "wait", 5000, 5000 }, { "wait", 5001 }, { "wait", HOUR },
      { "borrow", 1, 0 }, { "borrow", 5000, 0 }, { "borrow", 5001 }, { "error", 1 }, { "error", HOUR },
    } do
      local policy, back_ms, paused_ms = row[1], row[2], row[3]
      local ids, clock = start(core, NOW)
      ids:use_snowflake(200 + i, 0, policy, 5000)
      assert.equal(snowflake(NOW, 200 + i, 0), left(ids:next()))
      clock.ms = clock.ms - back_ms
      if not paused_ms then
        assert.same({ nil, "clock back" }, { ids:next() })
        clock.ms = clock.ms + back_ms
      end
      assert.equal(snowflake(NOW, 200 + i, 1), left(ids:next())) -- nothing was lost meanwhile
      assert.equal(paused_ms or 0, clock.paused)
      ids:give_back()
    end
  end)

  each("has 69 years", function(core)
    local ids, clock = start(core, NOW - 1)
    ids:use_snowflake(903, NOW, "wait", 0)
    assert.same({ nil, "clock out" }, { ids:next() })
    clock.ms = NOW + 2 ^ 41 - 1
    assert.equal(snowflake(2 ^ 41 - 1, 903, 0), left(ids:next()))
    clock.ms = clock.ms + 1
    assert.same({ nil, "clock out" }, { ids:next() })
    ids:give_back()
  end)

  each("goes on behind its last id, here and elsewhere, and keeps its epoch", function(core)
    local ids, clock = start(core, NOW)
    ids:use_snowflake(904, 1000, "borrow", 100)
    assert.is_nil(ids:last_ms())
    ids:next()
    assert.equal(NOW, ids:last_ms())
    ids:use_random()
    ids:give_back()
    assert.equal("other epoch", ids:use_snowflake(904, 0, "borrow", 100))
    assert.equal("random", ids.kind)
    assert.is_nil(ids:use_snowflake(904, 1000, "borrow", 100))
    assert.equal(snowflake(NOW - 1000, 904, 1), left(ids:next()))
    ids:start_behind(NOW + 5)
    assert.equal(snowflake(NOW + 6 - 1000, 904, 0), left(ids:next()))
    ids:start_behind(NOW + 5)
    assert.equal(snowflake(NOW + 6 - 1000, 904, 1), left(ids:next()))
    ids:lease_to(NOW + 7)
    clock.ms = NOW + HOUR
    assert.same({ nil, "ahead of lease" }, { ids:next() })
    assert.equal(NOW + 6, ids:last_ms())
    ids:lease_to(NOW + HOUR)
    assert.equal(snowflake(NOW + HOUR - 1000, 904, 0), left(ids:next()))
    ids:give_back()
  end)
end)

describe("the hybrid logical clock", function()
  local function stamp(ms, logical) return ("%012x%04x"):format(ms, logical) end

  --- A clock that shows this time.
  local function showing(core, ms, logical)
    local ids, clock = start(core, ms)
    ids:use_hlc(1000)
    if logical == 0 then ids:hlc_tick() else ids:hlc_merge(stamp(ms, logical - 1)) end
    return ids, clock
  end

  -- The test of cockroach (2014): the time before, the machine's clock, what came in, the time after.
  each("is that of the paper", function(core)
    for _, row in ipairs {
      { 5, 0, 6, nil, 6, 0 }, { 6, 0, 10, stamp(10, 5), 10, 6 }, { 10, 6, 7, nil, 10, 7 },
      { 10, 7, 8, stamp(10, 4), 10, 8 }, { 10, 8, 9, stamp(1100, 888), 10, 9 },
      { 10, 8, 10, stamp(10, 99), 10, 100 }, { 10, 100, 11, stamp(10, 31), 11, 0 }, { 11, 0, 11, nil, 11, 1 },
    } do
      local ids, clock = showing(core, row[1], row[2])
      clock.ms = row[3]
      if row[4] then
        ids:hlc_merge(row[4])
        clock.ms = 0
        assert.equal(stamp(row[5], row[6] + 1), ids:hlc_tick())
      else
        assert.equal(stamp(row[5], row[6]), ids:hlc_tick())
      end
    end
  end)

  each("does not believe a clock that is too far ahead", function(core)
    local ids, clock = start(core, NOW)
    ids:use_hlc(500)
    assert.is_true(ids:hlc_merge(stamp(NOW + 500, 0xfffe)))
    assert.equal(stamp(NOW + 501, 0), ids:hlc_tick())
    clock.ms = NOW + HOUR
    assert.equal(stamp(NOW + HOUR, 0), ids:hlc_tick())
    assert.is_false(ids:hlc_merge(stamp(NOW + HOUR + 501, 0)))
    assert.is_false(ids:hlc_merge(stamp(NOW + HOUR + 500, 0xffff))) -- its next timestamp counts
    assert.equal(2, ids:rejected_clocks())
    assert.equal(stamp(NOW + HOUR, 3), ids:hlc_tick())
    clock.ms = NOW
    assert.is_true(ids:hlc_merge(stamp(NOW + HOUR, 3))) -- ours, which has come back
  end)

  each("carries a full logical part, until there is no room", function(core)
    local ids = start(core, 2 ^ 48 - 2)
    ids:use_hlc(500)
    ids:hlc_merge(stamp(2 ^ 48 - 2, 0xfffd))
    assert.equal("fffffffffffeffff", ids:hlc_tick())
    assert.equal("ffffffffffff0000", ids:hlc_tick())
    for _ = 1, 0xffff do ids:hlc_tick() end
    assert.same({ nil, "clock out" }, { ids:hlc_tick() })
    assert.same({ nil, "clock out" }, { ids:next() })
  end)

  it("shows the same through the library as in Lua", function()
    if not cores[2] or not cores[2].parts.ids then return end
    local a, a_clock = start(cores[1].parts.ids, NOW)
    local b, b_clock = start(cores[2].parts.ids, NOW)
    a:use_hlc(300)
    b:use_hlc(300)
    math.randomseed(3)
    for _ = 1, 20000 do
      local ms = a_clock.ms + math.random(7) - 3
      a_clock.ms, b_clock.ms = ms, ms
      local remote = stamp(ms + math.random(1000) - 600, math.random(4) == 1 and 0xffff or math.random(9))
      if math.random(2) == 1 then assert.equal(a:hlc_merge(remote), b:hlc_merge(remote)) end
      assert.equal(a:hlc_tick(), b:hlc_tick())
    end
    assert.equal(a:rejected_clocks(), b:rejected_clocks())
    assert.is_true(a:rejected_clocks() > 0)
  end)
end)
