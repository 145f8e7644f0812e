-- Random programs: co.leaks() finds the tasks that an independent model of reachability finds.
--
-- A program has channels, contexts and mutexes, and tasks that wait for some of them. Each task also has
-- references to channels, functions to cancel, and other tasks: in variables, in deferred calls or in a
-- coroutine. Some are in the hands of the test. The model is a fixed point over these facts alone.
local co = require "coropanic"

local PROGRAMS = 300

--- A generator of numbers that is the same everywhere (Park and Miller).
local function generator(seed)
  return function(n)
    seed = seed * 48271 % 2147483647
    return seed % n + 1
  end
end

local WAITS = { "receive", "send", "select", "done", "join", "lock", "sleep", "timed" }
local HOLDS = { "local", "defer", "coroutine", "table" }

--- A plan of a program, as plain data.
local function plan(random)
  local p = { tasks = {}, channels = 1 + random(6), contexts = random(3), mutexes = random(2), held = {} }
  local function thing()
    local kind = random(4)
    if kind <= 2 then return "channel" .. random(p.channels) end
    if kind == 3 then return "cancel" .. random(p.contexts) end
    return #p.tasks > 0 and "task" .. random(#p.tasks) or "channel" .. random(p.channels)
  end
  for i = 1, 2 + random(10) do
    local t = { wait = WAITS[random(#WAITS)], refs = {}, hold = HOLDS[random(#HOLDS)], on = {} }
    if t.wait == "join" and i == 1 then t.wait = "receive" end
    for j = 1, random(3) do
      t.on[j] = random(p.channels)
    end
    t.context, t.joined, t.mutex = random(p.contexts), i > 1 and random(i - 1) or nil, random(p.mutexes)
    if random(4) == 1 then t.under = random(p.contexts) end
    for j = 1, random(4) - 1 do
      t.refs[j] = thing()
    end
    p.tasks[i] = t
  end
  for i = 1, random(3) - 1 do
    p.held[i] = thing()
  end
  return p
end

--- The numbers of the tasks that wait for ever. Contexts are independent of each other.
local function model(p)
  local reached, live, owner = {}, {}, {}
  for _, name in ipairs(p.held) do
    reached[name] = true
  end
  for i, t in ipairs(p.tasks) do -- the first one to lock a mutex has it, and then waits on its channel
    if t.wait == "lock" and owner[t.mutex] == nil then owner[t.mutex] = i end
  end
  local function is_live(i, t)
    if reached["task" .. i] or t.wait == "sleep" or t.wait == "timed" then return true end
    if t.under ~= nil and reached["cancel" .. t.under] then return true end
    if t.wait == "done" then return reached["cancel" .. t.context] end
    if t.wait == "join" then return live[t.joined] end
    if t.wait == "lock" and owner[t.mutex] ~= i then
      return reached["mutex" .. t.mutex] or live[owner[t.mutex]]
    end
    for j = 1, t.wait == "select" and #t.on or 1 do
      if reached["channel" .. t.on[j]] then return true end
    end
    return false
  end
  local changed = true
  while changed do
    changed = false
    for i, t in ipairs(p.tasks) do
      if not live[i] and is_live(i, t) then
        live[i], changed = true, true
        reached["task" .. i] = true
        for _, name in ipairs(t.refs) do
          reached[name] = true
        end
        for j = 1, t.wait == "select" and #t.on or 1 do
          if t.wait ~= "done" and t.wait ~= "join" and (t.wait ~= "lock" or owner[t.mutex] == i) then
            reached["channel" .. t.on[j]] = true
          end
        end
        if t.wait == "join" then reached["task" .. t.joined] = true end
        if t.wait == "lock" then reached["mutex" .. t.mutex] = true end
      end
    end
  end
  local leaked = {}
  for i in ipairs(p.tasks) do
    if not live[i] then leaked[#leaked + 1] = i end
  end
  return leaked
end

local waits = {
  receive = function(w) w.on[1]:recv() end,
  send = function(w) w.on[1]:send({}) end,
  select = function(w) co.select(nil, table.unpack(w.on)) end,
  done = function(w) w.context:done():recv() end,
  join = function(w) w.joined:join() end,
  lock = function(w)
    w.mutex:lock()
    w.on[1]:recv()
  end,
  sleep = function(w)
    co.sleep(3600)
    return w
  end,
  timed = function(w) co.select(3600, w.on[1]) end,
}

local holds = {
  ["local"] = function(w, refs)
    waits[w.wait](w)
    return refs
  end,
  table = function(w, refs)
    local kept = { { refs } }
    waits[w.wait](w)
    return kept
  end,
  defer = function(w, refs)
    co.defer(function() return refs end)
    waits[w.wait](w)
  end,
  coroutine = function(w, refs)
    co.coroutine.wrap(function()
      waits[w.wait](w)
      return refs
    end)()
  end,
}

--- Only what the task's wait needs: it must not hold anything else.
local function needs(t, things)
  local w = { wait = t.wait, on = {} }
  if t.wait == "done" then
    w.context = things["context" .. t.context]
  elseif t.wait == "join" then
    w.joined = things["task" .. t.joined]
  else
    for j = 1, t.wait == "select" and #t.on or 1 do
      w.on[j] = things["channel" .. t.on[j]]
    end
    if t.wait == "lock" then w.mutex = things["mutex" .. t.mutex] end
  end
  return w
end

--- Builds the program, and returns what is held of it. A task that waits for a mutex has its channel too.
local function build(p)
  local things = {}
  for i = 1, p.channels do
    things["channel" .. i] = co.chan()
  end
  for i = 1, p.contexts do
    things["context" .. i], things["cancel" .. i] = co.context.with_cancel(co.context.background())
  end
  for i = 1, p.mutexes do
    things["mutex" .. i] = co.mutex()
  end
  local owned = {}
  for i, t in ipairs(p.tasks) do
    local refs, w = {}, needs(t, things)
    if t.wait == "lock" and owned[t.mutex] then w.on = {} end
    if t.wait == "lock" then owned[t.mutex] = true end
    for j, name in ipairs(t.refs) do
      refs[j] = things[name]
    end
    local options = { name = tostring(i), context = t.under and things["context" .. t.under] }
    things["task" .. i] = co.spawn_with(options, holds[t.hold], w, refs)
  end
  local held = {}
  for i, name in ipairs(p.held) do
    held[i] = things[name]
  end
  return held
end

--- Receivers and senders of one channel meet: then they do not wait, and the model does not know.
local function separate(p)
  local sends = {}
  for _, t in ipairs(p.tasks) do
    if t.wait == "send" then sends[t.on[1]] = true end
  end
  for _, t in ipairs(p.tasks) do
    if t.wait ~= "send" then
      for j, c in ipairs(t.on) do
        if sends[c] then
          p.channels = p.channels + 1
          t.on[j] = p.channels
        end
      end
    end
  end
end

local function numbers(tasks)
  local list = {}
  for i, t in ipairs(tasks) do
    list[i] = tonumber(t.name)
  end
  return list
end

describe("co.leaks in random programs", function()
  it("finds what the model finds, and after that nothing", function()
    local total = 0
    for seed = 1, PROGRAMS do
      local p = plan(generator(seed))
      separate(p)
      local expected, found, after = model(p), nil, nil
      co.run_with({ clock = "virtual", unhandled = function() end }, function()
        local held = build(p)
        for _ = 1, 5 do
          co.yield()
        end
        found = numbers(co.leaks { leaked = "cancel" })
        for _ = 1, 20 do
          co.yield()
        end
        after = numbers(co.leaks())
        for _, t in ipairs(co.tasks()) do
          if t.id ~= co.current().id then t:cancel() end
        end
        return held
      end)
      total = total + #found
      assert.same(expected, found, "seed " .. seed)
      assert.same({}, after, "seed " .. seed)
    end
    assert.is_true(total > PROGRAMS)
  end)
end)
