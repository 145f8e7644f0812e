--- Tasks that never end by themselves, what they wait for, and how they are asked to end.

local co = require "coropanic"

local endless = {}

-- Bodies that never end by themselves. Each calls `tick` once a raise at most, and suspends by `wait`.
endless.LOOPS = {
  ["pcall"] = function(wait, tick)
    while true do
      tick()
      pcall(wait)
    end
  end,
  ["pcall around a function"] = function(wait, tick)
    while true do
      pcall(function()
        wait()
        tick()
      end)
      tick()
    end
  end,
  ["nested pcalls"] = function(wait, tick)
    while true do
      pcall(function()
        while true do
          pcall(wait)
          tick()
        end
      end)
    end
  end,
  ["xpcall with a handler that raises"] = function(wait, tick)
    while true do
      tick()
      xpcall(wait, function() error "no" end)
    end
  end,
  ["xpcall with a handler that suspends"] = function(wait, tick)
    while true do
      tick()
      xpcall(wait, function() pcall(co.sleep, 1) end)
    end
  end,
  ["pcall in a generator"] = function(wait, tick)
    local generator = co.coroutine.wrap(function()
      while true do
        tick()
        pcall(wait)
      end
    end)
    generator()
  end,
  ["pcall in a generator in a generator"] = function(wait, tick)
    co.coroutine.wrap(function()
      co.coroutine.wrap(function()
        while true do
          tick()
          pcall(wait)
        end
      end)()
    end)()
  end,
  ["pcall around a generator"] = function(wait, tick)
    local generator = co.coroutine.wrap(function()
      while true do wait() end
    end)
    while true do
      tick()
      pcall(generator)
    end
  end,
  ["resume of a generator"] = function(wait, tick)
    local generator = co.coroutine.create(function()
      while true do wait() end
    end)
    while true do
      tick()
      pcall(co.coroutine.resume, generator)
    end
  end,
  ["pcall in a frame"] = function(wait, tick)
    co.call(function()
      while true do
        tick()
        pcall(wait)
      end
    end)
  end,
  ["pcall around a frame"] = function(wait, tick)
    while true do
      tick()
      pcall(co.call, wait)
    end
  end,
  ["pcall in a scope"] = function(wait, tick)
    co.scope(function(s)
      s:spawn(co.sleep, 1e6)
      while true do
        tick()
        pcall(wait)
      end
    end)
  end,
  ["pcall in a supervising scope"] = function(wait, tick)
    co.supervise(function(s)
      s:spawn(co.sleep, 1e6)
      while true do
        tick()
        pcall(wait)
      end
    end)
  end,
  ["pcall under a time-out"] = function(wait, tick)
    co.with_timeout(1e6, function()
      co.spawn(co.sleep, 1e6)
      while true do
        tick()
        pcall(wait)
      end
    end)
  end,
  ["pcall around a scope"] = function(wait, tick)
    while true do
      tick()
      pcall(co.scope, function(s)
        s:spawn(co.sleep, 1e6)
        wait()
      end)
    end
  end,
  ["pcall after a goexit"] = function(wait, tick)
    pcall(wait)
    pcall(co.goexit)
    while true do
      tick()
      pcall(co.goexit)
    end
  end,
}

endless.WAITS = {
  recv = function()
    local ch = co.chan()
    return function() ch:recv() end
  end,
  send = function()
    local ch = co.chan()
    return function() ch:send(1) end
  end,
  select = function()
    local ch = co.chan()
    return function() co.select(1e6, ch) end
  end,
  sleep = function()
    return function() co.sleep(1e6) end
  end,
  yield = function()
    local waited = false
    return function()
      if not waited then
        waited = true -- virtual time does not pass while a task yields
        co.sleep(1e6)
      end
      co.yield()
    end
  end,
  join = function()
    local other = co.spawn_with({ daemon = true }, co.sleep, 1e6)
    return function() other:join() end
  end,
  await = function()
    return function() co.await(function() end) end
  end,
  lock = function()
    local mutex = co.mutex()
    co.spawn_with({ daemon = true }, function()
      mutex:lock()
      co.sleep(1e6)
    end)
    co.yield()
    return function() mutex:lock() end
  end,
  acquire = function()
    local semaphore = co.semaphore(1)
    semaphore:acquire()
    return function() semaphore:acquire() end
  end,
  waitgroup = function()
    local group = co.waitgroup()
    group:add(1)
    return function() group:wait() end
  end,
  event = function()
    local event = co.event()
    return function() event:wait() end
  end,
  condition = function()
    local mutex = co.mutex()
    local condition = co.condition(mutex)
    return function()
      if not mutex:locked() then mutex:lock() end
      condition:wait()
    end
  end,
}

endless.REQUESTS = {
  ["task:cancel"] = { ask = function(task) task:cancel "enough" end, kind = "cancelled" },
  ["its context"] = { ask = function(_, cancel) cancel "enough" end, kind = "cancelled" },
}

return endless
