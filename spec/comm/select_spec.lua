local co = require "coropanic"
local helpers = require "spec.helpers"

local function run(fn)
  return co.run_with({ clock = "virtual" }, fn)
end

describe("select", function()
  it("receives from the channel that is ready", function()
    local a, b = co.chan(1), co.chan(1)
    b:send "value"
    assert.same({ n = 3, 2, "value", true }, table.pack(co.select(0, a, b)))
  end)

  it("sends where there is room", function()
    local full, free = co.chan(1), co.chan(1)
    full:send(1)
    assert.same({ n = 1, 2 }, table.pack(co.select(0, { full, "x" }, { free, "y" })))
    assert.equal("y", (free:recv()))
    assert.equal(1, #full)
  end)

  it("sends nil", function()
    local ch = co.chan(1)
    assert.equal(1, co.select(0, { ch }))
    assert.same({ n = 2, nil, true }, table.pack(ch:recv()))
  end)

  it("does not wait with a time-out of 0", function()
    assert.same({ n = 1, 0 }, table.pack(co.select(0, co.chan(), { co.chan(), 1 })))
  end)

  it("gives up when the time is over", function()
    run(function()
      assert.equal(0, co.select(2.5, co.chan()))
      assert.equal(2.5, co.now())
    end)
  end)

  it("without cases is a sleep", function()
    run(function()
      assert.equal(0, co.select(3))
      assert.equal(3, co.now())
    end)
  end)

  it("without cases and time-out waits for ever", function()
    local record = helpers.record_of_run(function()
      co.select()
    end)
    assert.equal("deadlock", record.kind)
    assert.equal("select of nothing", record.parked[1].waiting_on)
  end)

  it("never chooses nil", function()
    run(function()
      local ch = co.chan()
      co.spawn(ch.send, ch, "v")
      assert.same({ n = 3, 3, "v", true }, table.pack(co.select(nil, nil, nil, ch, nil)))
    end)
  end)

  it("is woken by a sender", function()
    run(function()
      local a, b = co.chan(), co.chan()
      local task = co.spawn(co.select, nil, a, b)
      co.yield()
      b:send "late"
      assert.same({ n = 4, true, 2, "late", true }, table.pack(task:join()))
    end)
  end)

  it("is woken by a receiver", function()
    run(function()
      local a, b = co.chan(), co.chan()
      local task = co.spawn(co.select, nil, a, { b, "offer" })
      co.yield()
      assert.equal("offer", (b:recv()))
      assert.same({ n = 2, true, 2 }, table.pack(task:join()))
    end)
  end)

  it("is woken by a receiver that fills the buffer with its value", function()
    run(function()
      local ch = co.chan(1)
      ch:send "first"
      local task = co.spawn(co.select, nil, co.chan(), { ch, "second" })
      co.yield()
      assert.equal("first", (ch:recv()))
      assert.equal(1, #ch)
      assert.same({ n = 2, true, 2 }, table.pack(task:join()))
      assert.equal("second", (ch:recv()))
    end)
  end)

  it("is woken by close, as a receiver", function()
    run(function()
      local ch = co.chan()
      local task = co.spawn(co.select, nil, co.chan(), ch)
      co.yield()
      ch:close()
      assert.same({ n = 4, true, 2, nil, false }, table.pack(task:join()))
    end)
  end)

  it("panics when what it waits to send on is closed", function()
    run(function()
      local ch = co.chan()
      local task = co.spawn(co.select, nil, co.chan(), { ch, 1 })
      co.yield()
      ch:close()
      local _, record = task:join()
      assert.equal("send on closed channel", record.value)
    end)
  end)

  it("can meet another select", function()
    run(function()
      local a, b = co.chan(), co.chan()
      local sender = co.spawn(co.select, nil, { a, "x" }, { b, "y" })
      local receiver = co.spawn(co.select, nil, b)
      assert.same({ n = 4, true, 1, "y", true }, table.pack(receiver:join()))
      assert.same({ n = 2, true, 2 }, table.pack(sender:join()))
    end)
  end)

  it("does not meet itself", function()
    run(function()
      local ch = co.chan()
      assert.equal(0, co.select(1, ch, { ch, "mine" }))
    end)
  end)

  it("takes one value only, whatever else is ready", function()
    local a, b = co.chan(1), co.chan(1)
    a:send(1)
    b:send(1)
    co.select(0, a, b)
    assert.equal(1, #a + #b)
  end)

  it("leaves nothing behind in the queues of the channels that it did not use", function()
    run(function()
      local a, b = co.chan(), co.chan()
      local task = co.spawn(co.select, nil, a, b, { co.chan(), 1 })
      co.yield()
      a:send(1)
      task:join()
      assert.is_false(b:try_send(2))
    end)
  end)

  it("leaves nothing behind when the time is over or it is cancelled", function()
    run(function()
      local ch = co.chan()
      local late = co.spawn(co.select, 1, ch)
      local cancelled = co.spawn(co.select, nil, ch)
      co.sleep(2)
      cancelled:cancel()
      assert.is_false(ch:try_send(1))
      assert.equal("done", late:status())
    end)
  end)

  it("keeps the values that it was given, whatever becomes of the tables", function()
    run(function()
      local ch = co.chan()
      local case = { ch, "then" }
      local task = co.spawn(co.select, nil, case)
      co.yield()
      case[1], case[2] = nil, "now"
      assert.equal("then", (ch:recv()))
      task:join()
    end)
  end)

  it("takes more cases than are pooled", function()
    run(function()
      local channels = {}
      for i = 1, 200 do
        channels[i] = co.chan()
      end
      local task = co.spawn(co.select, nil, table.unpack(channels))
      co.yield()
      channels[150]:send "v"
      assert.same({ n = 4, true, 150, "v", true }, table.pack(task:join()))
    end)
  end)

  it("chooses each of the ready cases as often as the others", function()
    local CASES, ROUNDS = 4, 4000
    local counts = { 0, 0, 0, 0 }
    co.run_with({ seed = 1 }, function()
      local channels = {}
      for i = 1, CASES do
        channels[i] = co.chan(1)
      end
      for _ = 1, ROUNDS do
        for i = 1, CASES do
          channels[i]:try_send(true)
        end
        local index = co.select(0, table.unpack(channels))
        counts[index] = counts[index] + 1
      end
    end)
    -- Pearson's chi-squared with 3 degrees of freedom: above 16.3 with a chance of 1 in 1000. The seed
    -- is fixed.
    local chi_squared = 0
    for i = 1, CASES do
      chi_squared = chi_squared + (counts[i] - ROUNDS / CASES) ^ 2 / (ROUNDS / CASES)
    end
    assert.is_true(chi_squared < 16.3, table.concat(counts, " "))
  end)

  it("allocates nothing for receive cases", function()
    run(function()
      local a, b = co.chan(), co.chan()
      local task = co.spawn(function()
        for _ = 1, 200 do
          co.select(nil, a, b)
        end
      end)
      local function feed(count)
        for i = 1, count do
          (i % 2 == 0 and a or b):send(i)
        end
      end
      feed(100)
      collectgarbage()
      collectgarbage "stop"
      local before = collectgarbage "count"
      feed(100)
      local after = collectgarbage "count"
      collectgarbage "restart"
      task:join()
      assert.equal(before, after)
    end)
  end)

  it("tells what it waits on", function()
    run(function()
      local a, b = co.chan(), co.chan(1)
      b:send(1)
      local task = co.spawn(co.select, nil, a, { b, 2 })
      co.yield()
      assert.same({ a, b }, task.waiting_on)
      helpers.assert_contains("select of channel (unbuffered), channel (1 of 1 buffered)", co.dump())
      b:recv()
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
end)
