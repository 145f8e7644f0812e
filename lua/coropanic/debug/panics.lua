--- The last panics, redacted, for coropanic.debug: what the page shows of a task that has panicked.

local co = require "coropanic"
local redact = require "coropanic.redact"
local text_of = require "coropanic.text"

local panics = {}

local KEEP = 64
local MAX_TEXT = 16384 -- bytes of a report
-- So many panics a second are described; more are only counted. A description costs about as much as the
-- panic.
local MAX_PER_SECOND = 100

local kept = {} ---@type { seq: integer, task: integer?, panic: table, report: string, recovered: boolean }[]
local lost = 0
local second, in_second = 0, 0

--- Whether there is time to describe one more.
local function may_describe()
  local now = math.floor(co.now())
  if now ~= second then second, in_second = now, 0 end
  in_second = in_second + 1
  return in_second <= MAX_PER_SECOND
end

local function keep(record)
  local panic, report = redact.account(record)
  if not panic then return end
  local task = panic.task
  kept[#kept + 1] = {
    seq = record.seq, panic = panic, report = text_of.valid(report):sub(1, MAX_TEXT), recovered = false,
    task = type(task) == "table" and math.type(task.id) == "integer" and task.id or nil,
  }
  if #kept > KEEP then
    table.remove(kept, 1)
    lost = lost + 1
  end
end

local function hear(kind, record)
  if kind == "recover" then
    for i = #kept, 1, -1 do
      if kept[i].seq == record.seq then kept[i].recovered = true end
    end
  elseif may_describe() then
    keep(record)
  else
    lost = lost + 1
  end
end

local stop ---@type fun()?
local watchers = 0

--- Keeps panics until as many calls of the result as of this.
---@return fun() stop
function panics.watch()
  watchers = watchers + 1
  stop = stop or co.observe({ "panic", "recover" }, hear)
  local stopped = false
  return function()
    if stopped then return end
    stopped = true
    watchers = watchers - 1
    if watchers == 0 then
      stop()
      stop = nil
    end
  end
end

--- Returns the kept panics, the oldest first, and how many are not kept any more.
function panics.all() return kept, lost end

return panics
