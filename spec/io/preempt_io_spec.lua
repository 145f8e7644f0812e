--- Input and output while the signals of preemption interrupt system calls all the time.

local co = require "coropanic"
local co_socket = require "coropanic.socket"
local luv = require "luv"
local socket = require "socket"
local uv = require "coropanic.uv"

--- Calls `fn` in a run whose tasks are interrupted every 50 µs, while two of them compute until it has ended.
local function run_interrupted(fn)
  co.preempt { slice = 0.00005 }
  finally(function() co.preempt(false) end)
  co.run(function()
    local over = false
    local function compute()
      while not over do
      end
    end
    local hogs = { co.spawn(compute), co.spawn(compute) }
    fn()
    over = true
    for _, hog in ipairs(hogs) do hog:await() end
  end)
end

describe("with interruptions every 50 µs", function()
  it("programs are started, read and waited for", function()
    run_interrupted(function()
      for i = 1, 5 do
        local pipe = assert(io.popen(("printf 'line %d\\n'; sleep 0.01; printf 'end\\n'"):format(i)))
        assert.equal(("line %d\nend\n"):format(i), pipe:read "a")
        assert.is_true(pipe:close())
      end
      local ok, how, status = os.execute "sleep 0.01; exit 3"
      assert.same({ nil, "exit", 3 }, { ok, how, status })
    end)
  end)

  it("files are written and read", function()
    run_interrupted(function()
      local path = os.tmpname()
      local text = ("0123456789"):rep(20000)
      local file = assert(io.open(path, "w"))
      assert(file:write(text))
      file:close()
      file = assert(io.open(path))
      assert.equal(text, file:read "a")
      file:close()
      os.remove(path)
    end)
  end)

  it("luasocket's blocking calls time out, and transfer everything", function()
    run_interrupted(function()
      local server = assert(socket.bind("127.0.0.1", 0))
      local _, port = server:getsockname()
      server:settimeout(0.02)
      assert.same({ nil, "timeout" }, { server:accept() })
      socket.sleep(0.01)
      local client = assert(socket.connect("127.0.0.1", port))
      local peer = assert(server:accept())
      local text = ("x"):rep(50000)
      assert.equal(#text, client:send(text))
      assert.equal(text, peer:receive(#text))
      client:close()
      peer:close()
      server:close()
    end)
  end)

  it("coropanic.socket transfers everything", function()
    run_interrupted(function()
      local server = assert(co_socket.bind("127.0.0.1", 0))
      local _, port = server:getsockname()
      local echo = co.spawn(function()
        local peer = assert(server:accept())
        for _ = 1, 50 do
          local line = assert(peer:receive "*l")
          assert(peer:send(line:upper() .. "\n"))
        end
        peer:close()
      end)
      local client = assert(co_socket.connect("127.0.0.1", port))
      for i = 1, 50 do
        assert(client:send(("line %d\n"):format(i)))
        assert.equal(("LINE %d"):format(i), client:receive "*l")
      end
      client:close()
      echo:await()
      server:close()
    end)
  end)

  it("luv's timers and files call back", function()
    run_interrupted(function()
      for _ = 1, 5 do
        local file = uv.await(luv.fs_open, "README.md", "r", 438)
        assert.equal("# coropanic", uv.await(luv.fs_read, file, 11, 0))
        uv.await(luv.fs_close, file)
        local timer = luv.new_timer()
        uv.await(luv.timer_start, timer, 2, 0)
        uv.close(timer)
      end
    end)
  end)
end)
