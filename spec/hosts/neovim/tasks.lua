--- A script for Neovim: tasks that the editor's loop runs, then those of co.run. It prints what they see.

local co = require "coropanic"
local uv = vim.loop

local function say(...)
  local words = {}
  for i = 1, select("#", ...) do words[i] = tostring((select(i, ...))) end
  io.stdout:write(table.concat(words, " "), "\n")
end

--- What co.run raises inside a callback of libuv, and in a task.
local function try_run() return select(2, pcall(co.run, say)) end

local function use_loop()
  local timer = uv.new_timer()
  local err = co.await(function(resume)
    timer:start(1, 0, function() resume(try_run()) end)
  end)
  timer:close()
  say("in a callback:", err)
end

local function use_descriptors()
  local ends = uv.socketpair()
  local readers = {}
  for i = 1, 2 do
    readers[i] = co.spawn(function() return co.wait_fd(ends[1], i == 1 and "r" or "rw") end)
  end
  say("the second may write:", readers[2]:await())
  say("nothing to read:", co.wait_fd(ends[1], "r", 0.005))
  uv.fs_write(ends[2], "hello")
  say("the first may read:", readers[1]:await())
  say(select(2, pcall(co.wait_fd, 99, "r")))
  say(select(2, pcall(co.wait_fd, "x", "r")))
end

local function main()
  co.sleep(0.001)
  vim.api.nvim_buf_set_lines(0, 0, -1, true, { "written by a task" })
  say("the buffer:", vim.api.nvim_get_current_line())
  use_loop()
  use_descriptors()
  return "main's result"
end

co.spawn(function()
  main()
  say("in a task:", (try_run():gsub("^.-:%d+: ", "")))
  co.spawn(function() error "nobody joins this" end)
end)

co.on_exit(function()
  if #co.tasks() > 1 then return end
  co.on_exit(nil)
  vim.defer_fn(function() -- when the loop has run everything by itself
    say("co.run:", co.run(main))
    say("a panic:", select(2, pcall(co.run, error, "oops")).message)
    vim.cmd "qall!"
  end, 1200) -- a panic may be somebody's for a second
end)
