--- Go programs and what real Go prints for them, written in Lua: programs/ beside expected/.

local helpers = require "spec.helpers"

local scenarios = {
  ["01-crash-simple"] = "a panic runs the deferred calls, then is reported",
  ["02-crash-chain"] = "panics in deferred calls are reported as a chain",
  ["03-crash-recovered-repanic"] = "a recovered panic that is raised again is marked so, on one line",
  ["04-crash-recovered-then-new"] = "a panic after a recovery shows the recovered one first",
  ["05-crash-nested-recovered"] = "a panic that is recovered inside a deferred call leaves no trace",
  ["06-crash-error-value"] = "an error that wraps another is reported by its text",
  ["07-crash-stringer"] = "a value with __tostring is reported by it",
  ["08-crash-errorer"] = "an error object is reported by its message",
  ["09-crash-error-method-panics"] = "a __tostring that panics is a fatal error",
  ["10-crash-in-child"] = "a panic in a child ends the process",
  ["11-crash-goexit-main"] = "goexit in main lets the other tasks end, then is a deadlock",
  ["12-deadlock-chan"] = "waiting for what can not come is a deadlock",
  ["13-deadlock-two"] = "two tasks that wait for ever are a deadlock",
  ["14-deadlock-nilchan"] = "a channel that is nil is never ready",
  ["15-deadlock-select"] = "a select without cases waits for ever",
  ["16-order-frames"] = "the deferred calls of inner frames run before those of outer ones",
  ["17-results"] = "a deferred call sets the results of a frame that panicked",
  ["18-recover-levels"] = "recover works in the deferred function itself only",
  ["19-recover-loop"] = "each call of a function recovers its own panic",
  ["20-goexit-runs-all"] = "goexit runs the deferred calls of all frames and is not recovered",
  ["21-goexit-beats-panic"] = "goexit in a deferred call ends a panic",
  ["22-panic-during-goexit"] = "goexit goes on after a panic in it has been recovered",
  ["23-waiters-fifo"] = "who waits longest receives first",
  ["24-buffered-order"] = "a buffered channel keeps the order, and is drained after close",
  ["25-select-closed"] = "a closed channel is ready to receive from",
  ["26-select-send-closed"] = "a select that sends on a closed channel panics",
  ["27-close-nil"] = "closing nil panics",
  ["28-close-wakes-all"] = "close wakes all who receive",
  ["31-ctx-tree"] = "a context ends its children, and not its parent",
  ["32-ctx-deadline"] = "the child of a context past its deadline has ended",
  ["33-ctx-done-nil"] = "the background never ends",
}

--- Splits an expected file: stdout, then the first lines of stderr, then the exit status.
local function read_expected(name)
  local file = assert(io.open("spec/go/expected/" .. name .. ".out"))
  local expected = { stdout = "", stderr = {}, status = 0 }
  local in_stderr = false
  for line in file:lines() do
    local status = line:match "^%-%- exit (%d+)$"
    if status then
      expected.status = tonumber(status)
    elseif line == "-- stderr" then
      in_stderr = true
    elseif in_stderr then
      table.insert(expected.stderr, line)
    else
      expected.stdout = expected.stdout .. line .. "\n"
    end
  end
  file:close()
  return expected
end

--- What stands above the first empty line: the chain, without the account of the task.
local function head_of(stderr)
  local head = {}
  for _, line in ipairs(helpers.lines_of(stderr)) do
    if line == "" then
      return head
    end
    table.insert(head, line)
  end
  return head
end

local function names_in_order()
  local names = {}
  for name in pairs(scenarios) do
    table.insert(names, name)
  end
  table.sort(names)
  return names
end

describe("as in Go,", function()
  for _, name in ipairs(names_in_order()) do
    it(("%s (%s)"):format(scenarios[name], name), function()
      local expected = read_expected(name)
      local actual = helpers.run_program("spec/go/programs/" .. name .. ".lua")
      assert.same(
        { stdout = expected.stdout, stderr = expected.stderr, status = expected.status },
        { stdout = actual.stdout, stderr = head_of(actual.stderr), status = actual.status },
        actual.stderr
      )
    end)
  end
end)
