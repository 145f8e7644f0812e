--- libuv's loop: Neovim (vim.uv, vim.loop), and programs that have loaded luv. It is the plain host, which an
--- idle handle or a timer calls when tasks are ready or due, so that tasks run without co.run.
---
---     spawn, wake, start_timer ─▶ stir ─▶ arm ─▶ idle handle or timer ─▶ turn ─▶ co.step ─▶ arm
---
--- In Neovim a turn is scheduled by vim.schedule, because its API must not be called in libuv's callbacks.
---
---   luv/run.lua    co.run, which waits by running the loop     luv/watch.lua    co.wait_fd

local list = require "coropanic.guest.list"
local luv = require "coropanic.host.plain"

luv.name = "luv"

local vim = rawget(_G, "vim")
vim = type(vim) == "table" and (vim.uv or vim.loop) and vim or nil
local uv = vim and (vim.uv or vim.loop) or require "luv"
luv.uv, luv.vim = uv, vim

--- Tasks run for at most so many seconds before the loop looks at its events again.
local TURN_SECONDS = 0.005

local u = luv.state()

--- Whole milliseconds in which so many seconds are over.
function luv.milliseconds(seconds) return math.ceil(seconds * 1000) end

function luv.open(kernel)
  local api = kernel.api
  require("coropanic.host.plain.run").open(kernel, luv, luv.loop)

  local idle, timer = uv.new_idle(), uv.new_timer()
  luv.timer = timer

  --- A handle keeps the loop alive only as tasks keep a run going.
  local function hold_loop(handle)
    if u.live > u.daemons or not list.is_empty(u.held) then handle:ref() else handle:unref() end
  end

  local turn

  --- Sees to it that the loop calls us when it is time.
  local function arm()
    local seconds = api.timeout()
    if seconds == 0 then
      idle:start(turn)
      hold_loop(idle)
    elseif seconds then
      uv.update_time()
      timer:start(luv.milliseconds(seconds), 0, turn)
      hold_loop(timer)
    end
  end

  local function take_turn()
    if u.driving then return end -- co.run, which waits, takes care of all
    api.step(TURN_SECONDS)
    arm()
  end
  local step = vim and vim.schedule_wrap(take_turn) or take_turn

  function turn()
    idle:stop()
    step()
  end

  function luv.stir()
    if not idle:is_active() then arm() end
  end

  require("coropanic.host.luv.run").open(kernel, luv)
  require("coropanic.host.luv.watch").open(kernel, luv)
end

if vim then
  --- It shows control characters as ^I.
  local function show(text) vim.notify((text:gsub("\t", "  ")), vim.log.levels.ERROR) end
  local show_later = vim.schedule_wrap(show)

  function luv.report(text)
    if vim.in_fast_event() then show_later(text) else show(text) end
  end
end

return luv
