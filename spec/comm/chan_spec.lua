--- Channels: values from task to task.

local co = require "coropanic"
local helpers = require "spec.helpers"

local run, settle = helpers.run, helpers.settle

--- A task that receives once, and waits.
local function receiver(ch)
  local task = co.spawn(function() return ch:recv() end)
  settle()
  return task
end

--- A task that sends once, and waits.
local function sender(ch, value)
  local task = co.spawn(function() ch:send(value) end)
  settle()
  return task
end

describe("a channel without a buffer", function()
  it("hands a value to the receiver that waits", function()
    run(function()
      local ch = co.chan()
      local task = receiver(ch)
      ch:send "v"
      assert.same({ true, "v", true }, { task:join() })
    end)
  end)

  it("takes the value of the sender that waits", function()
    run(function()
      local ch = co.chan()
      local task = sender(ch, "v")
      assert.equal("waiting", task:status())
      assert.same({ "v", true }, { ch:recv() })
      assert.is_true(task:join())
    end)
  end)

  it("takes no notice of more arguments, before and after waiting", function()
    run(function()
      local ch = co.chan()
      local task = co.spawn(function() return select("#", ch:send(1, "more", "still more")) end)
      settle()
      assert.same({ 1, true }, { ch:recv("more", "still more") })
      assert.same({ true, 0 }, { task:join() })
      task = co.spawn(function() return ch:recv("more", "still more") end)
      settle()
      ch:send(2, "more")
      assert.same({ true, 2, true }, { task:join() })
    end)
  end)

  it("lets a sender go on only when its value was taken", function()
    run(function()
      local lines, say = helpers.log()
      local ch = co.chan()
      co.spawn(function()
        ch:send(1)
        say "sent"
      end)
      settle()
      say "receiving"
      ch:recv()
      settle()
      assert.same({ "receiving", "sent" }, lines)
    end)
  end)

  it("is what co.chan(0) and co.chan(nil) make too", function()
    for _, ch in ipairs { co.chan(), co.chan(0), co.chan(nil) } do
      assert.equal(0, ch:capacity())
      assert.is_false(ch:try_send(1))
    end
  end)
end)

describe("a channel with a buffer", function()
  it("takes as many values as its capacity without waiting", function()
    local ch = co.chan(3)
    for i = 1, 3 do
      ch:send(i)
    end
    assert.equal(3, #ch)
    assert.equal(3, ch:capacity())
    assert.is_false(ch:try_send(4))
  end)

  it("lets a sender wait when it is full", function()
    run(function()
      local ch = co.chan(1)
      ch:send(1)
      local task = sender(ch, 2)
      assert.equal("waiting", task:status())
      ch:recv()
      assert.is_true(task:join())
    end)
  end)

  it("keeps the order when a waiting sender's value takes the place of a received one", function()
    run(function()
      local ch = co.chan(2)
      ch:send(1)
      ch:send(2)
      sender(ch, 3)
      sender(ch, 4)
      local received = {}
      for i = 1, 4 do
        received[i] = ch:recv()
      end
      assert.same({ 1, 2, 3, 4 }, received)
      assert.equal(0, #ch)
    end)
  end)

  it("hands a value to a receiver that waits, and not to the buffer", function()
    run(function()
      local ch = co.chan(5)
      local task = receiver(ch)
      ch:send "v"
      assert.equal(0, #ch)
      assert.same({ true, "v", true }, { task:join() })
    end)
  end)

  for _, capacity in ipairs { 1, 2, 3, 4, 5, 7, 8, 9, 100 } do
    it(("of %d keeps the order while it fills, drains and wraps"):format(capacity), function()
      local ch = co.chan(capacity)
      local sent, received = 0, 0
      for round = 1, 4 * capacity do
        for _ = 1, round % capacity + 1 do
          if ch:try_send(sent + 1) then
            sent = sent + 1
          else
            assert.equal(capacity, #ch)
          end
        end
        assert.equal(sent - received, #ch)
        for _ = 1, (round * 7) % capacity do
          local value, ok = ch:try_recv()
          if ok then
            received = received + 1
            assert.equal(received, value)
          end
        end
      end
      while #ch > 0 do
        received = received + 1
        assert.equal(received, (ch:recv()))
      end
      assert.equal(sent, received)
    end)
  end

  it("does not hold a value that was received", function()
    local ch = co.chan(4)
    local weak = setmetatable({}, { __mode = "v" })
    for i = 1, 4 do
      weak[i] = {}
      ch:send(weak[i])
    end
    for _ = 1, 3 do
      ch:recv()
    end
    collectgarbage()
    collectgarbage()
    assert.same({ nil, nil, nil, {} }, weak)
  end)
end)

describe("any value", function()
  local values = { n = 7, true, false, nil, 0 / 0, "text", print, {} }

  local function assert_travels(ch)
    for i = 1, values.n do
      local value, ok = ch:recv()
      assert.is_true(ok)
      assert.is_true(rawequal(values[i], value) or value ~= value)
    end
  end

  it("travels through a buffer, nil too", function()
    local ch = co.chan(10)
    for i = 1, values.n do
      ch:send(values[i])
    end
    assert.equal(values.n, #ch)
    assert_travels(ch)
  end)

  it("travels from sender to receiver, nil too", function()
    run(function()
      local ch = co.chan()
      co.spawn(function()
        for i = 1, values.n do
          ch:send(values[i])
        end
      end)
      assert_travels(ch)
    end)
  end)

  it("is the value that is sent without one: nil", function()
    local ch = co.chan(1)
    ch:send()
    assert.same({ nil, true }, { ch:recv() })
  end)

  it("may be a channel", function()
    run(function()
      local requests = co.chan()
      co.spawn(function()
        local answers = requests:recv()
        answers:send "answer"
      end)
      local answers = co.chan()
      requests:send(answers)
      assert.equal("answer", (answers:recv()))
    end)
  end)
end)

describe("those who wait", function()
  it("for a value are served in the order in which they came", function()
    run(function()
      local ch = co.chan()
      local tasks = {}
      for i = 1, 5 do
        tasks[i] = receiver(ch)
      end
      for i = 1, 5 do
        ch:send(i)
      end
      for i = 1, 5 do
        assert.same({ true, i, true }, { tasks[i]:join() })
      end
    end)
  end)

  it("to send are served in the order in which they came", function()
    run(function()
      local ch = co.chan()
      for i = 1, 5 do
        sender(ch, i)
      end
      for i = 1, 5 do
        assert.equal(i, (ch:recv()))
      end
    end)
  end)

  it("name the channel, and what they do with it", function()
    run(function()
      local ch, full = co.chan(), co.chan(1)
      full:send(1)
      local waiting = receiver(ch)
      assert.equal(ch, waiting.waiting_on)
      assert.equal(full, sender(full, 2).waiting_on)
      helpers.assert_contains("waiting on receive of channel (unbuffered)", co.dump())
      helpers.assert_contains("waiting on send of channel (1 of 1 buffered)", co.dump())
      ch:close()
      full:recv()
    end)
  end)

  it("for ever are in a deadlock, which names the channel", function()
    local record = helpers.record_of_run(function() co.chan():recv() end)
    assert.equal("deadlock", record.kind)
    assert.equal("receive of channel (unbuffered)", record.parked[1].waiting_on)
  end)
end)

describe("try_send", function()
  it("is true when the buffer takes the value, false when it is full", function()
    local ch = co.chan(1)
    assert.is_true(ch:try_send "a")
    assert.is_false(ch:try_send "b")
    assert.equal("a", (ch:recv()))
  end)

  it("is true when somebody waits for a value", function()
    run(function()
      local ch = co.chan()
      assert.is_false(ch:try_send "a")
      local task = receiver(ch)
      assert.is_true(ch:try_send "b")
      assert.same({ true, "b", true }, { task:join() })
    end)
  end)

  it("panics on a closed channel", function()
    local ch = co.chan(1)
    ch:close()
    assert.equal("send on closed channel", helpers.record_of(ch.try_send, ch, 1).value)
  end)
end)

describe("try_recv", function()
  it("tells an empty channel from a closed one", function()
    local ch = co.chan(1)
    assert.same({ nil, false, "empty" }, { ch:try_recv() })
    ch:send "v"
    ch:close()
    assert.same({ "v", true }, { ch:try_recv() })
    assert.same({ nil, false, "closed" }, { ch:try_recv() })
  end)

  it("takes the value of a sender that waits", function()
    run(function()
      local ch = co.chan()
      local task = sender(ch, "v")
      assert.same({ "v", true }, { ch:try_recv() })
      assert.is_true(task:join())
    end)
  end)
end)

describe("closing a channel", function()
  it("leaves what is in the buffer to receive, then gives nil and false for ever", function()
    local ch = co.chan(2)
    ch:send(1)
    ch:send(2)
    ch:close()
    assert.same({ 1, true }, { ch:recv() })
    assert.same({ 2, true }, { ch:recv() })
    assert.same({ nil, false }, { ch:recv() })
    assert.same({ nil, false }, { ch:recv() })
  end)

  it("wakes everyone who waits for a value", function()
    run(function()
      local ch = co.chan()
      local tasks = { receiver(ch), receiver(ch), receiver(ch) }
      ch:close()
      for _, task in ipairs(tasks) do
        assert.same({ true, nil, false }, { task:join() })
      end
    end)
  end)

  it("makes everyone who waits to send panic", function()
    run(function()
      local ch = co.chan()
      local tasks = { sender(ch, 1), sender(ch, 2) }
      ch:close()
      for _, task in ipairs(tasks) do
        local ok, record = task:join()
        assert.is_false(ok)
        assert.equal("panic", record.kind)
        assert.equal("send on closed channel", record.value)
      end
      assert.same({ nil, false }, { ch:recv() })
    end)
  end)

  it("makes later sends panic, with the value Go has", function()
    local ch = co.chan(1)
    ch:close()
    local record = helpers.record_of(ch.send, ch, 1)
    assert.equal("panic", record.kind)
    assert.equal("send on closed channel", record.value)
    assert.equal("panic: send on closed channel", helpers.lines_of(tostring(record))[1])
  end)

  it("twice is a panic", function()
    local ch = co.chan()
    ch:close()
    local record = helpers.record_of(ch.close, ch)
    assert.equal("panic", record.kind)
    assert.equal("close of closed channel", record.value)
  end)

  it("gives a panic that can be recovered", function()
    local ch = co.chan()
    ch:close()
    local value = co.call(function()
      co.defer(function() co.set_results(co.recover()) end)
      ch:send(1)
    end)
    assert.equal("send on closed channel", value)
  end)
end)

describe("for v in ch:iter()", function()
  it("calls a function that scripts may call too, with any arguments", function()
    for _, buffered in ipairs { 0, 4 } do
      run(function()
        local ch = co.chan(buffered)
        local next_value = ch:iter()
        local waiting = co.spawn(function() return next_value() end)
        local with_more = co.spawn(function() return next_value("a", "b", "c") end)
        settle()
        ch:send(1)
        ch:send(2)
        assert.same({ true, 1 }, { waiting:join() })
        assert.same({ true, 2 }, { with_more:join() })
        co.spawn(function()
          ch:send(3)
          ch:send(4)
        end)
        settle()
        assert.same({ 3 }, { next_value() })
        assert.same({ 4 }, { next_value("a", "b", "c") })
      end)
    end
  end)

  it("gives false like any other value", function()
    local ch = co.chan(2)
    ch:send(false)
    ch:close()
    local received = {}
    for v in ch:iter() do
      received[#received + 1] = v
    end
    assert.same({ false }, received)
  end)
end)

describe("outside tasks", function()
  it("what need not wait works", function()
    local ch = co.chan(1)
    ch:send "v"
    assert.same({ "v", true }, { ch:recv() })
    ch:close()
    assert.same({ nil, false }, { ch:recv() })
  end)

  it("a value may be handed to a task that waits", function()
    local ch = co.chan()
    local task = co.spawn(function() return ch:recv() end)
    co.step(0)
    ch:send "v"
    co.step(0)
    assert.same({ true, "v", true }, { task:join() })
  end)

  it("what would wait says that it needs a task", function()
    local ch = co.chan()
    helpers.assert_contains("'send' outside a task", helpers.record_of(ch.send, ch, 1).message)
    helpers.assert_contains("'recv' outside a task", helpers.record_of(ch.recv, ch).message)
    helpers.assert_contains("'iter' outside a task", helpers.record_of(ch:iter()).message)
    assert.is_false(ch:try_send(1))
    assert.same({ nil, false, "empty" }, { ch:try_recv() })
  end)
end)

describe("inside a C function, in a task,", function()
  it("what need not wait works, and what would wait names the function in the way", function()
    run(function()
      local ch = co.chan(1)
      string.gsub("x", "x", function() ch:send "v" end)
      assert.equal("v", (ch:recv()))
      local ok, err = pcall(string.gsub, "x", "x", function() ch:recv() end)
      assert.is_false(ok)
      helpers.assert_contains("'string.gsub' is in the way", helpers.message_of(err))
      assert.is_false(select(2, ch:try_recv()))
    end)
  end)

  it("what need not wait works in somebody else's coroutine too", function()
    run(function()
      local ch = co.chan(1)
      coroutine.wrap(function() ch:send "v" end)()
      assert.equal("v", (ch:recv()))
      local ok, err = pcall(coroutine.wrap(function() ch:recv() end))
      assert.is_false(ok)
      helpers.assert_contains("coroutine that coropanic did not make", helpers.message_of(err))
    end)
  end)
end)

describe("cancelling a task", function()
  it("that waits for a value takes it out of the queue", function()
    run(function()
      local ch = co.chan()
      local task = receiver(ch)
      task:cancel()
      assert.is_false(ch:try_send(1))
      task:join()
      assert.equal("cancelled", task:status())
      assert.is_false(ch:try_send(1))
    end)
  end)

  it("that waits to send takes it and its value out of the queue", function()
    run(function()
      local ch = co.chan()
      local task = sender(ch, 1)
      task:cancel()
      assert.same({ nil, false, "empty" }, { ch:try_recv() })
      task:join()
      assert.equal("cancelled", task:status())
    end)
  end)

  it("lets the next in the queue be served", function()
    run(function()
      local ch = co.chan()
      local first, second = receiver(ch), receiver(ch)
      first:cancel()
      ch:send "v"
      assert.same({ true, "v", true }, { second:join() })
    end)
  end)

  it("that was handed a value before it runs loses nothing: the next suspension point raises", function()
    run(function()
      local ch = co.chan()
      local received
      local task = co.spawn(function()
        received = table.pack(ch:recv())
        co.yield()
        received = "too far"
      end)
      settle()
      ch:send "v"
      task:cancel()
      task:join()
      assert.same({ n = 2, "v", true }, received)
      assert.equal("cancelled", task:status())
    end)
  end)

  it("whose value was taken before it runs lets the send return", function()
    run(function()
      local ch = co.chan()
      local sent = false
      local task = co.spawn(function()
        ch:send "v"
        sent = true
        co.yield()
      end)
      settle()
      assert.equal("v", (ch:recv()))
      task:cancel()
      task:join()
      assert.is_true(sent)
      assert.equal("cancelled", task:status())
    end)
  end)

  for name, operation in pairs {
    send = function(ch) ch:send(1) end,
    recv = function(ch) ch:recv() end,
    iter = function(ch) ch:iter()() end,
  } do
    it(("is raised by %s also when that need not wait"):format(name), function()
      run(function()
        local ch = co.chan(2)
        ch:send(0)
        local task
        task = co.spawn(function()
          task:cancel()
          operation(ch)
        end)
        task:join()
        assert.equal("cancelled", task:status())
        assert.equal(1, #ch)
      end)
    end)
  end

  it("is not raised by what never waits: try_send, try_recv, close", function()
    run(function()
      local ch = co.chan(1)
      local task
      task = co.spawn(function()
        task:cancel()
        ch:try_send(1)
        ch:try_recv()
        ch:close()
        return "returned"
      end)
      assert.same({ true, "returned" }, { task:join() })
    end)
  end)

  it("leaves its deferred calls able to send", function()
    run(function()
      local ch, results = co.chan(), co.chan()
      local task = co.spawn(function()
        co.defer(function() results:send "released" end)
        ch:recv()
      end)
      settle()
      task:cancel()
      assert.equal("released", (results:recv()))
      task:join()
      assert.equal("cancelled", task:status())
    end)
  end)
end)

describe("a channel as text", function()
  it("says what is in it and whether it is closed", function()
    local ch = co.chan(3)
    ch:send(1)
    ch:send(2)
    assert.equal("channel (2 of 3 buffered)", tostring(ch))
    ch:close()
    assert.equal("channel (2 of 3 buffered, closed)", tostring(ch))
    assert.equal("channel (unbuffered)", tostring(co.chan()))
  end)
end)
