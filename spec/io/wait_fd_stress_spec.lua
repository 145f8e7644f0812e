--- Many tasks that compete for few descriptors, are cancelled, and run out of time: nothing may be lost.

local uv = require "luv"
local co = require "coropanic"

local PAIRS, READERS, TOKENS, HOPS = 6, 4, 10, 20

--- Tokens go round a ring of sockets, HOPS times each. Readers compete for them; one after the other is
--- cancelled and replaced.
---@return integer arrived, integer cancelled
local function pass_tokens(seed)
  local random = seed
  local function below(n) -- a generator of its own, so that a seed says everything
    random = (random * 1103515245 + 12345) % 0x80000000
    return random // 65536 % n
  end
  local pairs_of = {}
  for i = 1, PAIRS do
    pairs_of[i] = uv.socketpair(nil, nil, { nonblock = true }, { nonblock = true })
  end
  local arrived, cancelled = 0, 0

  local function pass(i, hops)
    if hops == HOPS then
      arrived = arrived + 1
    else
      assert(uv.fs_write(pairs_of[i % PAIRS + 1][2], string.char(hops + 1)))
    end
  end

  local function read(i)
    local fd = pairs_of[i][1]
    while arrived < TOKENS do
      local seconds = below(3) == 0 and below(5) / 1000 or nil
      local mode = below(4) == 0 and "rw" or "r"
      if co.wait_fd(fd, mode, seconds) then
        local token = uv.fs_read(fd, 1)
        if token and #token == 1 then
          pass(i, token:byte())
        end
      end
    end
  end

  co.run_with({ clock = "virtual", seed = seed }, function()
    local readers = {}
    for i = 1, PAIRS do
      for _ = 1, READERS do
        readers[#readers + 1] = { pair = i, task = co.spawn_with({ daemon = true }, read, i) }
      end
    end
    for i = 1, TOKENS do
      pass(i, 0)
    end
    while arrived < TOKENS do
      for _ = 0, below(5) do
        co.yield()
      end
      local reader = readers[below(#readers) + 1]
      reader.task:cancel()
      reader.task:join()
      cancelled = cancelled + 1
      reader.task = co.spawn_with({ daemon = true }, read, reader.pair)
    end
  end)
  for _, ends in ipairs(pairs_of) do
    uv.fs_close(ends[1])
    uv.fs_close(ends[2])
  end
  return arrived, cancelled
end

describe("waiting for descriptors", function()
  for seed = 1, 20 do
    it("loses nothing when tasks compete, are cancelled and run out of time: seed " .. seed, function()
      local arrived, cancelled = pass_tokens(seed)
      assert.equal(TOKENS, arrived)
      assert.is_true(cancelled > TOKENS)
      assert.same({}, co.tasks())
    end)
  end
end)
