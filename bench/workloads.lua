-- What is measured. Each workload:
--   name, sizes        its programs are called with them
--   size               what a size counts
--   operation          what the cost is of
--   unit               how it is shown
--   peers              whom coropanic is compared with, see bench/peers.lua
--   limits             { peer = { the largest size, why } }, for those that can not do all sizes
--   needs              a program of the system without which nobody can be measured
--   targets            what is aimed at, of the ratio of our cost to theirs (the median of the rounds):
--                      { against = peer, at_most = ratio or times_faster = 1 / ratio, sizes = only those }
--                      { against_size = n, at_most = ratio } of our cost to our own cost at that size
--                      { at_most_cost = cost in the unit } of the cost itself
-- `make bench` reads nothing else to know what to do.

local NANOSECONDS = { name = "ns", per = 1e9 }
local MICROSECONDS = { name = "µs", per = 1e6 }
local MILLISECONDS = { name = "ms", per = 1e3 }
local BYTES = { name = "B", per = 1 }

local FIBER_STACKS = { 30000, "a fiber has a C stack of its own, and a process may map only so many" }
local TOO_SLOW = "takes too long to be repeated"

return {
  {
    name = "switch",
    sizes = { 2, 1000, 100000, 1000000 },
    size = "tasks",
    operation = "a task gives way and runs again in its turn",
    unit = NANOSECONDS,
    peers = { "floor", "lua", "cqueues", "luv", "tarantool", "luajit", "go" },
    limits = { tarantool = FIBER_STACKS },
    targets = {
      { against = "floor", at_most = 1.15, sizes = { 2, 1000, 100000 } },
      { against = "cqueues", times_faster = 3.5 },
      { against = "go", at_most = 1 },
    },
  },
  {
    name = "spawn",
    sizes = { 200000 },
    size = "tasks, a hundred at a time",
    operation = "a task is spawned, begins and ends; of Lua: `coroutine.wrap(f)()`",
    unit = NANOSECONDS,
    peers = { "lua", "cqueues", "luv", "tarantool", "luajit", "go" },
    targets = { { against = "lua", at_most = 0.7 }, { against = "cqueues", times_faster = 8 } },
  },
  {
    name = "spawn_traced",
    sizes = { 200000 },
    size = "tasks, a hundred at a time",
    operation = "a task is spawned, with a trace of its own or with its parent's, begins and ends",
    unit = NANOSECONDS,
    peers = { "coropanic-inherited" },
    targets = {},
  },
  {
    name = "skynet",
    sizes = { 10000, 1000000 },
    size = "leaves of a tree of tasks, each of which spawns ten and sums what they send",
    operation = "a leaf",
    unit = NANOSECONDS,
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
    peers = { "lua", "cqueues", "tarantool", "luajit", "go" },
    targets = { { against = "go", at_most = 0.75 }, { against = "tarantool", at_most = 0.5 } },
  },
  {
    name = "chan_buffered",
    sizes = { 1000000 },
    size = "values",
    operation = "a value goes through a channel with room for a hundred",
    unit = NANOSECONDS,
    peers = { "cqueues", "tarantool", "go" },
    targets = {},
  },
  {
    name = "select8",
    sizes = { 200000 },
    size = "values",
    operation = "a value is received by a select over 8 channels, all of which have a sender waiting",
    unit = NANOSECONDS,
    peers = { "cqueues", "go" },
    targets = {},
  },
  {
    name = "mutex",
    sizes = { 8 },
    size = "tasks that want it",
    operation = "a task locks it, gives way, and unlocks it to the next",
    unit = NANOSECONDS,
    peers = { "cqueues", "tarantool", "go" },
    targets = {},
  },
  {
    name = "timers",
    sizes = { 1000, 100000, 1000000 },
    size = "timers pending",
    operation = "a timer is inserted, and half of them are cancelled and the rest fire",
    unit = NANOSECONDS,
    peers = { "cqueues", "luv", "tarantool", "go" },
    limits = { tarantool = FIBER_STACKS, cqueues = { 100000, TOO_SLOW }, luv = { 100000, TOO_SLOW } },
    targets = { { against_size = 1000, at_most = 2, sizes = { 1000000 } } },
  },
  {
    name = "func",
    sizes = { 1000000 },
    size = "calls",
    operation = "a call of a `co.func` that defers nothing; of Lua: a `pcall`; of Go: a deferred recover",
    unit = NANOSECONDS,
    peers = { "lua-pcall", "go" },
    targets = { { against = "lua-pcall", at_most = 1.15 } },
  },
  {
    name = "defer",
    sizes = { 500000 },
    size = "deferred calls, a hundred in a frame",
    operation = "a call is deferred and run; of Lua: a to-be-closed variable",
    unit = NANOSECONDS,
    peers = { "lua-close", "go" },
    targets = { { against = "lua-close", at_most = 1.5 } },
  },
  {
    name = "panic",
    sizes = { 1, 10, 50 },
    size = "frames between the panic and who recovers it",
    operation = "a panic, its record and recovery; of Lua: pcall, xpcall with debug.traceback; of Go: bare",
    unit = NANOSECONDS,
    peers = { "lua-pcall", "lua-xpcall", "go" },
    targets = {
      { against = "lua-pcall", at_most = 3.5, sizes = { 10 } },
      { against = "lua-xpcall", times_faster = 60, sizes = { 10 } },
      { against = "go", at_most = 2, sizes = { 50 } },
    },
  },
  {
    name = "report",
    sizes = { 10 },
    size = "frames",
    operation = "a panic, recovered, and the text of its report; of Lua: xpcall with debug.traceback",
    unit = NANOSECONDS,
    peers = { "lua-xpcall" },
    targets = {},
  },
  {
    name = "cancel_tree",
    sizes = { 100000 },
    size = "leaves of a tree of scopes",
    operation = "a task of the tree ends because the root is cancelled",
    unit = NANOSECONDS,
    peers = { "go" },
    targets = {},
  },
  {
    name = "memory",
    sizes = { 100000 },
    size = "parked tasks",
    operation = "a parked task, as the allocator of its language counts",
    unit = BYTES,
    peers = { "lua", "cqueues", "luajit", "go" },
    targets = { { against = "lua", at_most = 1.1 } },
  },
  {
    name = "memory_resident",
    sizes = { 20000 },
    size = "parked tasks",
    operation = "a parked task, as the system counts what the process occupies",
    unit = BYTES,
    peers = { "lua", "cqueues", "tarantool", "luajit", "go" },
    targets = {},
  },
  {
    name = "gc_pause",
    sizes = { 100000, 1000000 },
    size = "parked tasks",
    operation = "the longest time that the collector, in incremental mode, keeps a program from going on",
    unit = MILLISECONDS,
    peers = { "lua", "cqueues" },
    targets = {},
  },
  {
    name = "id",
    sizes = { 20000000 },
    size = "ids",
    operation = "64 random bits of the generator of ids",
    unit = NANOSECONDS,
    peers = {},
    targets = { { at_most_cost = 15 } },
  },
  {
    name = "id_random",
    sizes = { 20000000 },
    size = "ids",
    operation = "a trace id of the generator `random`",
    unit = NANOSECONDS,
    peers = {},
    targets = { { at_most_cost = 25 } },
  },
  {
    name = "id_uuid7",
    sizes = { 20000000 },
    size = "ids",
    operation = "a trace id of the generator `uuid7`",
    unit = NANOSECONDS,
    peers = {},
    targets = { { at_most_cost = 25 } },
  },
  {
    name = "id_snowflake",
    sizes = { 20000000 },
    size = "ids",
    operation = "a trace id of the generator `snowflake`",
    unit = NANOSECONDS,
    peers = {},
    targets = { { at_most_cost = 25 } },
  },
  {
    name = "id_hlc",
    sizes = { 20000000 },
    size = "ids",
    operation = "a trace id of the generator `hlc`",
    unit = NANOSECONDS,
    peers = {},
    targets = { { at_most_cost = 25 } },
  },
  {
    name = "gateway",
    sizes = { 50 },
    size = "connections of wrk",
    operation = "a request over a kept connection: a task answers it while it holds one of a few slots",
    unit = MICROSECONDS,
    needs = "wrk",
    peers = { "lua-http" },
    targets = {},
  },
}
