--- A pool of workers: jobs wait in a queue of bounded length, so many workers take them, and each job has a
--- time-out. A job that panics or is too slow costs its answer, not its worker.

local co = require "coropanic"

---@class pool.options
---@field workers integer  # jobs at the same time
---@field queue integer  # jobs that wait; to submit one more waits
---@field timeout number  # seconds for each job

--- Runs `fn(submit)` with a pool, and returns when all submitted jobs have ended.
---@param options pool.options
---@param fn fun(submit: fun(job: function, ...): fun(): boolean, ...)
local function with_pool(options, fn)
  local jobs = co.chan(options.queue)

  local function work()
    for job in jobs:iter() do
      -- There is room for the answer, so the worker need not wait until somebody asks for it.
      job.answer:send(table.pack(co.pcall(co.with_timeout, options.timeout, table.unpack(job, 1, job.n))))
    end
  end

  --- Queues `job(...)`. Returns a function that waits for it: true and its results, or false and the record.
  local function submit(job, ...)
    local entry = table.pack(job, ...)
    entry.answer = co.chan(1)
    jobs:send(entry)
    return function()
      local answer = entry.answer:recv()
      local caught = answer[1] and 2 or 1 -- with_timeout has answered, or the job has panicked
      return table.unpack(answer, caught, answer.n)
    end
  end

  co.scope(function(scope)
    for i = 1, options.workers do
      scope:spawn_with({ name = "worker " .. i }, work)
    end
    co.defer(jobs.close, jobs) -- the workers end when the queue is empty
    fn(submit)
  end)
end

-- An example -----------------------------------------------------------------------------------------------

local busy, peak = 0, 0

local resize = co.func(function(name, seconds)
  co.defer(function() busy = busy - 1 end)
  busy = busy + 1
  peak = math.max(peak, busy)
  co.sleep(seconds) -- a program that resizes pictures
  if name:find "%.txt$" then
    error("not a picture", 0)
  end
  return name .. " is small now"
end)

-- With the virtual clock the example needs no time. A real program calls co.run.
co.run_with({ clock = "virtual" }, function()
  local names = { "cat.png", "dog.png", "notes.txt", "poster.png", "owl.png" }
  local seconds = { 1, 2, 1, 60, 3 }
  with_pool({ workers = 2, queue = 10, timeout = 5 }, function(submit)
    local answers = {}
    for i, name in ipairs(names) do
      answers[i] = submit(resize, name, seconds[i])
    end
    for i, name in ipairs(names) do
      local ok, result = answers[i]()
      print(ok and result or ("%s: %s: %s"):format(name, result.kind, result.message))
    end
  end)
  print(("at most %d at a time"):format(peak))
end)
