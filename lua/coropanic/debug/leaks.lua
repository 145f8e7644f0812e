--- What /leaks answers: the tasks that nothing can wake any more. Looking for them stops the program for a
--- moment (docs/leaks.md), so it is done only when this is asked, and seldom.

local co = require "coropanic"
local http = require "coropanic.debug.http"
local json = require "coropanic.debug.json"
local text_of = require "coropanic.text"

local leaks = {}

leaks.CONTRACT = "coropanic-explorer-leaks/1"
leaks.SECONDS = 30 -- between two looks

local MAX_TASKS = 1000 -- that are told

--- The runtime has one answer, so that many who ask do not make it look more often.
local last = { tasks = {} } ---@type { tasks: coropanic.task[], at: number?, took: number? }

local function look()
  local before = os.clock()
  local tasks = co.leaks() -- the array is no reference: the next look finds the tasks again
  last.tasks, last.took, last.at = tasks, os.clock() - before, co.now()
end

--- Returns the tasks that the last look has found and that still wait, and when it was.
---@return table[] found, number? at
function leaks.found()
  local found = json.list {}
  for i = 1, math.min(#last.tasks, MAX_TASKS) do
    local task = last.tasks[i]
    if task:status() == "waiting" then
      found[#found + 1] = {
        task = task.id, name = text_of.valid(task.name), site = text_of.valid(task.where or "?"),
        since = last.at,
      }
    end
  end
  return found, last.at
end

--- Forgets the last look, so that the next question looks again.
function leaks.forget() last = { tasks = {} } end

--- Answers a request: looks, unless it has looked a moment ago.
---@return coropanic.debug.response
function leaks.answer()
  local now = co.now()
  if not last.at or now - last.at >= leaks.SECONDS or now < last.at then look() end
  local found = leaks.found()
  return http.text(200, json.encode {
    schema = leaks.CONTRACT, count = #last.tasks, leaks = found, age = co.now() - last.at,
    cpu_ms = last.took * 1000,
  }, "application/json")
end

return leaks
