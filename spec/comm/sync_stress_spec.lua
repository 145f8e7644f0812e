--- Every primitive under two thousand random schedules with cancellations and time-outs: what must hold
--- always.

local co = require "coropanic"
local helpers = require "spec.helpers"

local SEEDS = helpers.seeds(2000)

--- Runs `body(random)` under each seed. `random(n)` is from 1 to n; `random()` is a time below 1, one of a
--- few, so that much happens at the same time.
local function each_seed(body)
  for seed = 1, SEEDS do
    local number = helpers.random(seed)
    local function random(n) return n and number(n) or (number(8) - 1) / 8 end
    co.run_with({ seed = seed, clock = "virtual", unhandled = error }, body, random)
  end
end

--- Spawns `count` tasks `fn(i)`, cancels some of them at random times, waits for all. Raises their panics.
local function spawn_and_disturb(random, count, fn)
  local tasks = {}
  for i = 1, count do
    tasks[i] = co.spawn(fn, i)
  end
  for _ = 1, 3 do
    co.sleep(random())
    tasks[random(count)]:cancel()
  end
  for _, task in ipairs(tasks) do
    if not task:join() and task:status() ~= "cancelled" then
      task:await()
    end
  end
end

--- A time-out, often none.
local function patience(random)
  return random(2) == 1 and random() or nil
end

--- Stays inside what was locked for a moment; `enter` and `leave` keep count.
local function stay(random, enter, leave)
  enter()
  co.defer(leave)
  if random(3) == 1 then
    co.yield()
  else
    co.sleep(random())
  end
end

local function count_inside()
  local counts = { now = 0, most = 0 }
  return counts, function(n)
    counts.now = counts.now + n
    counts.most = math.max(counts.most, counts.now)
  end
end

describe("whatever the schedule,", function()
  it("a mutex has one owner, and nobody who waits is forgotten", function()
    each_seed(function(random)
      local m = co.mutex()
      local inside, change = count_inside()
      spawn_and_disturb(random, 6, co.func(function()
        if m:lock(patience(random)) then
          stay(random, function() change(1) end, function()
            change(-1)
            m:unlock()
          end)
        end
      end))
      assert(inside.most == 1 and inside.now == 0 and not m:locked() and m:lock(0))
      m:unlock()
    end)
  end)

  it("an rwmutex has readers or one writer", function()
    each_seed(function(random)
      local rw = co.rwmutex()
      local readers, change_readers = count_inside()
      local writers, change_writers = count_inside()
      -- While main reads, writers give up one after the other, and who waits behind them must get in.
      local main_reads = random(2) == 1 and rw:rlock()
      spawn_and_disturb(random, 7, co.func(function(i)
        if i % 3 == 0 then
          if rw:lock(main_reads and random() or patience(random)) then
            assert(readers.now == 0)
            stay(random, function() change_writers(1) end, function()
              change_writers(-1)
              rw:unlock()
            end)
          end
        elseif rw:rlock(patience(random)) then
          assert(writers.now == 0)
          stay(random, function() change_readers(1) end, function()
            change_readers(-1)
            rw:runlock()
          end)
        end
      end))
      if main_reads then
        assert(writers.most == 0)
        rw:runlock()
      end
      assert(writers.most <= 1 and tostring(rw) == "rwmutex (unlocked)")
    end)
  end)

  it("a condition's signals reach those who wait on, each of whom has the mutex", function()
    each_seed(function(random)
      local m = co.mutex()
      local c = co.condition(m)
      local tokens, inside, asleep = 0, 0, false
      -- Looks between the times at which the others do something.
      co.spawn_with({ daemon = true }, function()
        co.sleep(1 / 16)
        while true do
          asleep = asleep or (tokens > 0 and not m:locked() and not tostring(c):find "%(0 waiting%)")
          co.sleep(1 / 8)
        end
      end)
      local signals = co.spawn(function()
        for _ = 1, 6 do
          co.sleep(random())
          local holds = random(2) == 1 and m:lock()
          tokens = tokens + 1
          if random(4) == 1 then c:broadcast() else c:signal() end
          co.sleep(random())
          if holds then m:unlock() end
        end
      end)
      spawn_and_disturb(random, 6, function()
        m:lock()
        co.defer(function()
          assert(m:owner() == co.current() and inside == 0)
          m:unlock()
        end)
        while tokens == 0 do
          if not c:wait(patience(random)) and random(2) == 1 then return end
        end
        inside = inside + 1
        tokens = tokens - 1
        co.defer(function() inside = inside - 1 end)
        co.sleep(random())
      end)
      signals:join()
      assert(inside == 0 and not m:locked() and not asleep)
      assert(tostring(c) == "condition (0 waiting) of mutex (unlocked)")
    end)
  end)

  it("a semaphore never gives more permits than it has, and gets them all back", function()
    each_seed(function(random)
      local s = co.semaphore(4)
      local taken, change = count_inside()
      -- While main has one, those who want all give up, and who waits behind them must be served.
      local main_has = random(2) == 1 and s:acquire() and 1 or 0
      spawn_and_disturb(random, 7, co.func(function()
        local n = random(4)
        if s:acquire(n, n + main_has > 4 and random() or patience(random)) then
          stay(random, function() change(n) end, function()
            change(-n)
            s:release(n)
          end)
        end
      end))
      assert(taken.most <= 4 - main_has and taken.now == 0 and s:available() == 4 - main_has)
    end)
  end)

  it("a waitgroup wakes nobody before all have ended, and everybody then", function()
    each_seed(function(random)
      local wg, ended = co.waitgroup(), 0
      local workers = {}
      for i = 1, 4 do
        workers[i] = wg:spawn(function()
          co.sleep(random())
        end)
        co.spawn(function()
          workers[i]:join()
          ended = ended + 1
        end)
      end
      spawn_and_disturb(random, 4, function()
        workers[random(4)]:cancel()
        if wg:wait(patience(random)) then
          for i = 1, 4 do
            local status = workers[i]:status()
            assert(status == "done" or status == "cancelled")
          end
        end
      end)
      assert(wg:wait())
      co.sleep(0)
      assert(ended == 4)
    end)
  end)

  it("a once runs its function to the end once, and lets everybody go on", function()
    each_seed(function(random)
      local running, returned = 0, 0
      local o = co.once(co.func(function()
        running = running + 1
        assert(running == 1)
        co.defer(function() running = running - 1 end)
        co.sleep(random())
        returned = returned + 1
        return "result"
      end))
      spawn_and_disturb(random, 5, function()
        co.sleep(random() / 2)
        assert(o() == "result" and o:done())
      end)
      assert(o() == "result")
      assert(returned == 1)
    end)
  end)

  it("an event wakes everybody, and nobody before it is set", function()
    each_seed(function(random)
      local e, set = co.event(), false
      co.spawn(function()
        co.sleep(random() * 2)
        set = true
        e:set()
      end)
      spawn_and_disturb(random, 5, function()
        local seen = e:wait(patience(random))
        assert(set or not seen)
      end)
      assert(e:wait())
    end)
  end)
end)
