--- After the kernels of GoKer (Yuan et al., "GoBench: a benchmark suite of real-world Go concurrency
--- bugs", CGO 2021) in which goroutines block for ever: the project and issue, the fault alone, and the
--- names of the tasks that are leaked.

local co = require "coropanic"

local function go(name, fn, ...)
  return co.spawn_with({ name = name }, fn, ...)
end

local kernels = {}
local function kernel(name, leaked, run)
  kernels[#kernels + 1] = { name = name, leaked = leaked, run = run }
end

kernel("cockroach#13197: the context of a transaction is never cancelled", { "await done" }, function()
  local ctx = co.context.with_cancel(co.context.background())
  go("await done", function() ctx:done():recv() end)
end)

kernel("cockroach#13755: rows wait for a context that its maker forgets", { "await done" }, function()
  local ctx, cancel = co.context.with_cancel(co.context.background())
  go("await done", function()
    co.select(nil, ctx:done(), co.chan())
  end)
  go("closer", function(closes)
    if closes then cancel() end
  end, false)
end)

kernel("cockroach#24808: a compactor sends to itself before its reader begins", { "start" }, function()
  local suggestions = co.chan(1)
  go("start", function()
    suggestions:send(1)
    suggestions:send(2)
    go("reader", function() suggestions:recv() end)
  end)
end)

kernel("cockroach#25456: the queue's wait for a consistency check ends only with the stopper",
  { "check" }, function()
  local stopper = co.chan()
  local checked = co.chan()
  go("check", function() co.select(nil, checked, stopper) end)
end)

kernel("cockroach#35073: a row channel is full, and its consumer has failed", { "producer" }, function()
  local rows = co.chan(1)
  go("producer", function()
    for i = 1, 3 do rows:send(i) end
  end)
  go("consumer", function() rows:recv() end)
end)

kernel("cockroach#35931: an inbound stream pushes to a processor that has drained",
  { "push", "main flow" }, function()
  local chan, done = co.chan(), co.waitgroup()
  go("main flow", function()
    done:add(1)
    go("push", function()
      co.defer(done.done, done)
      chan:send("row")
    end)
    done:wait()
  end)
end)

kernel("etcd#6857: Status sends while run has left for stop", { "status" }, function()
  local status, stop, done = co.chan(), co.chan(), co.chan()
  go("run", function()
    co.select(nil, stop)
    done:close()
  end)
  stop:close()
  co.yield()
  co.yield()
  go("status", function() status:send(co.chan()) end)
end)

kernel("etcd#6873: a watch broadcast holds the lock that its updates need",
  { "broadcast", "loop" }, function()
  local mutex, updates, done = co.mutex(), co.chan(), co.chan()
  go("broadcast", function()
    mutex:lock()
    co.defer(mutex.unlock, mutex)
    done:recv()
  end)
  go("loop", function()
    for _ in updates:iter() do end
    mutex:lock()
    done:close()
  end)
  co.yield()
  updates:close()
end)

kernel("etcd#7492: the keeper of tokens sends under the lock that the adders want",
  { "assign", "add", "keeper" },
  function()
    local mutex, add, deleted = co.mutex(), co.chan(1), co.chan()
    go("keeper", function()
      while true do
        local index, token = co.select(nil, add, deleted)
        if index == 0 then return token end
        mutex:lock()
        mutex:unlock()
      end
    end)
    local function assign()
      mutex:lock()
      co.defer(mutex.unlock, mutex)
      add:send(1)
      add:send(2)
      add:send(3)
    end
    go("assign", assign)
    go("add", assign)
  end)

kernel("grpc#660: a benchmark's client sends to a channel whose reader has returned", { "client", "client" },
  function()
    local stop, results = co.chan(), co.chan()
    for _ = 1, 2 do
      go("client", function()
        while true do
          if co.select(0, stop) ~= 0 then return end
          results:send(1)
        end
      end)
    end
    go("reader", function() results:recv() end)
  end)

kernel("grpc#862: a dial's context has a cancel that nobody calls", { "reset" }, function()
  local ctx = co.context.with_cancel(co.context.background())
  local conn = co.with(ctx, function()
    return go("reset", function() co.chan():recv() end)
  end)
  assert(conn)
end)

kernel("grpc#1275: a stream's reader waits for bytes after its transport is closed", { "reader" }, function()
  local received = co.chan()
  go("reader", function()
    local done = co.chan()
    co.select(nil, received, done)
  end)
end)

kernel("grpc#1424: the balancer's channel is never closed for the one who ranges over it",
  { "do_list" }, function()
  local notify = co.chan()
  go("do_list", function()
    for _ in notify:iter() do end
  end)
  notify:send(1)
end)

kernel("istio#16224: the handler sends under a lock that the store wants", { "event", "store" }, function()
  local mutex, events = co.mutex(), co.chan()
  go("event", function()
    mutex:lock()
    co.defer(mutex.unlock, mutex)
    events:send("update")
  end)
  go("store", function()
    mutex:lock()
    co.defer(mutex.unlock, mutex)
    events:recv()
  end)
end)

kernel("kubernetes#1321: the distributor sends a result under the lock with which its watcher stops",
  { "distribute", "stop" }, function()
    local lock, result = co.mutex(), co.chan()
    go("distribute", function()
      lock:lock()
      co.defer(lock.unlock, lock)
      result:send("event")
    end)
    go("stop", function()
      lock:lock()
      result:close()
    end)
  end)

kernel("kubernetes#5316: a request has timed out before its handler sends the result",
  { "handler" }, function()
  local result = co.chan()
  go("handler", function() result:send("ok") end)
  if co.select(0) == 0 then return end
  result:recv()
end)

kernel("kubernetes#6632: a monitor waits for the lock of the writer that waits for it",
  { "monitor", "write" },
  function()
    local lock, reset, closed = co.mutex(), co.chan(), co.chan()
    go("write", function()
      lock:lock()
      co.defer(lock.unlock, lock)
      reset:send(0)
    end)
    go("monitor", function()
      co.select(0, closed)
      lock:lock()
      reset:recv()
    end)
  end)

kernel("kubernetes#10182: a sync loop reads under the lock that those who write take first",
  { "sync", "set" },
  function()
    local lock, statuses = co.rwmutex(), co.chan()
    go("sync", function()
      statuses:recv()
      lock:lock()
      lock:unlock()
      statuses:recv()
    end)
    go("set", function()
      lock:lock()
      co.defer(lock.unlock, lock)
      statuses:send(1)
      co.chan():recv()
    end)
  end)

kernel("kubernetes#25331: a watch's results have no reader when it is stopped", { "process" }, function()
  local ctx, cancel = co.context.with_cancel(co.context.background())
  local results, errors = co.chan(), co.chan(1)
  go("process", function()
    results:send("event")
    co.select(nil, errors, ctx:done())
  end)
  cancel()
end)

kernel("kubernetes#38669: the cache's reader is gone, and its events stay", { "cacher" }, function()
  local ready = co.event()
  go("cacher", function() ready:wait() end)
end)

kernel("kubernetes#70277: a poller's ticker is asked for after the poll has timed out",
  { "ticker" }, function()
  local ticks, after = co.chan(), co.chan()
  go("ticker", function()
    co.defer(ticks.close, ticks)
    for i = 1, 3 do
      if co.select(nil, { ticks, i }, after) == 2 then return end
    end
  end)
  ticks:recv()
end)

kernel("moby#4395: the result of a command is sent to a function that has returned", { "go" }, function()
  local function start()
    local ch = co.chan()
    go("go", function() ch:send("error") end)
    return ch
  end
  start()
end)

kernel("moby#28462: a probe is stopped under the lock that its monitor wants",
  { "monitor", "stop" }, function()
  local container, stop = co.mutex(), co.chan()
  go("stop", function()
    container:lock()
    co.defer(container.unlock, container)
    stop:send(true)
  end)
  go("monitor", function()
    container:lock()
    container:unlock()
    stop:recv()
  end)
end)

kernel("moby#30408: a condition is waited for after its only signal", { "wait" }, function()
  local lock = co.mutex()
  local active = co.condition(lock)
  active:signal()
  go("wait", function()
    lock:lock()
    co.defer(lock.unlock, lock)
    active:wait()
  end)
end)

kernel("moby#33781: a health check's results have no reader after its time-out", { "probe" }, function()
  local stop, results = co.chan(1), co.chan()
  go("monitor", function()
    local index = co.select(0, stop, results)
    assert(index == 0)
  end)
  go("probe", function() results:send("healthy") end)
end)

kernel("serving#2137: a breaker's requests wait for permits of requests that wait for them",
  { "first", "second" },
  function()
    local permits = co.semaphore(1)
    local accepted = co.chan()
    go("first", function()
      permits:acquire()
      accepted:recv()
      permits:release()
    end)
    go("second", function()
      permits:acquire()
      accepted:send(true)
    end)
  end)

kernel("syncthing#5795: a connection is closed by the loop that the close waits for",
  { "dispatcher", "close" },
  function()
    local once_closed, loop_stopped = co.chan(), co.chan()
    go("dispatcher", function()
      co.defer(loop_stopped.close, loop_stopped)
      once_closed:recv()
    end)
    go("close", function()
      loop_stopped:recv()
      once_closed:close()
    end)
  end)

return kernels
