-- What a user wants to know first: a few rows of all, in plain words, for README.md and docs/performance.md.

local rows = require "rows"

local headline = {}

-- label and size of the rows, what they are in plain words, and whom they stand against:
-- { the row's peer, in plain words }.
headline.LIST = {
  {
    "switch", 1000, "a task gives way among 1,000, in order of memory",
    { "floor", "a bare loop of `lua_resume` in C" },
    { "go", "Go" },
  },
  {
    "switch/random", 100000, "a task gives way among 100,000, in random order",
    { "floor", "a bare loop of `lua_resume` in C" },
    { "go", "Go" },
  },
  {
    "spawn", 200000, "a task is spawned and ends",
    { "lua", "`coroutine.wrap(f)()`" },
    { "cqueues", "cqueues" },
  },
  {
    "spawn/cold", 100000, "a task is spawned, and 100,000 stay alive",
    { "lua", "`coroutine.create` and `resume`" },
  },
  {
    "chan_unbuffered", 200000, "a value goes through a channel, and another comes back",
    { "go", "Go" },
    { "tarantool", "Tarantool" },
  },
  {
    "panic", 10, "a panic through 10 frames, its record and recovery",
    { "lua-pcall", "`pcall` of an error, which keeps no stack" },
    { "lua-xpcall", "`xpcall` with `debug.traceback`" },
  },
  { "defer", 500000, "a call is deferred and runs", { "lua-close", "a to-be-closed variable" } },
  {
    "timers", 1000000, "a timer of 1,000,000 is set, and fires or is cancelled",
    { "go", "Go" },
    { "coropanic 1000", "the same of 1,000 timers" },
  },
  {
    "cancel", 1000000, "one of 1,000,000 tasks of a scope is cancelled",
    { "coropanic 1000", "the same of 1,000 tasks" },
  },
  {
    "memory/lua", 100000, "memory of a task that waits",
    { "lua", "a coroutine that has yielded" },
    { "go", "Go" },
  },
  {
    "memory/defer", 100000, "memory of a task that waits and has a deferred call",
    { "lua", "a coroutine that has yielded" },
  },
  {
    "memory/scope", 100000, "memory of a task that waits in a scope of its own",
    { "lua", "a coroutine that has yielded" },
  },
  {
    "gc_pause longest", 1000000, "longest pause by the collector while 1,000,000 tasks wait",
    { "lua", "1,000,000 coroutines that have yielded" },
  },
  {
    "frame p999", 10000, "999 of 1,000 frames of a loop with 10,000 tasks end within",
    { "coropanic-idle", "the same with `co.collector { mode = \"idle\" }`" },
    { "lua", "coroutines" },
  },
  { "gateway", 50, "a request of an HTTP service", { "lua-http", "lua-http" } },
  { "gateway p99", 50, "99 of 100 requests are answered within", { "lua-http", "lua-http" } },
}

-- The row of a collector; nil: it was not measured.
local function find(list, label, size, peer, collector)
  for _, row in ipairs(list) do
    local is_it = row.label == label and row.size == ("%d"):format(size) and row.peer == peer
    if is_it and (row.collector == collector or row.collector == "") then return row end
  end
end

-- Our cost and the ratio; where the line above has our cost, the ratio alone.
local function cell(row, is_first)
  if not row then return "" end
  if row.ratio == "" then return row.ours end
  return is_first and ("%s: %s"):format(row.ours, row.ratio) or row.ratio
end

--- The table, of all rows of a run.
---@return string
function headline.of(run)
  local list = rows.all(run)
  local lines = { "| | generational | incremental | against |", "| --- | --: | --: | --- |" }
  for _, entry in ipairs(headline.LIST) do
    local label, size, what = table.unpack(entry, 1, 3)
    for i = 4, #entry do
      local peer, whom = table.unpack(entry[i])
      local generational = find(list, label, size, peer, "generational")
      local incremental = find(list, label, size, peer, "incremental")
      if generational or incremental then
        local is_first = what ~= ""
        local cells = { what, cell(generational, is_first), cell(incremental, is_first), whom }
        lines[#lines + 1] = "| " .. table.concat(cells, " | ") .. " |"
        what = ""
      end
    end
  end
  return table.concat(lines, "\n")
end

return headline
