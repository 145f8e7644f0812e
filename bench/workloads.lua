-- What is measured. Each workload:
--   name, sizes        its programs are called with them; "memory/defer" is a case of "memory"
--   size               what a size counts
--   operation          what the cost is of
--   unit               how it is shown
--   collectors         the modes of the collector in which it is measured, each in rows of its own
--   rounds             { size = the most rounds }, for sizes that take long
--   figures            what is shown of a run, if it is not the cost of each operation: see statistics.lua
--   peers              whom coropanic is compared with, see bench/peers.lua
--   limits             { peer = { the largest size, why } }, for those that can not do all sizes
--   needs              a program of the system without which nobody can be measured
--   targets            what is aimed at, of the ratio of our cost to theirs (the median of the rounds):
--                      { against = peer, at_most = ratio or times_faster = 1 / ratio, sizes = only those }
--                      { against_size = n, at_most = ratio } of our cost to our own cost at that size
--                      { at_most_cost = cost in the unit } of the cost itself
--                      { figure = another than the cost of each }
--                      in each mode of the collector, but not for a stopped one
-- `make bench` reads nothing else to know what to do.

local NANOSECONDS = { name = "ns", per = 1e9 }
local MICROSECONDS = { name = "µs", per = 1e6 }
local MILLISECONDS = { name = "ms", per = 1e3 }
local BYTES = { name = "B", per = 1 }

-- As programs run.
local RUNNING = { "generational", "incremental" }
-- Beside it, what the work costs without what it leaves to the collector.
local ALSO_STOPPED = { "generational", "incremental", "stopped" }
-- What does not depend on the collector: the generators of ids are C, and memory is counted after it has run.
local ANY = { "any" }

local FIBER_STACKS = { 30000, "a fiber has a C stack of its own, and a process may map only so many" }
local TOO_SLOW = "takes too long to be repeated"

-- How often sizes are run at most that take long.
local AT_A_MILLION = { [1000000] = 3 }

-- The cost of each may not grow with the number of all.
local LINEAR = { against_size = 1000, at_most = 1.5, sizes = { 100000, 1000000 } }

local workloads = {
  {
    name = "switch",
    sizes = { 2, 1000, 100000 },
    size = "tasks",
    operation = "a task gives way and runs again in its turn; tasks take turns in the order of their memory",
    unit = NANOSECONDS,
    collectors = RUNNING,
    peers = { "floor", "lua", "cqueues", "luv", "tarantool", "luajit", "go" },
    limits = { tarantool = FIBER_STACKS },
    targets = { { against = "floor", at_most = 1.15 }, { against = "go", at_most = 0.9 } },
  },
  {
    name = "switch/random",
    sizes = { 1000, 100000, 1000000 },
    size = "tasks",
    operation = "the same, in an order that has nothing to do with that of memory, as timers and sockets"
      .. " wake tasks",
    unit = NANOSECONDS,
    collectors = RUNNING,
    rounds = AT_A_MILLION,
    peers = { "floor", "lua", "cqueues", "luv", "tarantool", "luajit", "go" },
    limits = {
      tarantool = FIBER_STACKS,
      cqueues = { 100000, TOO_SLOW },
      luv = { 100000, TOO_SLOW },
      go = { 100000, TOO_SLOW },
    },
    targets = { { against = "floor", at_most = 0.5, sizes = { 100000, 1000000 } } },
  },
  {
    name = "spawn",
    sizes = { 200000 },
    size = "tasks, a hundred at a time",
    operation = "a task is spawned, begins and ends; of Lua: `coroutine.wrap(f)()`",
    unit = NANOSECONDS,
    collectors = ALSO_STOPPED,
    peers = { "floor", "lua", "cqueues", "luv", "tarantool", "luajit", "go" },
    targets = { { against = "lua", at_most = 1 }, { against = "cqueues", at_most = 0.3 } },
  },
  {
    name = "spawn/cold",
    sizes = { 100000 },
    size = "tasks, all alive at the end",
    operation = "a task is spawned, begins and waits, and none ends before all have begun;"
      .. " of Lua: `coroutine.create` and `resume`",
    unit = NANOSECONDS,
    collectors = RUNNING,
    peers = { "floor", "lua", "cqueues", "luv", "tarantool", "luajit", "go" },
    limits = { tarantool = FIBER_STACKS },
    targets = { { against = "lua", at_most = 1.2 } },
  },
  {
    name = "spawn/parked",
    sizes = { 100000 },
    size = "tasks that stay parked",
    operation = "a task is spawned, begins and ends beside them",
    unit = NANOSECONDS,
    collectors = RUNNING,
    peers = { "lua", "cqueues", "luv", "luajit", "go" },
    targets = {},
  },
  {
    name = "spawn/traced",
    sizes = { 200000 },
    size = "tasks, a hundred at a time",
    operation = "a task is spawned, with a trace of its own or with its parent's, begins and ends",
    unit = NANOSECONDS,
    collectors = RUNNING,
    peers = { "coropanic-inherited" },
    targets = {},
  },
  {
    name = "skynet",
    sizes = { 10000, 1000000 },
    size = "leaves of a tree of tasks, each of which spawns ten and sums what they send",
    operation = "a leaf",
    unit = NANOSECONDS,
    collectors = RUNNING,
    rounds = AT_A_MILLION,
    peers = { "lua", "cqueues", "tarantool", "luajit", "go" },
    limits = { tarantool = FIBER_STACKS, cqueues = { 10000, TOO_SLOW } },
    targets = {},
  },
  {
    name = "chan_unbuffered",
    sizes = { 200000 },
    size = "round trips",
    operation = "a value is sent to another task and sent back; of Lua: resume and yield",
    unit = NANOSECONDS,
    collectors = RUNNING,
    peers = { "lua", "cqueues", "tarantool", "luajit", "go" },
    targets = { { against = "go", at_most = 0.9 }, { against = "tarantool", at_most = 0.65 } },
  },
  {
    name = "wake",
    sizes = { 1000, 100000 },
    size = "tasks, each of which waits for a channel of its own",
    operation = "a task is woken by a value and waits for the next; they are woken in the order of memory",
    unit = NANOSECONDS,
    collectors = RUNNING,
    peers = { "lua", "cqueues", "tarantool", "luajit", "go" },
    limits = { tarantool = FIBER_STACKS },
    targets = {},
  },
  {
    name = "wake/random",
    sizes = { 1000, 100000 },
    size = "tasks, each of which waits for a channel of its own",
    operation = "the same, in an order that has nothing to do with that of memory",
    unit = NANOSECONDS,
    collectors = RUNNING,
    peers = { "lua", "cqueues", "tarantool", "luajit", "go" },
    limits = { tarantool = FIBER_STACKS },
    targets = {},
  },
  {
    name = "chan_buffered",
    sizes = { 1000000 },
    size = "values",
    operation = "a value goes through a channel with room for a hundred",
    unit = NANOSECONDS,
    collectors = RUNNING,
    peers = { "cqueues", "tarantool", "go" },
    targets = {},
  },
  {
    name = "select8",
    sizes = { 200000 },
    size = "values",
    operation = "a value is received by a select over 8 channels, all of which have a sender waiting",
    unit = NANOSECONDS,
    collectors = RUNNING,
    peers = { "cqueues", "go" },
    targets = {},
  },
  {
    name = "mutex",
    sizes = { 8 },
    size = "tasks that want it",
    operation = "a task locks it, gives way, and unlocks it to the next",
    unit = NANOSECONDS,
    collectors = RUNNING,
    peers = { "cqueues", "tarantool", "go" },
    targets = {},
  },
  {
    name = "timers",
    sizes = { 1000, 100000, 1000000 },
    size = "timers pending",
    operation = "a timer is inserted, and half of them are cancelled and the rest fire",
    unit = NANOSECONDS,
    collectors = RUNNING,
    rounds = AT_A_MILLION,
    peers = { "cqueues", "luv", "tarantool", "go" },
    limits = { tarantool = FIBER_STACKS, cqueues = { 100000, TOO_SLOW }, luv = { 100000, TOO_SLOW } },
    targets = { { against_size = 1000, at_most = 2.5, sizes = { 1000000 } } },
  },
  {
    name = "func",
    sizes = { 1000000 },
    size = "calls",
    operation = "a call of a `co.func` that defers nothing; of Lua: a `pcall`; of Go: a deferred recover",
    unit = NANOSECONDS,
    collectors = RUNNING,
    peers = { "lua-pcall", "go" },
    targets = { { against = "lua-pcall", at_most = 1.15 } },
  },
  {
    name = "defer",
    sizes = { 500000 },
    size = "deferred calls, a hundred in a frame",
    operation = "a call is deferred and run; of Lua: a to-be-closed variable",
    unit = NANOSECONDS,
    collectors = ALSO_STOPPED,
    peers = { "floor", "lua-close", "go" },
    targets = { { against = "lua-close", at_most = 2.2 } },
  },
  {
    name = "panic",
    sizes = { 1, 10, 50 },
    size = "frames between the panic and who recovers it",
    operation = "a panic, its record and recovery; of Lua: pcall, xpcall with debug.traceback; of Go: bare",
    unit = NANOSECONDS,
    collectors = ALSO_STOPPED,
    peers = { "floor", "lua-pcall", "lua-xpcall", "go" },
    targets = {
      { against = "lua-pcall", at_most = 4.5, sizes = { 10 } },
      { against = "lua-xpcall", times_faster = 45, sizes = { 10 } },
    },
  },
  {
    name = "panic/task",
    sizes = { 10 },
    size = "frames",
    operation = "a task is spawned, panics, recovers from it and ends; of Lua: a coroutine and a pcall in it",
    unit = NANOSECONDS,
    collectors = RUNNING,
    peers = { "lua-pcall", "lua-xpcall", "go" },
    targets = {},
  },
  {
    name = "panic/joined",
    sizes = { 10 },
    size = "frames",
    operation = "a task is spawned and panics, and another that joins it gets the record; of Lua: a coroutine"
      .. " that fails, and the message of its resumption",
    unit = NANOSECONDS,
    collectors = RUNNING,
    peers = { "lua-pcall", "lua-xpcall", "go" },
    targets = {},
  },
  {
    name = "report",
    sizes = { 10 },
    size = "frames",
    operation = "a panic, recovered, and the text of its report; of Lua: xpcall with debug.traceback",
    unit = NANOSECONDS,
    collectors = RUNNING,
    peers = { "lua-xpcall" },
    targets = {},
  },
  {
    name = "cancel_tree",
    sizes = { 100000 },
    size = "leaves of a tree of scopes",
    operation = "a task of the tree ends because the root is cancelled",
    unit = NANOSECONDS,
    collectors = RUNNING,
    peers = { "go" },
    targets = {},
  },
  {
    name = "cancel",
    sizes = { 1000, 100000, 1000000 },
    size = "tasks in a scope, which sleep",
    operation = "a task is unwound, runs a deferred call and ends because its scope is cancelled",
    unit = NANOSECONDS,
    collectors = RUNNING,
    rounds = AT_A_MILLION,
    peers = { "go" },
    targets = { LINEAR },
  },
  {
    name = "supervise",
    sizes = { 1000, 100000, 1000000 },
    size = "tasks of a supervisor",
    operation = "a task panics, and is reported to a handler that does nothing",
    unit = NANOSECONDS,
    collectors = RUNNING,
    rounds = AT_A_MILLION,
    peers = {},
    targets = { LINEAR },
  },
  {
    name = "scope",
    sizes = { 1000, 100000, 1000000 },
    size = "tasks of a scope",
    operation = "a task panics, the first of them by itself and the others while they are cancelled for it",
    unit = NANOSECONDS,
    collectors = RUNNING,
    rounds = AT_A_MILLION,
    peers = {},
    targets = { LINEAR },
  },
  {
    name = "nested_scopes",
    sizes = { 10, 100, 190 },
    size = "scopes, each in the one before",
    operation = "a scope is opened and closed",
    unit = NANOSECONDS,
    collectors = RUNNING,
    peers = {},
    targets = { { against_size = 10, at_most = 1.5, sizes = { 190 } } },
  },
  {
    name = "memory_resident",
    sizes = { 20000 },
    size = "parked tasks",
    operation = "a parked task, as the system counts what the process occupies",
    unit = BYTES,
    collectors = ANY,
    peers = { "lua", "cqueues", "tarantool", "luajit", "go" },
    targets = {},
  },
  {
    name = "gc_pause",
    sizes = { 100000, 1000000 },
    size = "parked tasks",
    operation = "the longest time that the collector keeps a program from going on",
    unit = MILLISECONDS,
    collectors = RUNNING,
    rounds = AT_A_MILLION,
    figures = { "longest" },
    peers = { "lua", "cqueues" },
    limits = { cqueues = { 100000, TOO_SLOW } },
    targets = { { against = "lua", at_most = 1.1, sizes = { 1000000 } } },
  },
  {
    name = "frame",
    sizes = { 10000 },
    size = "tasks, a tenth of which runs in each frame and leaves small tables to the collector",
    operation = "a frame of a host with a loop of its own: the time within which half of the frames are done,"
      .. " 99 of 100, or 999 of 1,000; `coropanic-idle`: with `co.collector { mode = \"idle\" }`",
    unit = MICROSECONDS,
    collectors = RUNNING,
    figures = { "p50", "p99", "p999" },
    peers = { "coropanic-idle", "lua", "cqueues" },
    targets = {},
  },
  {
    name = "id",
    sizes = { 20000000 },
    size = "ids",
    operation = "64 random bits of the generator of ids",
    unit = NANOSECONDS,
    collectors = ANY,
    peers = {},
    targets = { { at_most_cost = 15 } },
  },
  {
    name = "gateway",
    sizes = { 50 },
    size = "connections of wrk",
    operation = "a request over a kept connection: a task answers it while it holds one of a few slots",
    unit = MICROSECONDS,
    collectors = RUNNING,
    needs = "wrk",
    peers = { "lua-http" },
    figures = { "each", "p99" },
    targets = {
      { against = "lua-http", times_faster = 1.5 },
      { against = "lua-http", figure = "p99", at_most = 1 },
    },
  },
}

-- A parked task, by what it holds, beside a bare coroutine of Lua's that holds nothing and has yielded.
local HOLDINGS = {
  {
    "lua", "nothing: its function is one of Lua, which sleeps",
    at_most = 1.17,
    peers = { "lua", "cqueues", "luajit", "go" },
  },
  { "c", "nothing: its function is `co.sleep` itself" },
  { "defer", "a deferred call", at_most = 1.35, peers = { "lua", "go" } },
  { "func", "the frame of a `co.func` that it is in", at_most = 1.4 },
  { "scope", "a scope of its own", at_most = 1.7 },
  { "timeout", "a time-out of its own", at_most = 1.7, peers = { "lua", "go" } },
  { "select", "its places in the queues of two channels", peers = { "lua", "go" } },
  { "channel", "a channel of its own, which it waits for", peers = { "lua", "go" } },
  { "name", "a name" },
  { "attributes", "attributes of its own" },
  { "span", "a span that is recorded" },
}

for _, holding in ipairs(HOLDINGS) do
  workloads[#workloads + 1] = {
    name = "memory/" .. holding[1],
    sizes = { 100000 },
    size = "parked tasks",
    operation = "a parked task that holds " .. holding[2],
    unit = BYTES,
    collectors = ANY,
    peers = holding.peers or { "lua" },
    targets = { holding.at_most and { against = "lua", at_most = holding.at_most } or nil },
  }
end

for _, generator in ipairs { "random", "uuid7", "snowflake", "hlc" } do
  workloads[#workloads + 1] = {
    name = "id/" .. generator,
    sizes = { 20000000 },
    size = "ids",
    operation = ("a trace id of the generator `%s`"):format(generator),
    unit = NANOSECONDS,
    collectors = ANY,
    peers = {},
    targets = { { at_most_cost = 25 } },
  }
end

return workloads
