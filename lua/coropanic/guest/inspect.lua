--- co.current, co.tasks, co.dump, co.stats: the twin of csrc/lua/lib_inspect.c.

local args = require "coropanic.guest.args"
local compat = require "coropanic.guest.compat"
local generator = require "coropanic.guest.generator"
local ids = require "coropanic.guest.ids"
local kernel = require "coropanic.guest.kernel"
local port = require "coropanic.guest.port"

local api, state, getinfo = kernel.api, port.state, compat.getinfo

--- The most lines of one task's stack; more are counted.
local MAX_FRAMES = 20

function api.current()
  local t = state().current
  return t and kernel.handle(t)
end

function api.tasks()
  local result = kernel.each(state())
  for i, t in ipairs(result) do result[i] = kernel.handle(t) end
  return result
end

local function head(t)
  local text = ('task %d "%s" %s%s'):format(t.id, kernel.name_of(t), t.status, t.daemon and ", daemon" or "")
  if t.status == "waiting" then text = text .. " on " .. kernel.waiting_text(t) end
  local trace_id = ids.trace_id(ids.of(t.coroutine))
  text = ("%s, trace %s\n\tspawned at %s"):format(text, trace_id, kernel.spawned_at(t))
  local parent = t.parent
  if parent then text = ('%s by task %d "%s"'):format(text, parent.id, kernel.name_of(parent)) end
  return text .. "\n"
end

--- Adds the lines of a thread's stack. Returns how many lines there are.
local function add_stack(out, thread, lines)
  local level = 0
  while true do
    local info = getinfo(thread, level, "Sln")
    if info == nil then return lines end
    if not kernel.is_ours(info.source) and info.what ~= "tail" then
      local outer = getinfo(thread, level + 1, "S")
      if not (info.what == "C" and outer and kernel.is_ours(outer.source)) then
        if lines == MAX_FRAMES then
          out[#out + 1] = "\t...\n"
          return lines + 1
        end
        local place = info.short_src
        if info.currentline > 0 then place = ("%s:%d"):format(place, info.currentline) end
        local name = info.name ~= "?" and info.name
          or ("function <%s:%d>"):format(info.short_src, info.linedefined)
        out[#out + 1] = ("\t%s in %s\n"):format(place, name)
        lines = lines + 1
      end
    end
    level = level + 1
  end
end

local function dump_stack(out, t)
  local lines = 0
  local c = t.top
  while c ~= nil and lines <= MAX_FRAMES do
    local thread = c.thread
    while type(thread) == "thread" and lines <= MAX_FRAMES do
      lines = add_stack(out, thread, lines)
      thread = kernel.below and kernel.below[thread]
    end
    c = c.outer
  end
end

--- The tasks of a dump: the one that is asked for, or all.
local function asked_for(task)
  if task == nil then return kernel.each(state()) end
  local t = kernel.test(task)
  if t == nil then args.type_error(task, 1, "dump", "task") end
  return { t }
end

function api.dump(task)
  local out = {}
  for i, t in ipairs(asked_for(task)) do
    if i > 1 then out[#out + 1] = "\n" end
    out[#out + 1] = head(t)
    dump_stack(out, t)
  end
  return table.concat(out)
end

function api.stats()
  local u = state()
  local counts = u.counts
  return {
    spawned = counts.spawn, live = u.live, ready = port.ready and port.ready() or 0, switches = counts.start,
    panics = counts.panic, recovered = counts.recover, unhandled = counts.unhandled, cancelled = u.cancelled,
    afters = u.afters, leaked = u.leaked, timers = counts.timer, steals = counts.overrun,
    preemptions = 0, rejected_clocks = generator.ids:rejected_clocks(),
  }
end

return api
