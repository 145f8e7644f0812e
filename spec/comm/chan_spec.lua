local co = require "coropanic"
local helpers = require "spec.helpers"

--- Runs under the virtual clock.
local function run(fn)
  return co.run_with({ clock = "virtual" }, fn)
end

describe("an unbuffered channel", function()
  it("hands each value to a receiver, in order", function()
    local got = {}
    run(function()
      local ch = co.chan()
      co.spawn(function()
        for i = 1, 3 do
          ch:send(i)
        end
        ch:close()
      end)
      for v in ch:iter() do
        table.insert(got, v)
      end
    end)
    assert.same({ 1, 2, 3 }, got)
  end)

  it("lets the sender wait until a receiver has come", function()
    local order = {}
    run(function()
      local ch = co.chan()
      co.spawn(function()
        ch:send "value"
        table.insert(order, "sent")
      end)
      co.sleep(1)
      table.insert(order, "receiving")
      ch:recv()
      co.yield()
    end)
    assert.same({ "receiving", "sent" }, order)
  end)

  it("carries nil", function()
    run(function()
      local ch = co.chan()
      co.spawn(ch.send, ch, nil)
      assert.same({ n = 2, nil, true }, table.pack(ch:recv()))
    end)
  end)

  it("carries nil to a receiver that waits", function()
    run(function()
      local ch = co.chan()
      local receiver = co.spawn(ch.recv, ch)
      co.yield()
      ch:send(nil)
      assert.same({ n = 3, true, nil, true }, table.pack(receiver:join()))
    end)
  end)

  it("serves receivers in the order in which they came", function()
    local served = {}
    run(function()
      local ch = co.chan()
      for i = 1, 3 do
        co.spawn(function()
          table.insert(served, i .. ch:recv())
        end)
      end
      co.yield()
      for _, v in ipairs { "a", "b", "c" } do
        ch:send(v)
      end
    end)
    assert.same({ "1a", "2b", "3c" }, served)
  end)

  it("serves senders in the order in which they came", function()
    local got = {}
    run(function()
      local ch = co.chan()
      for i = 1, 3 do
        co.spawn(ch.send, ch, i)
      end
      co.yield()
      for _ = 1, 3 do
        table.insert(got, (ch:recv()))
      end
    end)
    assert.same({ 1, 2, 3 }, got)
  end)

  it("can be a value of its own kind", function()
    run(function()
      local ch = co.chan()
      co.spawn(ch.send, ch, ch)
      assert.equal(ch, (ch:recv()))
    end)
  end)
end)

describe("a buffered channel", function()
  it("takes as many values as its capacity without a receiver", function()
    run(function()
      local ch = co.chan(2)
      assert.is_true(ch:try_send "a")
      assert.is_true(ch:try_send "b")
      assert.is_false(ch:try_send "c")
      assert.equal(2, #ch)
      assert.equal(2, ch:capacity())
    end)
  end)

  it("keeps the order when a waiting sender's value moves into the buffer", function()
    local got = {}
    run(function()
      local ch = co.chan(2)
      ch:send(1)
      ch:send(2)
      co.spawn(function()
        ch:send(3)
        ch:send(4)
      end)
      co.yield()
      for _ = 1, 4 do
        table.insert(got, (ch:recv()))
      end
    end)
    assert.same({ 1, 2, 3, 4 }, got)
  end)

  it("keeps the order while its ring grows around its end", function()
    local ch = co.chan(100)
    local sent, received = 0, 0
    for round = 1, 60 do
      for _ = 1, round % 5 + 1 do
        sent = sent + 1
        assert.is_true(ch:try_send(sent))
      end
      for _ = 1, 2 do
        local v, ok = ch:try_recv()
        if ok then
          received = received + 1
          assert.equal(received, v)
        end
      end
    end
    assert.equal(sent - received, #ch)
  end)

  it("of a huge capacity takes no memory for it", function()
    local before = collectgarbage "count"
    local ch = co.chan(math.maxinteger)
    ch:try_send(1)
    assert.is_true(collectgarbage "count" - before < 100)
    assert.equal(1, #ch)
  end)

  it("buffers nil", function()
    local ch = co.chan(2)
    ch:try_send(nil)
    ch:try_send(2)
    assert.same({ n = 2, nil, true }, table.pack(ch:try_recv()))
    assert.same({ n = 2, 2, true }, table.pack(ch:try_recv()))
  end)

  it("does not hold what was received", function()
    local ch = co.chan(1)
    local weak = setmetatable({}, { __mode = "v" })
    weak[1] = {}
    ch:try_send(weak[1])
    ch:try_recv()
    collectgarbage()
    collectgarbage()
    assert.is_nil(weak[1])
  end)

  it("works outside tasks when it need not wait", function()
    local ch = co.chan(1)
    ch:send "a"
    assert.equal("a", (ch:recv()))
    helpers.assert_error("'recv' outside a task: start one with co.run or co.spawn", ch.recv, ch)
    ch:send "b"
    helpers.assert_error("'send' outside a task: start one with co.run or co.spawn", ch.send, ch, "c")
    assert.equal(1, #ch)
  end)
end)

describe("closing a channel", function()
  it("lets what is buffered be received first", function()
    local ch = co.chan(2)
    ch:send "a"
    ch:close()
    assert.same({ n = 2, "a", true }, table.pack(ch:recv()))
    assert.same({ n = 2, nil, false }, table.pack(ch:recv()))
    assert.same({ n = 3, nil, false, "closed" }, table.pack(ch:try_recv()))
  end)

  it("wakes all who receive", function()
    run(function()
      local ch = co.chan()
      local a, b = co.spawn(ch.recv, ch), co.spawn(ch.recv, ch)
      co.yield()
      ch:close()
      assert.same({ n = 3, true, nil, false }, table.pack(a:join()))
      assert.same({ n = 3, true, nil, false }, table.pack(b:join()))
    end)
  end)

  it("makes those who wait to send panic", function()
    run(function()
      local ch = co.chan()
      local sender = co.spawn(ch.send, ch, 1)
      co.yield()
      ch:close()
      local ok, record = sender:join()
      assert.is_false(ok)
      assert.equal("send on closed channel", record.value)
      assert.equal("panic", record.kind)
    end)
  end)

  it("makes later sends panic", function()
    local ch = co.chan(1)
    ch:close()
    local _, record = co.pcall(ch.send, ch, 1)
    assert.equal("send on closed channel", record.value)
    _, record = co.pcall(ch.try_send, ch, 1)
    assert.equal("send on closed channel", record.value)
  end)

  it("twice panics", function()
    local ch = co.chan()
    ch:close()
    local _, record = co.pcall(ch.close, ch)
    assert.equal("close of closed channel", record.value)
  end)

  it("ends iter", function()
    local got = {}
    run(function()
      local ch = co.chan()
      co.spawn(function()
        ch:send "only"
        co.sleep(1)
        ch:close()
      end)
      for v in ch:iter() do
        table.insert(got, v)
      end
    end)
    assert.same({ "only" }, got)
  end)
end)

describe("iter", function()
  it("raises at a nil, which would end the loop", function()
    local ch = co.chan(1)
    ch:send(nil)
    local _, record = co.pcall(function()
      for _ in ch:iter() do
        error "not reached"
      end
    end)
    helpers.assert_contains("use 'recv', which tells it from the end", record.message)
  end)
end)

describe("a task that waits on a channel", function()
  it("tells which and how", function()
    run(function()
      local ch = co.chan(3)
      local receiver = co.spawn(ch.recv, ch)
      co.yield()
      assert.equal(ch, receiver.waiting_on)
      helpers.assert_contains("waiting on receive of channel (0 of 3 buffered)", co.dump())
      ch:send(1)
    end)
  end)

  it("is not in its queue any more once cancelled", function()
    run(function()
      local ch = co.chan()
      local receiver = co.spawn(ch.recv, ch)
      local sender = co.spawn(function()
        co.sleep(1)
        return ch:try_send "lost"
      end)
      co.yield()
      receiver:cancel()
      assert.same({ true, false }, { sender:join() })
      assert.equal("cancelled", receiver:status())
    end)
  end)

  it("gets the value that it was handed before it was cancelled", function()
    run(function()
      local ch = co.chan()
      local got
      local receiver = co.spawn(function()
        got = ch:recv()
        co.yield()
        got = "went on"
      end)
      co.yield()
      ch:send "kept"
      receiver:cancel()
      receiver:join()
      assert.equal("kept", got)
      assert.equal("cancelled", receiver:status())
    end)
  end)

  it("is cancelled at once when it would not have to wait", function()
    run(function()
      local ch = co.chan(1)
      local task = co.spawn(function()
        co.current():cancel()
        ch:send "not sent"
      end)
      task:join()
      assert.equal(0, #ch)
      assert.equal("cancelled", task:status())
    end)
  end)

  it("does not keep a run that has only it from ending", function()
    local record = helpers.record_of_run(function()
      local ch = co.chan()
      ch:recv()
    end)
    assert.equal("deadlock", record.kind)
    assert.equal("receive of channel (unbuffered)", record.parked[1].waiting_on)
  end)
end)

describe("tostring of a channel", function()
  it("tells its state", function()
    local ch = co.chan(2)
    ch:send(1)
    assert.equal("channel (1 of 2 buffered)", tostring(ch))
    ch:close()
    assert.equal("channel (1 of 2 buffered, closed)", tostring(ch))
    assert.equal("channel (unbuffered)", tostring(co.chan()))
  end)
end)
