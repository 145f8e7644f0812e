--- Channels under randomised schedules: whatever the order of the tasks, no message is lost or doubled,
--- each sender's messages keep their order, everybody is served, and nobody is left in a queue.

local co = require "coropanic"

local SEEDS = 1000

--- Runs `body(random)` under each seed; `random(n)` gives 1 to n, reproducibly.
local function each_seed(body)
  for seed = 1, SEEDS do
    local state = seed
    local function random(n)
      state = (state * 6364136223846793005 + 1442695040888963407) & 0x7fffffffffffffff
      return (state >> 33) % n + 1
    end
    local ok, err = co.pcall(co.run_with, { clock = "virtual", seed = seed }, body, random)
    assert(ok, ("seed %d: %s"):format(seed, tostring(err)))
    assert.equal(0, #co.tasks(), seed)
  end
end

--- Counts what was sent and received; every message is {sender, number}.
local function new_ledger()
  local ledger = { sent = 0, received = 0, last = {} }
  function ledger.message(sender, number)
    return { sender, number }
  end
  function ledger.took(reader, message)
    ledger.received = ledger.received + 1
    assert(not message.taken, "a message was doubled")
    message.taken = true
    local key = reader .. "/" .. message[1]
    assert((ledger.last[key] or 0) < message[2], "messages of one sender are out of order")
    ledger.last[key] = message[2]
  end
  return ledger
end

describe("under any schedule", function()
  it("a channel delivers each message once, in its sender's order", function()
    each_seed(function(random)
      local ch = co.chan(random(4) - 1)
      local ledger = new_ledger()
      co.scope(function(scope)
        local senders = co.chan()
        local count = random(3)
        for sender = 1, count do
          scope:spawn(function()
            for number = 1, random(5) do
              local message = ledger.message(sender, number)
              local kind = random(3)
              if kind == 1 then
                co.select(nil, { ch, message }, co.chan())
              elseif kind == 2 or not ch:try_send(message) then
                ch:send(message)
              end
              ledger.sent = ledger.sent + 1
            end
            senders:send(true)
          end)
        end
        for reader = 1, random(3) do
          scope:spawn(function()
            while true do
              local message, ok, _
              if random(2) == 1 then
                message, ok = ch:recv()
              else
                _, message, ok = co.select(nil, co.chan(), ch)
              end
              if not ok then
                return
              end
              ledger.took(reader, message)
            end
          end)
        end
        for _ = 1, count do
          senders:recv()
        end
        ch:close()
      end)
      assert(ledger.sent == ledger.received, "a message was lost")
    end)
  end)

  it("cancelled and timed-out waiters lose no message and leave no place in a queue behind", function()
    each_seed(function(random)
      local ch = co.chan(random(3) - 1)
      local ledger = new_ledger()
      co.supervise(function(scope)
        local tasks = {}
        for sender = 1, 3 do
          tasks[#tasks + 1] = scope:spawn(function()
            for number = 1, 4 do
              local message = ledger.message(sender, number)
              local index = co.select(random(3), { ch, message })
              if index == 1 then
                ledger.sent = ledger.sent + 1
              end
            end
          end)
        end
        for reader = 1, 3 do
          tasks[#tasks + 1] = scope:spawn(function()
            for _ = 1, 4 do
              local index, message = co.select(random(3), ch, co.chan())
              if index == 1 then
                ledger.took(reader, message)
              end
            end
          end)
        end
        for _ = 1, random(3) do
          co.sleep(random(3) / 2)
          tasks[random(#tasks)]:cancel()
        end
      end)
      local buffered = #ch
      -- A cancelled sender may have been served without having counted.
      assert(ledger.received + buffered >= ledger.sent, "a message was lost")
      while ch:try_send(false) do
        buffered = buffered + 1
        assert(buffered <= ch:capacity(), "a receiver is left in the queue")
      end
      for _ = 1, buffered do
        ch:try_recv()
      end
      assert(select(3, ch:try_recv()) == "empty", "a sender is left in the queue")
    end)
  end)

  it("selects on many channels deliver each message once", function()
    each_seed(function(random)
      local channels, ledger = {}, new_ledger()
      for i = 1, 3 do
        channels[i] = co.chan(random(2) - 1)
      end
      co.scope(function(scope)
        local finished = 0
        for sender = 1, 3 do
          scope:spawn(function()
            for number = 1, 5 do
              local message = ledger.message(sender, number)
              local function offer(i)
                return { channels[i], message }
              end
              co.select(nil, offer(1), offer(2), offer(3))
              ledger.sent = ledger.sent + 1
            end
            finished = finished + 1
            if finished == 3 then
              for i = 1, 3 do
                channels[i]:close()
              end
            end
          end)
        end
        for reader = 1, 2 do
          scope:spawn(function()
            local open = { channels[1], channels[2], channels[3] }
            while open[1] or open[2] or open[3] do
              local index, message, ok = co.select(nil, open[1], open[2], open[3])
              if ok then
                message.taken = message.taken and error "a message was doubled" or reader
                ledger.received = ledger.received + 1
              else
                open[index] = nil
              end
            end
          end)
        end
      end)
      assert(ledger.sent == 15 and ledger.received == 15, "a message was lost")
    end)
  end)
end)
