--- co.record's dump_on: what makes the recorder write a dump by itself, and how often.

local co = require "coropanic"
local reader = require "coropanic.record.reader"

local recorder, folder

--- Records a run of `fn` under the virtual clock. Its dumps are in `folder`.
local function run(dump_on, fn, options)
  options = options or {}
  options.dump_on = dump_on
  options.path = options.path or folder .. "/%n"
  recorder = co.record(options)
  co.pcall(co.run_with, { clock = "virtual", unhandled = function() end }, fn)
  return recorder:stats()
end

--- The kinds of the last events of a dump: two, or so many.
local function last_kinds(name, count)
  local kinds = {}
  for e in assert(reader.read(folder .. "/" .. name)):events() do kinds[#kinds + 1] = e.kind end
  return table.concat(kinds, " ", #kinds - (count or 2) + 1)
end

local function exists(name)
  local file = io.open(folder .. "/" .. name)
  if file then file:close() end
  return file ~= nil
end

local function panics() co.pcall(error, "x") end

--- Runs a script in a process of its own. Returns what it has written, and its exit status.
local function process(script)
  local path = folder .. "/script.lua"
  local file = assert(io.open(path, "w"))
  file:write(script):close()
  local pipe = io.popen(("%s %s 2>&1; s=$?; echo; echo $s"):format(os.getenv "LUA" or "lua5.4", path))
  local text, status = pipe:read "a":match "^(.*)\n(%d+)\n$"
  pipe:close()
  return text, tonumber(status)
end

before_each(function()
  folder = os.tmpname()
  os.remove(folder)
  assert(os.execute("mkdir " .. folder))
end)

after_each(function()
  if recorder then recorder:stop() end
  os.execute("rm -r " .. folder)
end)

describe("dump_on", function()
  it('"panic" dumps when any panic begins', function()
    local stats = run({ "panic" }, function()
      co.call(function()
        co.defer(function() co.recover() end)
        error "recovered"
      end)
    end)
    assert.same({ 1, 0, 0 }, { stats.dumps, stats.dump_errors, stats.dumps_skipped })
    assert.equal("start panic", last_kinds "1")
  end)

  it('"unhandled" dumps before the handler is called, and only then', function()
    assert.equal(0, run({ "unhandled" }, panics).dumps)
    local had
    recorder = co.record { dump_on = { "unhandled" }, path = folder .. "/%n" }
    co.run_with({ clock = "virtual", unhandled = function() had = exists "1" end }, function()
      co.spawn(error, "x", 0)
      co.sleep(1)
    end)
    assert.is_true(had)
    assert.equal("unhandled", last_kinds("1", 1))
  end)

  it('"deadlock" dumps when all tasks are asleep for ever, while they still wait', function()
    assert.equal(0, run({ "deadlock" }, panics).dumps)
    run({ "deadlock" }, function() co.chan():recv() end)
    assert.equal("panic", last_kinds("1", 1))
    local task = reader.read(folder .. "/1").tasks[1]
    assert.same({ "main", "waiting" }, { task.name, task.status })
  end)

  it('"deadlock" dumps when tasks wait for each other', function()
    run({ "deadlock" }, function()
      local first
      local second = co.spawn(function() first:join() end)
      first = co.spawn(function() second:join() end)
      co.pcall(first.join, first)
    end)
    assert.equal("panic", last_kinds("1", 1))
  end)

  it('"crash" dumps before an unhandled panic ends the process, whatever was dumped just before', function()
    local text, status = process(([[
      local co = require "coropanic"
      co.record { dump_on = { "panic", "crash" }, path = "%s/%%n" }
      co.run_with({ unhandled = "crash" }, function()
        co.spawn(error, "the end", 0)
        co.sleep(1)
      end)
    ]]):format(folder))
    assert.equal(2, status)
    assert.truthy(text:find("the end", 1, true))
    assert.equal("panic", last_kinds("1", 1))
    assert.equal("unhandled", last_kinds("2", 1))
  end)

  it('"crash" does not dump where panics are only reported', function()
    assert.equal(0, run({ "crash" }, function()
      co.spawn(error, "x", 0)
      co.sleep(1)
    end).dumps)
  end)

  it("{delay} dumps when a task that was ready so long begins to run", function()
    local function run_busy(delay)
      recorder = co.record { dump_on = { { delay = delay } }, path = folder .. "/%n", cooldown = 1000 }
      co.run(function()
        co.spawn_with({ name = "late" }, function() end)
        local began = os.clock()
        while os.clock() - began < 0.02 do end
        co.yield()
      end)
      return recorder:stats().dumps
    end
    assert.equal(0, run_busy(1000))
    assert.equal(1, run_busy(0.015))
    local last
    for e in reader.read(folder .. "/1"):events() do last = e end
    assert.equal("start", last.kind)
    assert.is_true(last.delay >= 15000000)
  end)

  it("is off without a list, and ends with the recorder", function()
    assert.is_nil(run(nil, panics).dumps)
    run({ "panic" }, function()
      recorder:stop()
      panics()
    end)
    assert.is_false(exists "1")
  end)
end)

describe("dumps", function()
  it("have the process id and their number in their names", function()
    local text = process(([[
      local co = require "coropanic"
      local r = co.record { dump_on = { "panic" }, path = "%s/%%p-%%n-%%%%", cooldown = 0 }
      co.run(function() co.pcall(error, "x") co.pcall(error, "x") end)
      io.write(io.open "/proc/self/stat":read "n", " ", r:stats().dumps)
    ]]):format(folder))
    local pid, count = text:match "^(%d+) (%d+)$"
    assert.equal("2", count)
    assert.is_true(exists(pid .. "-1-%") and exists(pid .. "-2-%"))
  end)

  it("are at most max_dumps, 8", function()
    local function storm()
      for _ = 1, 100 do panics() end
    end
    local stats = run({ "panic" }, storm, { cooldown = 0 })
    assert.same({ 8, 92 }, { stats.dumps, stats.dumps_skipped })
    assert.is_true(exists "8")
    assert.is_false(exists "9")
    assert.equal(3, run({ "panic" }, storm, { cooldown = 0, max_dumps = 3 }).dumps)
  end)

  it("are at least the cooldown apart, 10 s by the run's clock", function()
    local function storm()
      for _ = 1, 10 do
        panics()
        co.sleep(4)
      end
    end
    local stats = run({ "panic" }, storm) -- at 0, 12, 24 and 36 s
    assert.same({ 4, 6 }, { stats.dumps, stats.dumps_skipped })
    assert.equal(5, run({ "panic" }, storm, { cooldown = 8 }).dumps)
  end)

  it("that fail are counted, and told once on stderr, and the program goes on", function()
    for path, why in pairs {
      ["/dev/full"] = "No space left on device",
      ["/nowhere/at/all"] = "No such file or directory",
    } do
      local text, status = process(([[
        local co = require "coropanic"
        local r = co.record { dump_on = { "panic" }, path = "%s", cooldown = 0 }
        co.run(function() for _ = 1, 20 do co.pcall(error, "x") end end)
        print(r:stats().dumps, r:stats().dump_errors)
      ]]):format(path))
      assert.equal(0, status)
      local told = ("coropanic: the recorder can not write %s: %s"):format(path, why)
      assert.equal(told, text:sub(1, #told))
      assert.equal(2, select(2, text:gsub("\n", "\n"))) -- this line and the counts
      assert.truthy(text:find("0\t20\n", 1, true))
    end
  end)

  it("that fail keep the pause too", function()
    local text = process [[
      local co = require "coropanic"
      local r = co.record { dump_on = { "panic" }, path = "/dev/full" }
      co.run_with({ clock = "virtual" }, function() for _ = 1, 20 do co.pcall(error, "x") end end)
      print(r:stats().dump_errors, r:stats().dumps_skipped)
    ]]
    assert.truthy(text:find("1\t19\n", 1, true))
  end)

  it("with a path that grows too long are errors", function()
    local text = process(([[
      local co = require "coropanic"
      local r = co.record { dump_on = { "panic" }, path = %q }
      co.run(function() co.pcall(error, "x") end)
      print(r:stats().dump_errors)
    ]]):format(("x"):rep(1000)))
    assert.truthy(text:find("File name too long", 1, true))
    assert.truthy(text:find("1\n", 1, true))
  end)

  it("of many programs with panics can be read to their end", function()
    for seed = 1, 30 do
      recorder = co.record { dump_on = { "panic" }, path = folder .. "/%n", cooldown = 0, events = 128 }
      require("telemetry.programs").run(seed)
      for i = 1, recorder:stats().dumps do
        for _ in assert(reader.read(folder .. "/" .. i)):events() do end
      end
    end
    assert.is_true(exists "1")
  end)
end)
