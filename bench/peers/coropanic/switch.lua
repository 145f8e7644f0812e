-- Tasks that give way to each other.

local co = require "coropanic"
local measure = require "peers.measure"

local workloads = {}

-- The main task is one of the n: between two of its turns each of the others has one. They take turns in the
-- order in which they have left `enter`, which each calls. `open` lets them leave, if they wait.
local function switch(n, enter, open)
  local rounds = measure.rounds(n)
  local yield = co.yield
  local count = 0
  local result = co.run(function()
    local function task()
      enter()
      yield()
      for _ = 1, rounds do yield() end
      count = count + 1
    end
    for _ = 1, n - 1 do co.spawn(task) end
    open()
    yield()
    local watch = measure.watch()
    watch.start()
    for _ = 1, rounds do yield() end
    watch.stop()
    return watch.result(n * rounds)
  end)
  measure.expect("tasks that came through", count, n - 1)
  return result
end

local function nothing() end

workloads["switch"] = function(n) return switch(n, nothing, nothing) end

-- As timers and sockets wake tasks: in an order that has nothing to do with where they lie in memory.
workloads["switch/random"] = function(n)
  local resumes = {}
  local function wait(resume) resumes[#resumes + 1] = resume end
  local function enter() co.await(wait) end
  local function open()
    co.yield() -- all of them wait
    for _, resume in ipairs(measure.shuffle(resumes)) do resume() end
    resumes = nil
  end
  return switch(n, enter, open)
end

return workloads
