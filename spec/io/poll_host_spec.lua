--- Hosts whose loops drive ours: they poll co.pollfd() for co.events(), no longer than co.timeout().

local uv = require "luv"
local cqueues = require "cqueues"
local co = require "coropanic"
local helpers = require "spec.helpers"

--- Each drives our loop by a loop of its own until no task is left.
local hosts = {}

function hosts.cqueues()
  local loop = cqueues.new()
  loop:wrap(function()
    while #co.tasks() > 0 do
      co.step()
      if #co.tasks() > 0 then
        cqueues.poll(co)
      end
    end
  end)
  assert(loop:loop())
end

function hosts.luv()
  local poll, timer = uv.new_poll(co.pollfd()), uv.new_timer()
  local function turn()
    co.step()
    if #co.tasks() == 0 then
      poll:close()
      timer:close()
      return
    end
    timer:stop()
    local seconds = co.timeout()
    if seconds then
      timer:start(math.ceil(seconds * 1000), 0, turn)
    end
  end
  poll:start(co.events(), turn)
  timer:start(0, 0, turn)
  uv.run()
end

for name, drive in pairs(hosts) do
  describe("a host that is " .. name, function()
    local ends

    before_each(function() ends = uv.socketpair() end)

    after_each(function()
      helpers.end_all_tasks()
      uv.fs_close(ends[1])
      uv.fs_close(ends[2])
    end)

    it("runs tasks that wait for each other's descriptors", function()
      local lines, say = helpers.log()
      co.spawn(function()
        for i = 1, 3 do
          co.wait_fd(ends[1], "r")
          say(i, uv.fs_read(ends[1], 10))
        end
      end)
      co.spawn(function()
        for i = 1, 3 do
          co.sleep(0.002)
          uv.fs_write(ends[2], "message " .. i)
        end
      end)
      drive()
      assert.same({ "1 message 1", "2 message 2", "3 message 3" }, lines)
    end)

    it("ends waits whose time runs out", function()
      local task = co.spawn(co.wait_fd, ends[1], "r", 0.003)
      drive()
      assert.same({ true, nil }, { task:join() })
    end)

    it("lets tasks be awaited that have much to do", function()
      local task = co.spawn(function()
        for _ = 1, 100 do
          co.yield()
        end
        return co.wait_fd(ends[1], "w")
      end)
      drive()
      assert.same({ true, "w" }, { task:join() })
    end)
  end)
end

--- In a process of its own, where nobody has asked for the descriptor.
local SLEEPING_HOST = [[
local uv = require "luv"
local co = require "coropanic"
local ends = uv.socketpair()
co.spawn(function() print(co.wait_fd(ends[1], "r")) end)
co.step()
local seconds = co.timeout()
print(seconds > 0 and seconds < 1)
uv.fs_write(ends[2], "x")
while #co.tasks() > 0 do
  uv.sleep(math.ceil(co.timeout() * 1000))
  co.step()
end
print(co.timeout())
]]

describe("a host that goes by the time alone", function()
  it("is not left to sleep for ever while tasks wait for descriptors", function()
    local result = helpers.run_script(SLEEPING_HOST)
    assert.equal("true\nr\nnil\n", result.stdout, result.stderr)
  end)
end)

describe("co.pollfd", function()
  local ends

  before_each(function() ends = uv.socketpair() end)

  after_each(function()
    helpers.end_all_tasks()
    uv.fs_close(ends[1])
    uv.fs_close(ends[2])
  end)

  it("turns readable with a descriptor that a task waits for, or time is bounded", function()
    local function has_work()
      return co.wait_fd(co.pollfd(), "r", 0) == "r" or co.timeout() ~= nil
    end
    co.pollfd()
    local task = co.spawn(co.wait_fd, ends[1], "r")
    co.step()
    uv.fs_write(ends[2], "x")
    assert.is_true(has_work())
    while task:status() == "waiting" do
      co.step()
    end
    co.step()
    assert.same({ true, "r" }, { task:join() })
    assert.is_false(has_work())
  end)

  it("does not stay readable for what only a cancelled task has waited for", function()
    local number = co.pollfd() -- to be asked for once, as hosts do
    local task = co.spawn(co.wait_fd, ends[1], "r")
    co.step()
    task:cancel()
    co.step()
    uv.fs_write(ends[2], "x")
    co.step()
    assert.is_nil(co.wait_fd(number, "r", 0))
  end)
end)
