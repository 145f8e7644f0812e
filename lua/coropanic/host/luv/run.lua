--- co.run over libuv: while its tasks wait, it runs libuv's loop. In Neovim, vim.wait does that.

local run = {}

function run.open(kernel, luv)
  local cancel = require "coropanic.guest.cancel"
  local shutdown = require "coropanic.guest.shutdown"

  local api, uv, vim, u = kernel.api, luv.uv, luv.vim, luv.state()

  --- Raises where the loop can't be run.
  local function check(name)
    if vim and vim.in_fast_event() then
      kernel.raise("co.%s inside a callback of libuv: call it by vim.schedule, or spawn a task", name)
    elseif uv.loop_mode and uv.loop_mode() then
      kernel.raise("co.%s while libuv's loop is running: spawn a task, which the loop runs", name)
    end
  end

  for _, name in ipairs { "run", "run_with" } do
    local run_plain = api[name]
    api[name] = function(...)
      if u.current == nil then check(name) end -- else run_plain says better what is wrong
      return run_plain(...)
    end
  end

  --- At the end of a run it is pointless to wait for tasks whose deferred calls wait for other tasks.
  local function is_worth_it() return not u.finishing or shutdown.others_may_go_on(u) end

  if vim then
    --- vim.wait's second result if Ctrl-C was typed.
    local INTERRUPTED = -2
    local FOR_EVER = 2147483647

    local function is_ready() return luv.ready() > 0 end

    function luv.sleep(seconds)
      local ms = seconds and math.min(luv.milliseconds(seconds), FOR_EVER) or FOR_EVER
      local _, why = vim.wait(ms, is_ready)
      if why == INTERRUPTED and u.main_task then cancel.ask(u.main_task.entry, nil, "interrupt") end
    end

    function luv.look() vim.wait(0) end

    luv.may_be_woken = is_worth_it
    return
  end

  local function nothing() end

  function luv.sleep(seconds)
    if seconds then
      uv.update_time()
      luv.timer:start(luv.milliseconds(seconds), 0, nothing)
      luv.timer:ref()
    end
    uv.run "once"
    luv.timer:stop()
  end

  function luv.look() uv.run "nowait" end

  function luv.may_be_woken()
    luv.timer:stop()
    return uv.loop_alive() and is_worth_it()
  end
end

return run
