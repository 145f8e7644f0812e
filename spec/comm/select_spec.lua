--- co.select: the first of several sends and receives that can go on.

local co = require "coropanic"
local helpers = require "spec.helpers"

local run, settle = helpers.run, helpers.settle

--- A task that selects once, and waits.
local function selector(...)
  local task = co.spawn(co.select, ...)
  settle()
  return task
end

--- A channel with values in its buffer.
local function filled(...)
  local ch = co.chan(math.max(1, select("#", ...)))
  for _, value in ipairs { ... } do
    ch:send(value)
  end
  return ch
end

--- Cases that receive, send and are nil in turn, and the channel of each.
local function mixed_cases(count, make)
  local cases, channels = {}, {}
  for i = 1, count do
    channels[i] = make()
    if i % 3 == 1 then cases[i] = channels[i] end
    if i % 3 == 2 then cases[i] = { channels[i], "sent " .. i } end
  end
  return cases, channels
end

describe("a select of many cases", function()
  local COUNT = 29

  for _, capacity in ipairs { 0, 3 } do
    it("finds the one that is ready, channels of capacity " .. capacity, function()
      run(function()
        for i = 1, COUNT do
          if i % 3 ~= 0 then
            local cases, channels = mixed_cases(COUNT, function() return co.chan(capacity) end)
            for k = 2, COUNT, 3 do
              for _ = 1, k == i and 0 or capacity do channels[k]:send "full" end
            end
            local other
            if i % 3 == 1 then
              co.spawn(function() channels[i]:send("received " .. i) end)
            elseif capacity == 0 then
              other = co.spawn(function() return channels[i]:recv() end)
            end
            settle()
            local result = table.pack(co.select(nil, table.unpack(cases, 1, COUNT)))
            if i % 3 == 1 then
              assert.same({ i, "received " .. i, true, n = 3 }, result)
            else
              assert.same({ i, n = 1 }, result)
              local value = other and other:await() or channels[i]:recv()
              assert.equal("sent " .. i, value)
            end
          end
        end
      end)
    end)
  end

  it("is served by its case when it waits", function()
    run(function()
      for i = 1, COUNT do
        local cases, channels = mixed_cases(COUNT, co.chan)
        local task = selector(nil, table.unpack(cases, 1, COUNT))
        if i % 3 == 1 then
          channels[i]:send("received " .. i)
          assert.same({ true, i, "received " .. i, true }, { task:join() })
        elseif i % 3 == 2 then
          assert.equal("sent " .. i, (channels[i]:recv()))
          assert.same({ true, i }, { task:join() })
        else
          task:cancel()
        end
      end
    end)
  end)
end)

describe("a select with a ready case", function()
  it("receives: the case's number, the value, true", function()
    assert.same({ 2, "v", true }, { co.select(nil, co.chan(), filled "v") })
  end)

  it("receives nil and false from a closed channel", function()
    local ch = co.chan()
    ch:close()
    assert.same({ 1, nil, false }, { co.select(nil, ch) })
  end)

  it("sends: the case's number alone", function()
    local ch = co.chan(1)
    assert.equal(1, select("#", co.select(nil, { ch, "v" })))
    assert.equal("v", (ch:recv()))
    assert.equal(2, (co.select(nil, co.chan(), { ch, "w" })))
    assert.equal("w", (ch:recv()))
  end)

  it("sends nil, like any other value", function()
    local ch = co.chan(2)
    assert.equal(1, (co.select(nil, { ch })))
    assert.equal(1, (co.select(nil, { ch, nil })))
    assert.same({ nil, true }, { ch:recv() })
    assert.equal(1, #ch)
  end)

  it("serves tasks that wait on the channel", function()
    run(function()
      local ch = co.chan()
      local receiver = co.spawn(function() return ch:recv() end)
      settle()
      assert.equal(1, (co.select(nil, { ch, "v" })))
      assert.same({ true, "v", true }, { receiver:join() })
      local sender = co.spawn(function() ch:send "w" end)
      settle()
      assert.same({ 1, "w", true }, { co.select(nil, ch) })
      assert.is_true(sender:join())
    end)
  end)

  it("does nothing on the other channels", function()
    local a, b = filled(1), filled(2)
    local which = co.select(nil, a, b)
    assert.equal(1, #a + #b)
    assert.equal(which == 1 and 0 or 1, #a)
  end)

  it("panics when it sends on a closed channel", function()
    local ch = co.chan(1)
    ch:close()
    local record = helpers.record_of(co.select, nil, { ch, 1 })
    assert.equal("panic", record.kind)
    assert.equal("send on closed channel", record.value)
  end)

  it("works outside tasks", function()
    assert.same({ 1, "v", true }, { co.select(5, filled "v") })
  end)
end)

describe("a case that is nil", function()
  it("is never ready", function()
    assert.same({ 3, "v", true }, { co.select(nil, nil, nil, filled "v", nil) })
    assert.equal(0, (co.select(0, nil)))
  end)

  it("may also be a send without a channel, as with Go's nil channel", function()
    local out = nil
    assert.equal(0, (co.select(0, { out, "v" })))
    assert.same({ 2, "v", true }, { co.select(nil, { out, "w" }, filled "v") })
  end)

  it("keeps the numbers of the other cases when the select waits", function()
    run(function()
      local a, b = co.chan(), co.chan()
      local task = selector(nil, nil, a, nil, b)
      b:send "v"
      assert.same({ true, 4, "v", true }, { task:join() })
    end)
  end)
end)

describe("a select that waits", function()
  it("is served by a sender", function()
    run(function()
      local a, b = co.chan(), co.chan()
      local task = selector(nil, a, b)
      b:send "v"
      assert.same({ true, 2, "v", true }, { task:join() })
    end)
  end)

  it("is served by a receiver", function()
    run(function()
      local a, b = co.chan(), co.chan()
      local task = selector(nil, { a, "A" }, { b, "B" })
      assert.same({ "B", true }, { b:recv() })
      assert.same({ true, 2 }, { task:join() })
    end)
  end)

  it("is served by another select", function()
    run(function()
      local ch = co.chan()
      local task = selector(nil, co.chan(), ch)
      assert.equal(1, (co.select(nil, { ch, "v" })))
      assert.same({ true, 2, "v", true }, { task:join() })
      task = selector(nil, { co.chan(), 1 }, { ch, "w" })
      assert.same({ 1, "w", true }, { co.select(nil, ch) })
      assert.same({ true, 2 }, { task:join() })
    end)
  end)

  it("puts its value into a buffer when there is room", function()
    run(function()
      local ch = filled "first"
      local task = selector(nil, { ch, "second" })
      assert.equal("first", (ch:recv()))
      assert.equal(1, #ch)
      assert.same({ true, 1 }, { task:join() })
      assert.equal("second", (ch:recv()))
    end)
  end)

  it("leaves the queues of all other channels when one serves it", function()
    run(function()
      local a, b, c = co.chan(), co.chan(), co.chan()
      local task = selector(nil, a, b, { c, 1 }, a)
      b:send "v"
      assert.is_false(a:try_send "w")
      assert.same({ nil, false, "empty" }, { c:try_recv() })
      assert.same({ true, 2, "v", true }, { task:join() })
      assert.is_false(b:try_send "w")
    end)
  end)

  it("stands in the queue with the others, first come, first served", function()
    run(function()
      local ch = co.chan()
      local first = selector(nil, ch)
      local second = co.spawn(function() return ch:recv() end)
      settle()
      local third = selector(nil, co.chan(), ch)
      for i = 1, 3 do
        ch:send(i)
      end
      assert.same({ true, 1, 1, true }, { first:join() })
      assert.same({ true, 2, true }, { second:join() })
      assert.same({ true, 2, 3, true }, { third:join() })
    end)
  end)

  it("does not serve itself when it sends and receives on one channel", function()
    run(function()
      local ch = co.chan()
      local task = selector(nil, ch, { ch, "own" })
      assert.equal("waiting", task:status())
      assert.same({ "own", true }, { ch:try_recv() })
      assert.same({ true, 2 }, { task:join() })
    end)
  end)

  it("receives nil and false when a channel is closed", function()
    run(function()
      local a, b = co.chan(), co.chan()
      local task = selector(nil, a, b)
      b:close()
      assert.same({ true, 2, nil, false }, { task:join() })
    end)
  end)

  it("panics when a channel that it sends on is closed", function()
    run(function()
      local a, b = co.chan(), co.chan()
      local task = selector(nil, a, { b, 1 })
      b:close()
      local ok, record = task:join()
      assert.is_false(ok)
      assert.equal("send on closed channel", record.value)
      assert.is_false(a:try_send(1))
    end)
  end)

  it("sends what the case held when it began, whatever becomes of the table", function()
    run(function()
      local ch = co.chan()
      local case = { ch, "v" }
      local task = selector(nil, case)
      case[1], case[2] = nil, "changed"
      collectgarbage()
      assert.equal("v", (ch:recv()))
      assert.same({ true, 1 }, { task:join() })
    end)
  end)

  for _, count in ipairs { 1, 8, 9, 1000 } do
    it(("may have %d cases"):format(count), function()
      run(function()
        local cases = {}
        for i = 1, count do
          cases[i] = i % 2 == 0 and co.chan() or { co.chan(), i }
        end
        local task = selector(nil, table.unpack(cases))
        local last = cases[count]
        if count % 2 == 0 then
          last:send "v"
          assert.same({ true, count, "v", true }, { task:join() })
        else
          assert.equal(count, (last[1]:recv()))
          assert.same({ true, count }, { task:join() })
        end
      end)
    end)
  end

  it("shows its channels", function()
    run(function()
      local a, b = co.chan(), co.chan(1)
      local task = selector(nil, a, nil, b, { a, 1 })
      assert.same({ a, b, a }, task.waiting_on)
      helpers.assert_contains("waiting on select of channel (", co.dump())
      b:send(1)
      assert.is_nil(task.waiting_on)
    end)
  end)

  it("for ever is in a deadlock", function()
    local record = helpers.record_of_run(function() co.select(nil, co.chan()) end)
    assert.equal("deadlock", record.kind)
    assert.equal("select of channel (unbuffered)", record.parked[1].waiting_on)
  end)

  it("without any case waits for ever", function()
    for _, cases in ipairs { { n = 0 }, { n = 1 }, { n = 3 } } do
      local record = helpers.record_of_run(function() co.select(table.unpack(cases, 1, cases.n)) end)
      assert.equal("deadlock", record.kind)
      assert.equal("select of nothing", record.parked[1].waiting_on)
    end
  end)

  it("outside a task says that it needs one", function()
    helpers.assert_contains("'select' outside a task", helpers.record_of(co.select, 1, co.chan()).message)
  end)
end)

describe("a select with a time-out", function()
  it("gives 0 when the time has run out", function()
    run(function()
      local start = co.now()
      assert.same({ 0 }, { co.select(2.5, co.chan(), { co.chan(), 1 }) })
      assert.equal(2.5, co.now() - start)
    end)
  end)

  it("leaves the queues then", function()
    run(function()
      local a, b = co.chan(), co.chan()
      co.select(1, a, { b, 1 })
      assert.is_false(a:try_send(1))
      assert.same({ nil, false, "empty" }, { b:try_recv() })
    end)
  end)

  it("may be served before", function()
    run(function()
      local ch = co.chan()
      local task = selector(10, ch)
      ch:send "v"
      assert.same({ true, 1, "v", true }, { task:join() })
      assert.is_true(co.now() < 1)
    end)
  end)

  it("without cases sleeps", function()
    run(function()
      local start = co.now()
      assert.equal(0, (co.select(3)))
      assert.equal(3, co.now() - start)
    end)
  end)

  it("of 0 does not wait", function()
    run(function()
      local start, switches = co.now(), co.stats().switches
      assert.equal(0, (co.select(0, co.chan())))
      assert.equal(start, co.now())
      assert.equal(switches, co.stats().switches)
    end)
    assert.equal(0, (co.select(0, co.chan())))
    assert.equal(0, (co.select(0)))
  end)

  it("of infinity waits for ever", function()
    local record = helpers.record_of_run(function() co.select(math.huge, co.chan()) end)
    assert.equal("deadlock", record.kind)
  end)
end)

describe("among ready cases", function()
  --- How often each case of 4,000 selects was chosen; `make` gives the cases.
  local function count_choices(cases, make)
    local counts = {}
    for i = 1, cases do
      counts[i] = 0
    end
    co.run_with({ seed = 7 }, function()
      for _ = 1, 4000 do
        local which = co.select(0, make())
        counts[which] = counts[which] + 1
      end
    end)
    return counts
  end

  -- 4,000 selects of 4 cases: 1,000 each, with a standard deviation of 27. The seed makes the counts
  -- the same each time.
  it("each is chosen as often as any other", function()
    local a, b = co.chan(), co.chan(1)
    a:close()
    local counts = count_choices(4, function() return a, a, a, a end)
    for i = 1, 4 do
      assert.is_true(math.abs(counts[i] - 1000) < 150, table.concat(counts, " "))
    end
    counts = count_choices(4, function()
      b:try_recv()
      return a, { b, 1 }, a, nil
    end)
    assert.equal(0, counts[4])
    for i = 1, 3 do
      assert.is_true(math.abs(counts[i] - 1333) < 150, table.concat(counts, " "))
    end
  end)

  it("the choice is the same for the same seed", function()
    local function choices(seed)
      return co.run_with({ seed = seed }, function()
        local a, b = filled(1), filled(1)
        local chosen = {}
        for i = 1, 50 do
          chosen[i] = co.select(0, a, b)
          a:try_send(1)
          b:try_send(1)
        end
        return table.concat(chosen)
      end)
    end
    assert.equal(choices(1), choices(1))
    assert.not_equal(choices(1), choices(2))
  end)
end)

describe("cancelling a task that selects", function()
  it("takes it out of all queues", function()
    run(function()
      local a, b = co.chan(), co.chan()
      local task = selector(nil, a, { b, 1 })
      task:cancel()
      assert.is_false(a:try_send(1))
      assert.same({ nil, false, "empty" }, { b:try_recv() })
      task:join()
      assert.equal("cancelled", task:status())
    end)
  end)

  it("loses no value that was handed over before", function()
    run(function()
      local ch = co.chan()
      local received
      local task = co.spawn(function()
        received = table.pack(co.select(1, ch))
        co.yield()
      end)
      settle()
      ch:send "v"
      task:cancel()
      task:join()
      assert.same({ n = 3, 1, "v", true }, received)
      assert.equal("cancelled", task:status())
    end)
  end)

  it("comes before a ready case, and before a time-out of 0", function()
    run(function()
      local ch = filled "v"
      for _, case in ipairs { ch, co.chan() } do
        local task
        task = co.spawn(function()
          task:cancel()
          co.select(0, case)
        end)
        task:join()
        assert.equal("cancelled", task:status())
      end
      assert.equal(1, #ch)
    end)
  end)
end)

describe("a context's done channel", function()
  it("is closed when the context ends", function()
    run(function()
      local ctx, cancel = co.context.with_cancel(co.ctx())
      local done = ctx:done()
      assert.equal(done, ctx:done())
      assert.equal(0, co.select(0, done))
      cancel()
      assert.equal(1, (co.select(0, done)))
    end)
  end)

  it("is closed by a deadline though nobody refers to the context", function()
    run(function()
      local done = co.context.with_timeout(co.ctx(), 2):done()
      collectgarbage()
      collectgarbage()
      done:recv()
      assert.equal(2, co.now())
    end)
  end)

  it("is closed already when the context has ended", function()
    local ctx, cancel = co.context.with_cancel(co.context.background())
    cancel()
    assert.same({ n = 2, nil, false }, table.pack(ctx:done():recv()))
  end)

  it("can not be sent on or closed by others", function()
    local ctx = co.context.with_cancel(co.context.background())
    helpers.assert_error("'send' on a context's done channel", ctx:done().send, ctx:done(), 1)
    helpers.assert_error("'close' on a context's done channel", ctx:done().close, ctx:done())
    helpers.assert_error("only its owner closes this channel", co.select, 0, { ctx:done(), 1 })
  end)

  it("chooses among its cases of one channel as often each, also when it has waited", function()
    for _, receives in ipairs { true, false } do
      helpers.run(function()
        local counts = { 0, 0, 0 }
        for _ = 1, 600 do
          local ch = co.chan()
          local cases = { ch, ch, ch }
          if not receives then cases = { { ch, 1 }, { ch, 2 }, { ch, 3 } } end
          local task = co.spawn(function()
            local index = co.select(nil, table.unpack(cases))
            counts[index] = counts[index] + 1
          end)
          co.yield()
          if receives then ch:send(1) else ch:recv() end
          task:join()
        end
        for i = 1, 3 do assert.is_true(counts[i] > 120, ("%d %d %d"):format(table.unpack(counts))) end
      end)
    end
  end)
end)
