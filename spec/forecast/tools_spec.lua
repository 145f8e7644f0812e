-- tools/forecast: what does not need XGBoost. tools/forecast/model holds what `make forecast` has exported.

local co = require "coropanic"

local FOLDER = "tools/forecast/"
local predict = dofile(FOLDER .. "predict.lua")
local programs = dofile(FOLDER .. "programs.lua")
local sampler = dofile(FOLDER .. "sampler.lua")

local function numbers_of(line)
  local numbers = {}
  for number in line:gmatch "[^,]+" do numbers[#numbers + 1] = tonumber(number) end
  return numbers
end

--- Returns the output of collect.lua, and its exit status.
local function collect(arguments)
  local command = (os.getenv "LUA" or "lua5.4") .. " " .. FOLDER .. "collect.lua " .. arguments .. " 2>&1"
  local pipe = assert(io.popen(command))
  local output = pipe:read "a"
  local _, _, status = pipe:close()
  return output, status
end

describe("the exported model", function()
  local trees = dofile(FOLDER .. "model/trees.lua")

  it("says of a run in Lua what XGBoost says", function()
    local window, rows = predict.window(), 0
    for line in io.lines(FOLDER .. "model/run.csv") do
      local sample = numbers_of(line)
      local expected = table.remove(sample)
      assert.near(expected, predict.probability(trees, window:push(sample)), 1e-6)
      rows = rows + 1
    end
    assert.equal(80, rows)
  end)

  it("compares in single precision: a value that rounds to a threshold is not below it", function()
    local single = string.unpack("f", string.pack("f", 0.1))
    local tree = { { 1, single, -1, 1 } }
    local function of(value) return predict.probability(tree, predict.window():push { value }) end
    assert.is_true(of(single) > 0.5)
    assert.is_true(of(single - 1e-12) > 0.5)
    assert.is_true(of(single - 1e-6) < 0.5)
  end)
end)

describe("a window", function()
  it("gives each figure, its change and its mean over 1 s and 5 s", function()
    local window = predict.window()
    local features
    for i = 1, 60 do features = window:push { i, 2 * i } end
    assert.same({ 60, 120, 10, 20, 55.5, 111, 50, 100, 35.5, 71 }, features)
  end)

  it("takes it that before the first sample all was as in it", function()
    local window = predict.window()
    window:push { 4 }
    assert.same({ 14, 10, 5, 10, single = nil }, { table.unpack(window:push { 14 }, 1, 4) })
  end)
end)

describe("the sampler", function()
  it("takes its figures from the runtime's counters", function()
    co.run_with({ clock = "virtual" }, function()
      local pool, queues, lock = co.semaphore(1), { co.chan(2), co.chan(2) }, co.mutex()
      local sampling = sampler.new(pool, 1, queues)
      local supplier = co.event()
      for _ = 1, 3 do co.spawn(function() local _ <close> = pool:guard() supplier:wait(0.04) end) end
      for _ = 1, 2 do co.spawn(function() local _ <close> = lock:guard() supplier:wait(0.08) end) end
      queues[2]:send(1)
      co.sleep(0.1)
      local figures = {}
      for i, value in ipairs(sampling:sample()) do figures[sampler.names[i]] = value end
      local expected = { live = 3, cancelled = 0, ended = 3, spawned = 5, lock_queue = 0, lock_time = 0.08,
        pool_taken = 1, pool_queue = 0, queue_1 = 0, queue_2 = 1, round_trip = 0.16 / 3 }
      for name, value in pairs(expected) do assert.near(value, figures[name], 1e-9, name) end
      assert.equal(0, figures.idle)
      assert.near(0.019, figures.round_trip_sd, 0.01)
      co.sleep(0.1)
      sampling:sample()
      co.sleep(0.5)
      assert.near(0.5, table.remove(sampling:sample()), 1e-9)
      sampling:stop()
    end)
  end)
end)

describe("collecting", function()
  it("writes the same lines for the same seed, with the times of deadlock and warning", function()
    local first, status = collect "channels 4 4"
    assert.equal(0, status)
    local header = "kind,seed,deadlock,order,forecast,time," .. table.concat(sampler.names, ",")
    assert.equal(header, first:match "^[^\n]*")
    local line = "\nchannels,4,([^,]*),([^,]*),([^,]*),([^,]*),"
    local deadlock, _, forecast = first:match(line)
    assert.is_true(tonumber(forecast) < tonumber(deadlock))
    local last
    for _, _, _, time in first:gmatch(line) do last = tonumber(time) end
    assert.is_true(tonumber(deadlock) < last and last < 70)
    assert.equal(first, (collect "channels 4 4"))
  end)

  it("finds no deadlock, and no reason for a warning, in kinds without a fault", function()
    for kind, is_faulty in pairs(programs.kinds) do
      local head = "\n" .. kind .. ",1,-1,-1,-1,0.1,"
      if not is_faulty then assert.truthy(collect(kind .. " 1 1"):find(head, 1, true)) end
    end
  end)

  it("refuses a kind that it does not know", function()
    local output, status = collect "nothing 1 1"
    assert.equal(2, status)
    assert.equal("collect: KIND FIRST_SEED LAST_SEED expected\n", output)
  end)
end)
