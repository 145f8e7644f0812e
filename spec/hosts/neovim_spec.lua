--- The guest in Neovim: spec/hosts/neovim/tasks.lua.

local host = require "spec.hosts.host"
local helpers = require "spec.helpers"

describe("Neovim", function()
  local output, status

  setup(function()
    local script = host.HERE .. "/spec/hosts/neovim/tasks.lua"
    output, status = host.run("nvim", "--headless", "-u", "NONE", "-i", "NONE", "-c", "luafile " .. script)
  end)

  local MAIN = [[
the buffer: written by a task
in a callback: co.run inside a callback of libuv: call it by vim.schedule, or spawn a task
the second may write: w
nothing to read: nil
the first may read: r
co.wait_fd: descriptor 99: EBADF: bad file descriptor
bad argument #1 to 'wait_fd' (descriptor or object with getfd, pollfd or fileno expected, got string)
]]

  it("runs spawned tasks in its loop, where they may use its API", function()
    helpers.assert_contains(MAIN .. "in a task: co.run inside a task: use a scope", output)
  end)

  it("runs co.run too, and returns its results and panics", function()
    helpers.assert_contains(MAIN .. "co.run: main's result\na panic: oops\n", output)
  end)

  it("shows the report of a panic once", function()
    helpers.assert_contains("nobody joins this\ntask 4 panicked, trace ", (output:gsub("\r", "")))
    assert.equal(1, select(2, output:gsub("nobody joins this", "")))
  end)

  it("ends well", function() assert.equal(0, status) end)
end)
