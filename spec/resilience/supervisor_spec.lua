-- Supervisors. The rules, and the examples of OTP's "Supervisor Behaviour", are those of Erlang/OTP.

local co = require "coropanic"
local helpers = require "spec.helpers"
local resilience = require "coropanic.resilience"

local function virtual(fn, seed)
  return co.run_with({ clock = "virtual", seed = seed, unhandled = function() end }, fn)
end

-- Children that note in `log` when they begin and end. `fns` are by id, in order.
local function make(log, strategy, list, given)
  local children = {}
  for i, one in ipairs(list) do
    children[i] = {
      id = one.id,
      restart = one.restart,
      shutdown = one.shutdown,
      fn = function()
        log[#log + 1] = "+" .. one.id
        co.defer(function() log[#log + 1] = "-" .. one.id end)
        return (one.fn or co.sleep)(math.huge)
      end,
    }
  end
  given = given or {}
  given.strategy, given.children = strategy, children
  if given.backoff == nil then given.backoff = false end
  return resilience.supervisor(given)
end

-- A function that fails at its first call, after a second, and then sleeps.
local function fails_once(how)
  local calls = 0
  return function()
    calls = calls + 1
    if calls > 1 then co.sleep(math.huge) end
    co.sleep(1)
    if how == "return" then return end
    if how == "goexit" then co.goexit() end
    if how == "cancel" then co.current():cancel() end
    if how == "cancel" then co.yield() end
    error("boom", 0)
  end
end

-- Runs the supervisor for so many seconds.
local function run_for(seconds, s)
  co.spawn(function()
    co.sleep(seconds)
    s:stop()
  end)
  return co.pcall(s.run, s)
end

local function text_of(log) return table.concat(log, " ") end

describe("a supervisor", function()
  local STRATEGIES = {
    one_for_one = "+a +b +c -b +b -c -b -a",
    one_for_all = "+a +b +c -b -c -a +a +b +c -c -b -a",
    rest_for_one = "+a +b +c -b -c +b +c -c -b -a",
  }
  for strategy, expected in pairs(STRATEGIES) do
    it("restarts as " .. strategy .. " says, starts in order and stops in reverse", function()
      for seed = 1, 10 do
        virtual(function()
          local log = {}
          local s = make(log, strategy, { { id = "a" }, { id = "b", fn = fails_once() }, { id = "c" } })
          assert.is_true((run_for(10, s)))
          assert.equal(expected, text_of(log))
        end, seed)
      end
    end)
  end

  -- How a child ends, and by its restart type whether it is restarted.
  local ENDS = {
    error = { permanent = true, transient = true, temporary = false },
    ["return"] = { permanent = true, transient = false, temporary = false },
    goexit = { permanent = true, transient = false, temporary = false },
    cancel = { permanent = true, transient = false, temporary = false },
  }
  for how, types in pairs(ENDS) do
    for restart, is_restarted in pairs(types) do
      local verb = is_restarted and "restarts" or "leaves"
      it(("%s a %s child that ends by %s"):format(verb, restart, how), function()
        virtual(function()
          local log = {}
          local list = { { id = "x", fn = fails_once(how), restart = restart }, { id = "y" } }
          local s = make(log, "one_for_one", list)
          run_for(10, s)
          assert.equal(is_restarted and "+x +y -x +x -y -x" or "+x +y -x -y", text_of(log))
          assert.equal(is_restarted and 1 or 0, s:stats().restarts)
        end)
      end)
    end
  end

  it("never restarts a temporary child, even if a sibling's end has ended it", function()
    virtual(function()
      local log = {}
      local list = { { id = "t", restart = "temporary" }, { id = "x", fn = fails_once() } }
      run_for(10, make(log, "one_for_all", list))
      assert.equal("+t +x -x -t +x -x", text_of(log))
    end)
  end)

  it("leaves the siblings of a temporary child alone", function()
    virtual(function()
      local log = {}
      local list = { { id = "a" }, { id = "t", restart = "temporary", fn = fails_once() }, { id = "b" } }
      run_for(10, make(log, "one_for_all", list))
      assert.equal("+a +t +b -t -b -a", text_of(log))
    end)
  end)

  it("starts a transient child that has ended well again with all others", function()
    virtual(function()
      local log = {}
      local list = {
        { id = "once", restart = "transient", fn = function() co.sleep(0.1) end },
        { id = "x", fn = fails_once() },
      }
      run_for(5, make(log, "one_for_all", list))
      assert.equal("+once +x -once -x +once +x -once -x", text_of(log))
    end)
  end)

  it("returns when all children have ended for good", function()
    virtual(function()
      local log = {}
      local list = { { id = "a", restart = "transient", fn = function() co.sleep(3) end } }
      make(log, "one_for_one", list):run()
      assert.same({ "+a -a", 3 }, { text_of(log), co.now() })
    end)
  end)

  it("waits until a child has begun before it starts the next", function()
    for seed = 1, 20 do
      virtual(function()
        local ready = false
        local s = resilience.supervisor {
          children = {
            { id = "a", fn = function()
              ready = true
              co.sleep(math.huge)
            end },
            { id = "b", fn = function()
              assert.is_true(ready)
              co.sleep(math.huge)
            end },
          },
        }
        assert.is_true((run_for(1, s)))
        assert.equal(0, s:stats().restarts)
      end, seed)
    end
  end)
end)

describe("a supervisor's intensity", function()
  -- OTP: "If more than MaxR number of restarts occur in the last MaxT seconds, the supervisor terminates all
  -- the child processes and then itself." A child that fails every `interval`.
  local function run_failing(interval, intensity, period)
    local s
    local ok, record
    local ended
    virtual(function()
      local given = { intensity = intensity, period = period, name = "s" }
      s = make({}, "one_for_one", {
        { id = "x", fn = function()
          co.sleep(interval)
          error("boom", 0)
        end },
        { id = "y" },
      }, given)
      ok, record = run_for(1000, s)
      ended = co.now()
      assert.equal(0, s:stats().running)
    end)
    return ok, record, s:stats().restarts, ended
  end

  it("is exceeded by one restart more than it", function()
    local CASES = {
      -- interval, intensity, period -> restarts, until
      { 1, 1, 5, 1, 2 }, -- the defaults of OTP: one restart in five seconds
      { 1, 0, 5, 0, 1 },
      { 1, 3, 5, 3, 4 },
      { 2, 2, 5, 2, 6 },
      { 5, 1, 5, 1, 10 }, -- a restart exactly a period ago counts
      { 1, 5, 5, 5, 6 },
    }
    for _, case in ipairs(CASES) do
      local ok, record, restarts, ended = run_failing(case[1], case[2], case[3])
      assert.is_false(ok)
      assert.equal("SUPERVISOR_INTENSITY", record.error_code)
      assert.same({ case[4], case[5] }, { restarts, ended })
    end
  end)

  it("is not exceeded by as many as it, however long", function()
    local CASES = {
      { 5.1, 1, 5 },
      { 3, 2, 5 },
      { 1.1, 5, 5 },
    }
    for _, case in ipairs(CASES) do
      local ok, _, restarts = run_failing(case[1], case[2], case[3])
      assert.is_true(ok)
      assert.equal(math.floor(1000 / case[1]), restarts)
    end
  end)

  it("names the supervisor, the child and its panic", function()
    local _, record = run_failing(1, 1, 5)
    local expected = 'supervisor "s" gives up: more than 1 restarts within 5 s, the last of child "x"'
    assert.equal(expected, record.message)
    assert.equal("x", record.value.child)
    assert.equal("boom", record.suppressed[1].value)
  end)

  it("counts one restart for all children that are restarted together", function()
    virtual(function()
      local s = make({}, "one_for_all", { { id = "a" }, { id = "b", fn = fails_once() }, { id = "c" } },
        { intensity = 1 })
      assert.is_true((run_for(10, s)))
      assert.equal(1, s:stats().restarts)
    end)
  end)

  it("makes a nested supervisor a child that has failed", function()
    virtual(function()
      local starts = 0
      local s = resilience.supervisor {
        intensity = 2, period = 100, backoff = false,
        children = {
          { id = "inner", fn = function()
            make({}, "one_for_one", { { id = "x", fn = function()
              starts = starts + 1
              co.sleep(1)
              error("boom", 0)
            end } }):run()
          end },
        },
      }
      local _, record = co.pcall(s.run, s)
      assert.equal("inner", record.value.child)
      assert.equal(6, starts) -- the inner one restarts its child once in each of its three lives
    end)
  end)
end)

describe("a supervisor's backoff", function()
  local function starts_of(backoff, lives)
    local starts = {}
    virtual(function()
      local s = resilience.supervisor {
        intensity = 1000, backoff = backoff,
        children = { { id = "x", fn = function()
          starts[#starts + 1] = co.now()
          co.sleep(lives and lives[#starts] or 1)
          error("boom", 0)
        end } },
      }
      run_for(60, s)
    end)
    return starts
  end

  it("grows up to its most", function()
    local starts = starts_of { min = 1, max = 8, factor = 2, jitter = 0 }
    local waits = {}
    for i = 2, 6 do waits[i - 1] = starts[i] - starts[i - 1] - 1 end
    assert.same({ 1, 2, 4, 8, 8 }, waits)
  end)

  it("begins anew after a long time up, which its waits are no part of", function()
    local lives = { 1, 1, 1, 4.9, 5, 1 }
    local starts = starts_of({ min = 1, max = 100, factor = 2, jitter = 0, reset = 5 }, lives)
    local waits = {}
    for i = 2, #starts do waits[i - 1] = math.floor(starts[i] - starts[i - 1] - (lives[i - 1] or 1) + 0.5) end
    assert.same({ 1, 2, 4, 8, 1, 2, 4, 8 }, { table.unpack(waits, 1, 8) })
  end)

  it("is spread by its jitter", function()
    for seed = 1, 50 do
      math.randomseed(seed)
      local starts = starts_of { min = 1, max = 1, jitter = 0.5 }
      for i = 2, #starts do
        local wait = starts[i] - starts[i - 1] - 1
        assert.is_true(wait >= 0.5 - 1e-9 and wait <= 1.5 + 1e-9)
      end
    end
  end)

  it("lets the others run and restart meanwhile", function()
    virtual(function()
      local log = {}
      local s = make(log, "one_for_one", {
        { id = "a", fn = fails_once() },
        { id = "b", fn = function() co.sleep(1.5) error("boom", 0) end, restart = "transient" },
      }, { intensity = 100, backoff = { min = 10, max = 10, jitter = 0 } })
      run_for(12, s)
      assert.equal("+a +b -a -b +a +b -b -a", text_of(log))
    end)
  end)

  it("ends when the supervisor stops", function()
    virtual(function()
      local backoff = { min = 100, max = 100 }
      local s = make({}, "one_for_one", { { id = "a", fn = fails_once() } }, { backoff = backoff })
      assert.is_true((run_for(5, s)))
      assert.equal(5, co.now())
      assert.equal("stopped", s:children()[1].status)
    end)
  end)
end)

describe("a supervisor that stops", function()
  it("leaves a child behind that does not end, and reports it by name", function()
    local reported = {}
    local function unhandled(record) reported[#reported + 1] = record.message end
    co.run_with({ clock = "virtual", unhandled = unhandled }, function()
      local s = resilience.supervisor {
        name = "s",
        children = {
          { id = "good", fn = function() co.sleep(math.huge) end },
          { id = "stuck", shutdown = 2, fn = function()
            co.defer(co.sleep, 1000)
            co.sleep(math.huge)
          end },
        },
      }
      run_for(1, s)
      assert.equal(3, co.now())
      assert.same({ "stopped", "left" }, { s:children()[1].status, s:children()[2].status })
      assert.equal(1, s:stats().left)
      co.sleep(1)
      local expected = 'child "stuck" of supervisor "s" has not ended within 2 s, and is left behind'
      assert.same({ expected }, reported)
    end)
  end)

  it("does so too when it restarts that child's siblings", function()
    virtual(function()
      local lives = 0
      local s = resilience.supervisor {
        strategy = "one_for_all", backoff = false,
        children = {
          { id = "stuck", shutdown = 2, fn = function()
            lives = lives + 1
            co.defer(co.sleep, lives == 1 and 1000 or 0)
            co.sleep(math.huge)
          end },
          { id = "x", fn = fails_once() },
        },
      }
      assert.is_true((run_for(10, s)))
      assert.same({ 2, 1 }, { lives, s:stats().left })
    end)
  end)

  it("stops its children when its task is cancelled", function()
    virtual(function()
      local log = {}
      local s = make(log, "one_for_one", { { id = "a" }, { id = "b" } })
      local task = co.spawn(s.run, s)
      co.sleep(1)
      task:cancel()
      task:join()
      assert.equal("+a +b -b -a", text_of(log))
      assert.equal(1, #co.tasks())
      run_for(1, s) -- and can run again
      assert.equal("+a +b -b -a +a +b -b -a", text_of(log))
    end)
  end)

  it("cancels with the source supervisor, and no scope of the caller waits for its children", function()
    virtual(function()
      local task
      co.scope(function()
        local s = make({}, "one_for_one", { { id = "a" } })
        co.spawn(s.run, s)
        co.sleep(1)
        task = s:children()[1].task
        assert.is_truthy(task.name:find("/a$"))
        s:stop()
      end)
      local _, record = task:join()
      assert.same({ "supervisor", "SUPERVISOR_STOP" }, { record.source, record.reason.code })
    end)
  end)
end)

describe("supervisor:call", function()
  it("runs the children while the function runs", function()
    virtual(function()
      local log = {}
      local s = make(log, "one_for_one", { { id = "a" }, { id = "b" } })
      assert.same({ 1, nil, n = 2 }, table.pack(s:call(function(...)
        log[#log + 1] = "body"
        co.sleep(1)
        return ...
      end, 1, nil)))
      assert.equal("+a +b body -b -a", text_of(log))
    end)
  end)

  it("cancels the function when the children end too often", function()
    virtual(function()
      local s = make({}, "one_for_one", { { id = "x", fn = function() error("boom", 0) end } })
      local _, record = co.pcall(s.call, s, co.sleep, 100)
      assert.equal("SUPERVISOR_INTENSITY", record.error_code)
      assert.equal(0, co.now())
    end)
  end)

  it("stops the children when the function panics", function()
    virtual(function()
      local log = {}
      local s = make(log, "one_for_one", { { id = "a" } })
      assert.is_false((co.pcall(s.call, s, error, "x")))
      assert.equal("+a -a", text_of(log))
      assert.is_true((run_for(1, s)))
    end)
  end)
end)

describe("no supervisor hangs or leaks", function()
  local random = math.random

  local function child()
    co.defer(function() co.sleep(random() * 0.2) end)
    co.sleep(random() * 2)
    local kind = random(4)
    if kind == 1 then error("x", 0) end
    if kind == 2 then co.goexit() end
    if kind == 3 then co.current():cancel() end
  end

  it("under 3,000 seeds", function()
    local STRATEGIES = { "one_for_one", "one_for_all", "rest_for_one" }
    local TYPES = { "permanent", "transient", "temporary" }
    for seed = 1, 3000 do
      math.randomseed(seed)
      virtual(function()
        local children = {}
        for i = 1, random(4) do
          children[i] = { id = "c" .. i, fn = child, restart = TYPES[random(3)], shutdown = random() }
        end
        local s = resilience.supervisor {
          strategy = STRATEGIES[random(3)], intensity = random(0, 4), period = 2,
          backoff = random(2) == 1 and { min = 0.1, max = 1 }, children = children,
        }
        local task = co.spawn(co.pcall, s.run, s)
        co.sleep(random() * 5)
        if random(2) == 1 then s:stop() else task:cancel() end
        task:join()
        assert.equal(0, s:stats().running)
        co.sleep(2)
        assert.equal(1, #co.tasks())
      end, seed)
    end
  end)
end)

describe("resilience.supervisor", function()
  it("refuses bad options", function()
    local one = { id = "a", fn = print }
    local CASES = {
      { {}, "option 'children': at least one child expected" },
      { { children = 1 }, "option 'children': table expected, got 1" },
      { { children = { one, one } }, "child 2: the id \"a\" is taken" },
      { { children = { { fn = print } } }, "child 1: option 'id': string expected, got nil" },
      { { children = { { id = "a" } } }, "child 1: option 'fn': function expected, got nil" },
      { { children = { { id = "a", fn = print, restart = "always" } } },
        "child 1: option 'restart': \"permanent\" or \"transient\" or \"temporary\" expected,"
          .. " got \"always\"" },
      { { children = { { id = "a", fn = print, stop = 1 } } }, "child 1: unknown option 'stop'" },
      { { children = { one }, strategy = "all" },
        "option 'strategy': \"one_for_one\" or \"one_for_all\" or \"rest_for_one\" expected, got \"all\"" },
      { { children = { one }, intensity = -1 }, "option 'intensity': integer from 0 expected, got -1" },
      { { children = { one }, backoff = { factor = 0 } },
        "option 'backoff': option 'factor': number from 1 expected, got 0" },
      { { children = { one }, backoff = { min = 2, max = 1 } },
        "option 'backoff': option 'max': at least 'min' expected" },
    }
    for _, case in ipairs(CASES) do
      local expected = "bad argument #1 to 'supervisor' (" .. case[2] .. ")"
      helpers.assert_error(expected, resilience.supervisor, case[1])
    end
  end)

  it("takes the id and the function by their places", function()
    virtual(function()
      local s = resilience.supervisor { children = { { "a", co.sleep, restart = "temporary" } } }
      assert.equal("a", s:children()[1].id)
      assert.equal("new", s:children()[1].status)
    end)
  end)

  it("runs once at a time", function()
    virtual(function()
      local s = make({}, "one_for_one", { { id = "a" } })
      co.spawn(s.run, s)
      co.yield()
      helpers.assert_error("calling 'run' on a supervisor that is running", function() s:run() end)
      s:stop()
    end)
  end)
end)
