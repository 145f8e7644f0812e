/*
** Out of memory at every allocation: each program below runs again and again in a fresh Lua state,
** and the n-th allocation fails, for every n; once only that one, which tells Lua to collect
** garbage and to ask again; once it and the next, so that Lua gives up; and once with all that follow:
** a dead allocator. Afterwards memory is there again, and the runtime must be usable, every deferred call must have run exactly once (at most once, if the
** allocator was dead: nothing can be called without memory), and closing the state must free every
** byte.
*/
#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coropanic.h"
#include "host_functions.h"

typedef struct account {
  size_t bytes;       /* allocated now */
  long until_failure; /* allocations that still succeed; < 0: no failure is planned */
  long failures;      /* allocations that fail then, one after the other; < 0: all */
  bool failed;
} account;

/* A dead allocator's `failures`. */
#define ALL (-1)

static void *allocate(void *ud, void *pointer, size_t old_size, size_t new_size) {
  account *a = ud;
  if (pointer == NULL) old_size = 0;
  if (new_size == 0) {
    free(pointer);
    a->bytes -= old_size;
    return NULL;
  }
  if (new_size > old_size && a->until_failure >= 0) {
    if (a->until_failure == 0) {
      a->failed = true;
      if (a->failures > 0 && --a->failures == 0) a->until_failure = -1;
      return NULL;
    }
    a->until_failure--;
  }
  void *result = realloc(pointer, new_size);
  if (result != NULL) a->bytes += new_size - old_size;
  return result;
}

/*
** What all programs share. `deferred()` defers a call that is counted when it is registered and run.
** `promise()` says what must hold although an allocation has failed (not all: the allocator was dead).
*/
static const char prelude[] =
    "registered, ran = 0, 0\n"
    "function deferred(co) co.defer(function() ran = ran + 1 end) registered = registered + 1 "
    "end\n"
    "function promise(holds, what) if not holds then broken = what end end\n";

typedef struct program {
  const char *name;
  const char *text;
} program;

static const program programs[] = {
    {"spawns and joins",
     "return function(co) return co.run(function()\n"
     "  local t = co.spawn(function(...) deferred(co) co.yield() return ... end, 1, 2, 3)\n"
     "  local u = co.spawn_with({name = 'named', attributes = {}}, function() deferred(co) end)\n"
     "  return t:join(), u:await() end) end"},
    {"panics and recovers",
     "return function(co)\n"
     "  local f = co.func(function() deferred(co)\n"
     "    co.defer(function() local v, r = co.recover() co.set_results(v, r) end)\n"
     "    deferred(co) co.panic({1}) end)\n"
     "  for _ = 1, 2 do f() end end"},
    {"makes records of errors and describes them",
     "return function(co) co.run(function()\n"
     "  local t = co.spawn(function() deferred(co) local x = nil + 1 end)\n"
     "  local ok, r = t:join()\n"
     "  return tostring(r), r:to_table(), r.frames, r.chain, r.stack_hash, co.dump() end) end"},
    {"replaces panics",
     "return function(co) return pcall(co.call, function() deferred(co)\n"
     "  co.defer(function() co.panic('C') end) co.defer(function() co.panic('B') end)\n"
     "  error('A') end) end"},
    {"encodes and decodes protobuf",
     "return function() local protobuf = require 'protobuf'\n"
     "  local log = {traceId = ('ab'):rep(16), body = {stringValue = ('x'):rep(20000)},\n"
     "    attributes = {{key = 'a', value = {arrayValue = {values = {{intValue = '7'}}}}}}}\n"
     "  local request = {resourceLogs = {{scopeLogs = {{logRecords = {log, log}}}}}}\n"
     "  assert(#protobuf.encode('logs', request) > 40000)\n"
     "  local point = {count = '9', sum = 0, bucketCounts = {}, explicitBounds = {0.5}}\n"
     "  for i = 1, 3000 do point.bucketCounts[i] = '3' end\n"
     "  local metric = {name = 'm', histogram = {dataPoints = {point, point}}}\n"
     "  request = {resourceMetrics = {{scopeMetrics = {{metrics = {metric}}}}}}\n"
     "  assert(#protobuf.encode('metrics', request) > 48000)\n"
     "  assert(protobuf.decode('logs', '\\x0a\\x06\\x08\\x03\\x12\\x02hi').partialSuccess) end"},
    {"cancels, sleeps and exits",
     "return function(co) co.run(function()\n"
     "  local a = co.spawn(function() deferred(co) co.sleep(100) end)\n"
     "  local b = co.spawn(function() deferred(co) co.goexit() end)\n"
     "  co.sleep(0) a:cancel('enough') a:join() b:join()\n"
     "  co.spawn(function() deferred(co) co.sleep(100) end) co.yield() error('main') end) end"},
    {"awaits callbacks",
     "return function(co) co.run(function()\n"
     "  return co.await(function(resume) co.spawn(function() resume(1, 2, 3) end) end) end) end"},
    {"closes handles out of order",
     "return function(co) co.run(function() deferred(co)\n"
     "  for _ = 1, 3 do co.spawn(function() local handles = {}\n"
     "    for i = 1, 8 do handles[i] = co.defer(function() end, i, i, i) end\n"
     "    for i = 3, 6 do local _ <close> = handles[i] end\n"
     "    co.yield() for i = 1, 8 do handles[i] = {} end error('main') end) end end) end"},
    {"deadlocks",
     "return function(co) co.run(function() deferred(co)\n"
     "  co.spawn(function() deferred(co) co.await(function() end) end)\n"
     "  co.await(function() end) end) end"},
    {"keeps ended tasks and takes a census",
     "return function(co) return co.run(function()\n"
     "  local kept, forgotten = co.ended()\n"
     "  local t = co.spawn_with({name = 'lost'}, function() deferred(co) co.sleep(60) end)\n"
     "  local w = co.spawn_with({watcher = true}, function() deferred(co) co.sleep(60) end)\n"
     "  co.yield() t:cancel() co.yield()\n"
     "  local c = co.census(2) while c:step(1) do co.yield() end\n"
     "  local text = co.dump(w)\n"
     "  return #co.ended(), c:tasks(), c:groups(), c:count(), c:blockers(w), c:find(w.id) end) "
     "end"},
    {"steps the collector",
     "return function(co) local before = co.collector { mode = 'idle', limit = 1.5 }\n"
     "  co.run(function() deferred(co)\n"
     "    setmetatable({}, { __gc = function() co.collector() end })\n"
     "    co.spawn(function() for _ = 1, 9 do co.yield() end end)\n"
     "    for _ = 1, 3 do local t = { ('x'):rep(20000) } co.sleep(1e-5) end end)\n"
     "  co.step(1e-4) return co.collector(before) end"},
    {"profiles, with labels",
     "return function(co) local profile = co.profile.start { kind = 'cpu', hz = 1 }\n"
     "  local labels = co.profile.labels\n"
     "  labels({ a = 1, b = ('x'):rep(64) }, co.run, function() deferred(co)\n"
     "    local t = co.spawn(labels, { c = 2 }, function() deferred(co) co.yield() error 'x' end)\n"
     "    labels({ a = 3 }, function() co.spawn(co.yield):join() end) t:join() end)\n"
     "  local bytes = profile:stop() return #bytes end"},
    {"profiles waits and tasks",
     "return function(co) local waits = co.profile.start { kind = 'wait' }\n"
     "  co.run_with({ clock = 'virtual' }, function() deferred(co)\n"
     "    local t = co.spawn(function() deferred(co) co.sleep(1) error 'x' end)\n"
     "    local tasks = co.profile.start { kind = 'tasks' }\n"
     "    co.yield() tasks:stop() t:join() end)\n"
     "  return #waits:stop() end"},
    {"profiles allocations",
     "return function(co) local profile = co.profile.start { kind = 'alloc' }\n"
     "  co.run(function() deferred(co) co.yield() local t = {}\n"
     "    for i = 1, 20 do t[i] = { ('x'):rep(60000 + i) } end end)\n"
     "  return #profile:stop() end"},
    {"counts what traces use, for their root spans",
     "return function(co) co.trace.usage() local spans = 0\n"
     "  local before = co.trace.on_span(function(s) if s.attributes['coropanic.usage.tasks'] then "
     "spans = spans + 1 end end)\n"
     "  co.run_with({ clock = 'virtual' }, function() deferred(co)\n"
     "    co.trace.continue({ traceparent = '00-' .. ('a'):rep(32) .. '-00f067aa0ba902b7-01' },\n"
     "      co.trace.span, 's', co.sleep, 1)\n"
     "    co.spawn_with({ detached_trace = true }, function() deferred(co) error 'x' end):join() "
     "end)\n"
     "  co.trace.on_span(before) co.trace.usage(false) return spans end"},
    {"profiles waits for objects",
     "return function(co) local waits = co.profile.start { kind = 'wait' }\n"
     "  co.run_with({ clock = 'virtual' }, function() deferred(co)\n"
     "    local c, m = co.chan(), co.mutex() m:lock()\n"
     "    co.spawn(function() deferred(co) c:recv() m:lock() m:unlock() end)\n"
     "    co.sleep(1) c:send(1) co.sleep(1) m:unlock() end)\n"
     "  return #waits:stop() end"},
    {"takes a profile",
     "return function(co) return co.run_with({ clock = 'virtual' }, function() deferred(co)\n"
     "  local t = co.spawn(co.profile.take, 'cpu', 9)\n"
     "  co.yield() t:cancel() t:join() return #co.profile.take('cpu', 1) end) end"},
    {"records events and accounts for time",
     "return function(co) co.accounting(true) local r = co.record { events = 64, stacks = 1,\n"
     "    dump_on = { 'panic', 'crash', { delay = 1 } }, path = '/dev/null', cooldown = 0 }\n"
     "  co.run_with({ clock = 'virtual' }, function() deferred(co)\n"
     "    for i = 1, 70 do co.spawn(function() co.trace.event('e' .. i) co.sleep(1) end) end\n"
     "    co.yield() co.pcall(error, 'x') r:snapshot() r:dump('/dev/null') end)\n"
     "  co.accounting() co.accounting(false) r:stop() end"},
    {"keeps the last events of a panic",
     "return function(co) local r = co.record { events = 64, stacks = 1 }\n"
     "  local record = co.run_with({ clock = 'virtual' }, function() deferred(co)\n"
     "    local t = co.spawn(function() co.trace.event('e') co.sleep(1) error('x', 0) end)\n"
     "    return select(2, t:join()) end)\n"
     "  assert(record.kind == 'memory' or record.message == 'x' and record.task and "
     "record.frames[1])\n"
     "  r:stop() return record.last_events, tostring(record), record:to_table() end"},
    {"draws lanes, and knows the last events and times of tasks",
     "return function(co) co.accounting(true) local r = co.record { events = 64 }\n"
     "  co.run(function() local t = co.spawn(co.sleep, 0) co.yield() t:join()\n"
     "    co.census():times(co.current()) return #r:last(t.id, 8) end)\n"
     "  local lanes = r:lanes(10) while lanes:step() do end lanes:window()\n"
     "  lanes:lane(1) lanes:spans(1) co.accounting(false) r:stop() end"},
    {"sends and selects",
     "return function(co) return co.run_with({ clock = 'virtual' }, function()\n"
     "  local a, b = co.chan(), co.chan(9)\n"
     "  co.spawn(function() deferred(co) for i = 1, 9 do b:send(i) end a:send(1) a:close() end)\n"
     "  co.spawn(function() deferred(co) co.select(2, a, { co.chan(), 1 }) end)\n"
     "  local many = {}\n"
     "  for i = 1, 12 do many[i] = a end\n"
     "  for v in b:iter() do if v == 9 then b:close() end end\n"
     "  co.select(1, table.unpack(many))\n"
     "  return tostring(b), (a:recv())\n"
     "end) end"},
    {"is unwound by force",
     "return function(co) return co.run_with({ clock = 'virtual' }, function()\n"
     "  local function loop() for _ = 1, 150 do pcall(co.sleep, 9) end end\n"
     "  local t = co.spawn(function() deferred(co) co.scope(function(s)\n"
     "    s:spawn(function() deferred(co) co.sleep(9) end) co.yield()\n"
     "    co.call(function() deferred(co) co.coroutine.wrap(function() co.call(function()\n"
     "      deferred(co) loop() end) end)() end) end) end)\n"
     "  local u = co.spawn(function() deferred(co) co.with_timeout(1, loop) end)\n"
     "  co.sleep(0.5) t:cancel() t:join() u:join()\n"
     "end) end"},
    {"suspends in coroutines",
     "return function(co) return co.run_with({ clock = 'virtual' }, function()\n"
     "  local c = co.coroutine\n"
     "  local t = co.spawn(function() c.wrap(function() co.call(function() deferred(co)\n"
     "    c.wrap(function() co.sleep(9) end)() end) end)() end)\n"
     "  local g = c.wrap(function() co.sleep(1) c.yield(1) error('x') end)\n"
     "  g()\n"
     "  local _, r = co.pcall(function() local v = g() return v end)\n"
     "  t:cancel()\n"
     "  return tostring(r), (t:join())\n"
     "end) end"},
    {"waits for scopes",
     "return function(co) return co.run_with({ clock = 'virtual' }, function()\n"
     "  co.pcall(co.scope, function(s)\n"
     "    for i = 1, 3 do s:spawn(function() deferred(co) co.sleep(i) error(i) end) end\n"
     "    co.sleep(9)\n"
     "  end)\n"
     "  co.supervise(function(s) s:spawn(co.sleep, 1) s:spawn_with({ daemon = true }, co.sleep, 9) "
     "end)\n"
     "  co.with_timeout(1, function() deferred(co) co.scope(function(s) s:spawn(co.sleep, 9) end) "
     "end)\n"
     "end) end"},
    {"ends contexts",
     "return function(co) return co.run_with({ clock = 'virtual' }, function()\n"
     "  local ctx, cancel = co.context.with_cancel(co.context.with_value(co.ctx(), 'k', 1))\n"
     "  local child = co.context.with_timeout(ctx, 5)\n"
     "  child:after(function() deferred(co) end)\n"
     "  co.spawn_with({ context = child }, function() deferred(co) co.sleep(9) end)\n"
     "  co.spawn(function() co.sleep(1) cancel('why') end)\n"
     "  co.pcall(co.with, child, function() deferred(co) co.sleep(9) end)\n"
     "  return tostring(child:cause())\n"
     "end) end"},
    {"counts what traces have used",
     "return function(co) co.run(function() local id = co.trace.current().trace_id\n"
     "  co.trace.usage()\n"
     "  for i = 1, 40 do co.spawn_with({ detached_trace = i % 2 == 0 }, function() deferred(co) "
     "co.yield() end) end\n"
     "  co.trace.span('s', co.yield) local all, one = co.trace.usage(), co.trace.usage(id)\n"
     "  co.trace.usage(false) return all, one end) end"},
    {"finds leaked tasks, and ends them",
     "return function(co) co.run(function()\n"
     "  (function() local m, ctx = co.mutex(), co.context.with_cancel(co.context.background())\n"
     "    co.spawn(function() deferred(co) m:lock() co.select(nil, co.chan(), ctx:done()) end)\n"
     "    co.spawn(function() deferred(co) co.with(ctx, m.lock, m) end)\n"
     "    co.spawn(function() co.scope(function(s) s:spawn(co.chan().recv, co.chan()) end) end) "
     "end)()\n"
     "  local kept = co.chan() co.spawn(kept.recv, kept) co.yield() co.yield()\n"
     "  local found = co.leaks() local ended = co.leaks{ leaked = 'cancel' }\n"
     "  kept:close() co.yield() co.yield() co.yield()\n"
     "  return #found, #ended, #co.leaks() end) end"},
    {"waits for descriptors",
     "return function(co) return co.run(function()\n"
     "  local t = co.spawn(function() deferred(co) return co.wait_fd(0, 'r', 60) end)\n"
     "  co.spawn(function() deferred(co) return co.wait_fd(1, 'w', 60) end)\n"
     "  co.yield() t:cancel() t:join() return co.wait_fd(1, 'w'), co.wait_fd(0, 'r', 0) end) end"},
    {"finds cycles",
     "return function(co) return co.run(function()\n"
     "  local a, b\n"
     "  a = co.spawn(function() deferred(co) co.yield() b:join() end)\n"
     "  b = co.spawn(function() deferred(co) return a:join() end)\n"
     "  local _, _, record = b:join()\n"
     "  return record and tostring(record)\n"
     "end) end"},
    {"carries traces",
     "return function(co) local h = {traceparent ="
     " '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', tracestate = 'a=1'}\n"
     "  return co.trace.continue(h, function() return co.trace.inject({}), co.trace.current() end) "
     "end"},
    {"carries traces in lists and objects",
     "return function(co)\n"
     "  local id = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'\n"
     "  local list = {{'a', 'b'}, {'TraceParent', id}, {name = 'tracestate', value = 'a=1'}}\n"
     "  local stored = {traceparent = id, Baggage = {'a=1', 'b=2'}}\n"
     "  local object = setmetatable({}, {__index = stored, __newindex = stored,\n"
     "    __pairs = function() return pairs(stored) end})\n"
     "  for _, h in ipairs {list, object} do co.trace.continue(h, co.trace.inject, h) end\n"
     "end"},
    {"makes ids",
     "return function(co)\n"
     "  for _, g in ipairs {'uuid7', 'hlc', 'random'} do\n"
     "    co.trace.use(g) co.run(function() return co.trace.extract(co.trace.inject {}) end) end\n"
     "  co.trace.use('snowflake', {machine = 900, lease = nil})\n"
     "  co.trace.use('snowflake', {lease = function(hold) hold(9) return 901 end})\n"
     "  co.trace.use('random') end"},
    {"carries baggage",
     "return function(co) return co.trace.continue({baggage = 'a=1,b=%20;p'}, function()\n"
     "  co.trace.set_baggage('c', 'x y', 'q') co.trace.set_baggage('a', nil)\n"
     "  return co.trace.baggage(), co.trace.baggage('b'), co.trace.inject {} end) end"},
    {"has spans",
     "return function(co) local ended = 0\n"
     "  co.trace.on_span(function(s) ended = ended + 1 end)\n"
     "  co.run(function() deferred(co)\n"
     "    co.trace.span('s', {attributes = {a = {1, 2}}}, function() deferred(co)\n"
     "      co.trace.event('e', {b = 1}) co.trace.set {c = 'x'} co.yield() end)\n"
     "    co.spawn(function() deferred(co) co.trace.span('p', co.panic, 'x') end):join() end)\n"
     "  co.trace.sampler('ratio', {ratio = 0.5}) co.trace.sampler('parent')\n"
     "  return ended, co.trace.fields() end"},
    {"has spans in coroutines and continued traces",
     "return function(co) local ended = 0\n"
     "  co.trace.on_span(function(s) ended = ended + 1 end)\n"
     "  local h = {traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'}\n"
     "  co.run(function() deferred(co)\n"
     "    for _, library in ipairs {coroutine, co.coroutine} do\n"
     "      local function generator() return library.wrap(function()\n"
     "        co.trace.continue(h, co.trace.span, 's', function()\n"
     "          co.trace.set_baggage('a', '1') co.trace.event 'e' library.yield() end) end) end\n"
     "      local a, b = generator(), generator() a() b() a() b() end\n"
     "    co.trace.continue(h, function() return co.trace.inject {} end)\n"
     "    co.spawn_with({attributes = {a = 1}}, function() end):join() end)\n"
     "  return ended end"},
    {"calls hooks",
     "return function(co) local seen\n"
     "  for _, on in ipairs {'on_spawn', 'on_suspend', 'on_exit'} do\n"
     "    co[on](function(t) seen = t.name .. tostring(t.where) end) end\n"
     "  co.run(function() deferred(co)\n"
     "    co.spawn(function() deferred(co) co.yield() end):join() end)\n"
     "  return seen end"},
    {"observes",
     "return function(co) local seen\n"
     "  local kinds = {'spawn', 'start', 'stop', 'wake', 'end', 'panic', 'recover', 'unhandled',\n"
     "    'cancel', 'scope_open', 'scope_close', 'context_open', 'context_end', 'span_begin',\n"
     "    'span_event', 'span_end', 'timer', 'sleep', 'awake'}\n"
     "  local stop = co.observe(kinds, function(k, o, e) seen = k .. tostring(o) .. tostring(e) "
     "end)\n"
     "  co.run_with({ clock = 'virtual' }, function() deferred(co)\n"
     "    local t = co.spawn(function() deferred(co) co.sleep(9) end) co.yield()\n"
     "    co.with_timeout(1, co.sleep, 2) t:cancel() t:join()\n"
     "    co.trace.span('a', function() deferred(co) co.trace.event('b') end)\n"
     "    co.call(function() co.defer(function() co.recover() end) deferred(co) co.panic('c') "
     "end)\n"
     "  end) stop() return seen end"},
    {"works in coroutines of others",
     "local function twice(f, ...) return pcall(f, ...) or pcall(f, ...) end\n" /* to call needs memory */
     "return function(co) local w = coroutine.wrap(function()\n"
     "  co.call(function() deferred(co) coroutine.yield() end) end) twice(w) twice(w)\n"
     "  local c = coroutine.create(function() co.call(function() deferred(co) coroutine.yield() "
     "end) end)\n"
     "  twice(coroutine.resume, c) twice(coroutine.close, c) end"},
    {"locks, waits for locks and guards",
     "return function(co) co.run_with({ clock = 'virtual' }, function()\n"
     "  local m, rw, s = co.mutex(), co.rwmutex(), co.semaphore(2)\n"
     "  local function use() deferred(co)\n"
     "    do local _ <close> = m:guard() co.sleep(1) end\n"
     "    do local _ <close> = rw:guard(5) co.yield() end\n"
     "    do local _ <close> = rw:rguard() co.yield() end\n"
     "    s:acquire(2) co.defer(s.release, s, 2) co.yield() end\n"
     "  local tasks = {} for i = 1, 3 do tasks[i] = co.spawn(use) end\n"
     "  co.yield() tasks[2]:cancel() for i = 1, 3 do tasks[i]:await() end end) end"},
    {"waits for conditions",
     "return function(co) co.run_with({ clock = 'virtual' }, function()\n"
     "  local m = co.mutex() local c = co.condition(m)\n"
     "  local function wait(seconds) deferred(co) local _ <close> = m:guard()\n"
     "    local ok, e = pcall(c.wait, c, seconds)\n"
     "    if m:owner() ~= co.current() then registered = registered + 1 end\n"
     "    if not ok then error(e, 0) end end\n"
     "  local tasks = {} for i = 1, 4 do tasks[i] = co.spawn(wait, i > 2 and i or nil) end\n"
     "  co.yield() do local _ <close> = m:guard() tasks[2]:cancel() c:signal() co.yield()\n"
     "    co.dump() tostring(c) end\n"
     "  co.sleep(3) c:broadcast()\n"
     "  for i = 1, 4 do tasks[i]:join() end end) end"},
    {"finds a cycle of locks, and forgets them",
     "return function(co) co.run(function()\n"
     "  local a, b = co.mutex(), co.mutex()\n"
     "  co.spawn(function() deferred(co) b:lock() co.yield() pcall(a.lock, a) a = nil\n"
     "    collectgarbage() collectgarbage() b:unlock() end)\n"
     "  co.spawn(function() deferred(co) a:lock() b:lock() end) end) end"},
    {"watches the order of locks, and warns",
     "return function(co) local order = co.order({ allow = { { 'x', 'y', 'why' } } })\n"
     "  co.run_with({ unhandled = tostring }, function()\n"
     "    local a, b = co.mutex({ name = 'a' }), co.rwmutex({ name = 'b' })\n"
     "    local pool, q = co.semaphore(2), co.chan(1, { name = 'q' })\n"
     "    local twins = {} for i = 1, 2 do twins[i] = co.mutex() end\n"
     "    local o = co.once(function() deferred(co) a:lock() a:unlock() end, { name = 'o' })\n"
     "    local function take(x, y) co.spawn(function() deferred(co)\n"
     "      local _ <close> = x:guard() local _ <close> = y:guard() end):join() end\n"
     "    take(a, b) take(b, a) take(pool, pool) take(pool, pool)\n"
     "    take(twins[1], twins[2]) take(twins[2], twins[1])\n"
     "    co.spawn(function() o() a:lock() o() q:try_recv() q:send(1) a:unlock() end):join()\n"
     "    co.spawn(function() b:rlock() q:send(2) end) co.yield() co.select(0, q) co.yield()\n"
     "    order.allow(a, 'b', 'why') order:risk(pool) order:warnings() order:stats()\n"
     "  end) order:reset() order:stop() end"},
    {"forecasts a full channel",
     "return function(co) co.run_with({ unhandled = tostring, clock = 'virtual' }, function()\n"
     "  local forecast = co.forecast({ window = 1, period = 0.25 })\n"
     "  local a, b = co.chan(4, { name = 'a' }), co.chan(4)\n"
     "  co.spawn(function() deferred(co) a:recv() b:send(1) end)\n"
     "  co.spawn(function() b:recv() a:send(1) end)\n"
     "  a:send(1) co.sleep(0) a:send(1) co.sleep(0.5) a:send(1) co.sleep(1)\n"
     "  forecast:list() forecast:warnings() forecast:stats() forecast:stop()\n"
     "  end) co.order({ start = false }):stop() end"},
    {"leaves a lock behind",
     "return function(co) co.run(function() local m = co.mutex()\n"
     "  local t = co.spawn(function() deferred(co) m:lock() co.yield() end)\n"
     "  co.yield() local u = co.spawn(m.lock, m) u:join() t:join()\n"
     "  return tostring(m), pcall(m.lock, m) end) end"},
    {"waits for groups, events and onces",
     "return function(co) co.run(function()\n"
     "  local wg, e = co.waitgroup(), co.event()\n"
     "  local o = co.once(function() deferred(co) co.yield() return 1, 2 end)\n"
     "  local l = co.task_local(1)\n"
     "  for i = 1, 3 do wg:spawn(function() deferred(co) l:set(i) e:wait(10) return o() end) end\n"
     "  co.yield() e:set() wg:wait() return l:get(), co.dump() end) end"},
    {"waits for descriptors",
     "return function(co) return co.run_with({ clock = 'virtual' }, function()\n"
     "  local function wait(...) deferred(co) return co.wait_fd(...) end\n"
     "  local t = co.spawn(wait, read_end, 'r', 5)\n"
     "  local u = co.spawn(wait, read_end, 'rw')\n"
     "  local v = co.spawn(wait, write_end, 'w', 5)\n"
     "  co.yield() local text = co.dump() .. co.pollfd() u:cancel()\n"
     "  return text, t:await(), v:await(), u:join() end) end"},
    {"waits in selects",
     "return function(co) return co.run_with({ clock = 'virtual' }, function()\n"
     "  local a, b, c = co.chan(), co.chan(), co.chan(1)\n"
     "  local function choose(...) deferred(co) return co.select(...) end\n"
     "  local served = co.spawn(choose, nil, a, { b, 7 }, c)\n"
     "  local cancelled = co.spawn(choose, nil, a, { b, 8 }, a)\n"
     "  local late = co.spawn(choose, 1, a, { b, 9 })\n"
     "  local bounded = co.spawn(co.with_timeout, 2, choose, nil, a, a)\n"
     "  co.yield() local text = co.dump()\n"
     "  c:send(1) cancelled:cancel('enough') served:join() cancelled:join()\n"
     "  local v = b:recv() co.sleep(3) late:join() bounded:join()\n"
     "  return text, v, co.spawn(choose, nil, a, { b, 1 }), b:recv() end) end"},
    {"tells of tasks and panics in reports",
     "local report, core = require 'coropanic.report', require 'coropanic.core'\n"
     "return function(co) core.on_panic(function() end) local uninstall = report.install{keep = "
     "1}\n"
     "  co.run_with({ clock = 'virtual' }, function() deferred(co)\n"
     "    for i = 1, 2 do co.spawn(function() deferred(co) error('x' .. i) end) end\n"
     "    local c = co.chan()\n"
     "    local t = co.spawn(function() deferred(co) co.select(c, { co.chan(), 1 }) end)\n"
     "    co.spawn(t.join, t) co.sleep(1)\n"
     "    local dump = report.dump() report.dump 'text' report.dump 'json'\n"
     "    local _, record = co.pcall(co.call, function()\n"
     "      co.defer(co.panic, 'B') co.panic('A') end)\n"
     "    report.topology(record) t:cancel() return dump end) uninstall() end"},
    {"exports spans and panics",
     "local sent = 0\n"
     "local loaded = package.loaded\n"
     "loaded['socket'] = { gettime = os.time, dns = { getaddrinfo = function()\n"
     "  return { { family = 'inet', addr = '127.0.0.1' } } end } }\n"
     "loaded['ltn12'] = { source = { string = function(s) return s end } }\n"
     "loaded['coropanic.socket'] = { tcp = function() return {} end }\n"
     "loaded['socket.http'] = { request = function(request)\n"
     "  loaded['coropanic.core'].sleep(0.1) sent = sent + #request.source return 1, 200, {} end }\n"
     "local otlp = require 'coropanic.export.otlp'\n"
     "loaded['coropanic.core'].on_panic(function() end)\n"
     "return function(co) co.run_with({ clock = 'virtual' }, function() deferred(co)\n"
     "  local e = otlp.start { max_batch = 2 }\n"
     "  co.spawn(function() deferred(co) co.trace.span('s', { attributes = { a = { 1 } } }, "
     "function()\n"
     "    co.trace.event('e', { b = 1 }) error 'x' end) end)\n"
     "  co.trace.span('t', co.yield)\n"
     "  pcall(e.flush, e) e:shutdown()\n"
     "  local s, accepted = e:stats(), e.accepted.traces + e.accepted.logs\n"
     "  local told = s.sent + s.queued\n"
     "  for _, n in pairs(s.dropped) do told = told + n end\n"
     "  promise(s.queued == 0 and told == accepted,\n"
     "    'items are lost: ' .. told .. ' of ' .. accepted .. ', queued ' .. s.queued) end) end"},
    {"leases a machine id",
     "local loaded, co = package.loaded, require 'coropanic.core'\n"
     "local owner\n"
     "loaded['coropanic.socket'] = { gettime = os.time, tcp = function()\n"
     "  return { close = function() end, settimeout = function() end, connect = function() return "
     "1 end } end }\n"
     "loaded['redis'] = { connect = function()\n"
     "  return { eval = function(_, script, _, _, _, token, ...) co.sleep(0.1)\n"
     "    if script:find \"'NX'\" then owner = token return { 1, 2 } end\n"
     "    if owner ~= token then return 0 end\n"
     "    if script:find \"'del'\" then owner = nil end return 1 end } end }\n"
     "local lease = require 'coropanic.lease.redis'\n"
     "return function() co.run_with({ clock = 'virtual' }, function() deferred(co)\n"
     "  co.trace.use('snowflake', { lease = lease { first = 5, last = 5, ttl = 3 } })\n"
     "  co.sleep(4) return co.trace.inject {} end) end"},
    {"calls a once again after its panic",
     "return function(co) return co.run(function()\n"
     "  local o = co.once(function() deferred(co) co.yield() error 'x' end)\n"
     "  local function use() deferred(co) return o() end\n"
     "  local a, b, c = co.spawn(use), co.spawn(use), co.once(use)\n"
     "  a:join() b:join() local _, r = co.pcall(c)\n"
     "  local again = co.once(function(wait) deferred(co) if wait then co.yield() end return 1 "
     "end)\n"
     "  local first = co.spawn(again, true) co.spawn(again) co.yield() first:cancel()\n"
     "  return tostring(r), tostring(o), again(), again() end) end"},
    {"guards with a semaphore, and panics and is cancelled in it",
     "return function(co) co.run_with({ clock = 'virtual' }, function() local s = co.semaphore(2)\n"
     "  local function use(seconds, message) deferred(co)\n"
     "    local _ <close> = s:guard(2, 5) co.sleep(seconds) error(message) end\n"
     "  local a, b, c = co.spawn(use, 1, 'x'), co.spawn(use, 9), co.spawn(use, 1)\n"
     "  co.sleep(2) b:cancel() for _, t in ipairs { a, b, c } do t:join() end\n"
     "  promise(s:try_acquire(2), 'the semaphore is taken') end) end"},
    {"holds a panic whose joiner is cancelled",
     "return function(co) co.run_with({ clock = 'virtual', unhandled = function(r)\n"
     "    return r.message end }, function()\n"
     "  local t = co.spawn(function() deferred(co) co.sleep(1) error 'x' end)\n"
     "  local u = co.spawn(function() deferred(co) return t:join() end)\n"
     "  co.spawn(function() deferred(co) co.sleep(1) u:cancel() end)\n"
     "  u:join() co.sleep(1) return t:status() end) end"},
    {"tells each panic once, whoever joins",
     "return function(co) local tasks, joined = {}, false\n"
     "  local before = co.stats().unhandled\n"
     "  local function spawn(f) local n = #tasks + 1 tasks[n] = false tasks[n] = co.spawn(f) end\n"
     "  pcall(co.run_with, { clock = 'virtual', unhandled = function() end }, function()\n"
     "    for i = 1, 2 do spawn(function() deferred(co) co.sleep(i) error 'x' end) end\n"
     "    local t = tasks[2]\n"
     "    for _ = 1, 2 do spawn(function() deferred(co)\n"
     "      if not t:join() and t:status() == 'panicked' then joined = true end end) end\n"
     "    local joiner = tasks[3]\n"
     "    spawn(function() deferred(co) co.sleep(2) joiner:cancel() end)\n"
     "    co.sleep(5) end)\n"
     "  local panicked, claimed = 0, joined and 1 or 0\n"
     "  for _, t in ipairs(tasks) do\n"
     "    if t and t:status() == 'panicked' then panicked = panicked + 1 end end\n"
     "  local told = co.stats().unhandled - before\n"
     /* Without memory to hold the panic for its joiners the handler has it too. */
     "  promise(told >= panicked - claimed, 'a panic was lost')\n"
     "  promise(told <= panicked, 'a panic was told twice') end"},
    {"tells each panic in a scope once",
     "return function(co) local tasks, joined, given = {}, false, nil\n"
     "  local before = co.stats().unhandled\n"
     "  pcall(co.run_with, { clock = 'virtual', unhandled = function() end }, function()\n"
     "    local ok, r = co.pcall(co.scope, function(s) for i = 1, 3 do\n"
     "      local n = #tasks + 1 tasks[n] = false\n"
     "      tasks[n] = s:spawn(function() deferred(co) co.defer(error, 'y') co.sleep(1) end) end\n"
     "      local t = tasks[1] tasks[4] = false\n"
     "      tasks[4] = s:spawn(function() deferred(co)\n"
     "        if not t:join() and t:status() == 'panicked' then joined = true end end) end)\n"
     "    if not ok and r.cause then given = 1 + #r.suppressed end end)\n"
     "  local panicked = 0\n"
     "  for _, t in ipairs(tasks) do\n"
     "    if t and t:status() == 'panicked' then panicked = panicked + 1 end end\n"
     "  if not given then return end\n"
     "  local told = co.stats().unhandled - before + given + (joined and 1 or 0)\n"
     "  promise(told == panicked, 'a panic was lost, or told twice') end"},
    {"has services, and a hook for what starts",
     "return function(co) local started\n"
     "  co.on_start(function(t) started = tostring(t) end)\n"
     "  co.run_with({ clock = 'virtual' }, function() deferred(co) local c = co.chan(1)\n"
     "    co.spawn_with({ service = true, name = 's' }, function()\n"
     "      co.defer(function() deferred(co) co.with_timeout(1, c.recv, c) end)\n"
     "      deferred(co) co.sleep(60) end)\n"
     "    co.spawn_with({ daemon = true }, function() co.defer(c.send, c, 1) co.sleep(60) end)\n"
     "    co.sleep(1) end) return started end"},
    {"hashes stacks of functions without names",
     "return function(co) local function raise(f) local _, r = co.pcall(co.call, f) return r end\n"
     "  local fs = { function() error 'x' end, function() deferred(co) co.panic 'x' end,\n"
     "    function() (load 'error(1)')() end }\n"
     "  for i, f in ipairs(fs) do local r = raise(f)\n"
     "    fs[i] = { r.stack_hash, r.hash_version, r:to_table() } end return fs end"},
    {"defers in coroutines and in what they close",
     "return function(co) return co.run_with({ clock = 'virtual' }, function()\n"
     "  local function closing(f) return setmetatable({}, { __close = f }) end\n"
     "  local function nest(depth) deferred(co)\n"
     "    local _ <close> = closing(function() co.call(function() deferred(co) co.yield() end) "
     "end)\n"
     "    if depth == 0 then co.sleep(1) error 'x' end\n"
     "    co.coroutine.wrap(co.func(nest))(depth - 1) end\n"
     "  local t, u = co.spawn(nest, 2), co.spawn(nest, 2)\n"
     "  co.yield() u:cancel() t:join() u:join()\n"
     "  local c = co.coroutine.create(co.func(nest))\n"
     "  co.coroutine.resume(c, 0) return co.coroutine.close(c) end) end"},
    {"spawns, cancels and inspects from C",
     "return function(co) local t, u\n"
     "  co.run(function()\n"
     "    t = host.spawn(function() deferred(co) co.yield() return 1, 2 end, {})\n"
     "    u = host.spawn(function() deferred(co) co.sleep(9) end, {})\n"
     "    co.yield() host.inspect(t) host.cancel(u, 'enough') t:join() u:join() end)\n"
     "  return host.inspect(t), host.inspect(u) end"},
    {"parks in C",
     "return function(co) co.run_with({ clock = 'virtual' }, function()\n"
     "  local function use(f, ...) deferred(co) return f(...) end\n"
     "  local t = co.spawn(use, host.wait)\n"
     "  co.yield() co.dump() host.wake(1, 2, {}) t:join()\n"
     "  co.spawn(use, host.wait, 1):join() co.spawn(use, host.wait_early, 1, 'x'):join()\n"
     "  co.spawn(use, host.wait_posted):join()\n"
     "  local u = co.spawn(use, host.wait) co.yield() u:cancel() u:join() end) end"},
    {"panics, defers and reads records in C",
     "return function(co) host.on_panic()\n"
     "  local _, r = co.pcall(co.call, function() host.defer(function() end) deferred(co)\n"
     "    host.fail 'message' end)\n"
     "  co.run(function() co.spawn(function() deferred(co) host.fail 'x' end) end)\n"
     "  return r and host.record_text(r) end"},
    {"runs pending deferred calls",
     "stepping = true\n"
     "return function(co) local t = co.spawn(function() deferred(co)\n"
     "    co.call(function() deferred(co) co.scope(function(s)\n"
     "      s:spawn(function() deferred(co) co.sleep(60) end) co.sleep(60) end) end) end)\n"
     "  repeat until not host.step() host.run_pending(t) end"},
    {"carries traces in C",
     "return function(co) host.trace() co.run(function() deferred(co) host.trace() end) end"},
    {"uses the timers of a host",
     "stepping = true\n"
     "return function(co) host.use_backend(true)\n"
     "  co.spawn(function() deferred(co) co.sleep(1) end)\n"
     "  co.spawn(function() deferred(co) co.with_timeout(1, co.sleep, 2) end)\n"
     "  repeat until not host.step() host.fire() host.step() end"},
    {"leaves panics to the handler",
     "return function(co) co.run_with({unhandled = function(r) return r.message end}, function()\n"
     "  co.spawn(function() deferred(co) error('nobody joins') end) end) end"},
};

#define PROGRAMS (sizeof(programs) / sizeof(programs[0]))

/* What must hold when memory is there again. */
static const char aftermath[] =
    "local co = require 'coropanic.core'\n"
    "if stepping then host.shut_down() host.use_backend(false) end\n" /* as a host would go on */
    "assert(registered == ran or dead and registered > ran,"
    "  ('%d deferred, %d ran'):format(registered, ran))\n"
    "assert(co.stats().live == 0, 'a task is left')\n"
    "assert(dead or not broken, broken)\n"
    "co.trace.use 'random'\n" /* a lease that has ended makes no ids */
    "local ok, a, b = co.run(function()\n"
    "  local t = co.spawn(function(x) return x, 'usable' end, 42) return t:join() end)\n"
    "assert(ok and a == 42 and b == 'usable')\n"
    "local v, r = co.call(function() co.defer(function() co.set_results(co.recover()) end)\n"
    "  co.panic('again') end)\n"
    "assert(v == 'again' and #tostring(r) > 0)\n"
    "local got = {}\n" /* no cell has two values */
    "co.call(function()\n"
    "  for i = 1, 200 do co.defer(function(x, y) got[x] = y end, i, -i) end end)\n"
    "for i = 1, 200 do assert(got[i] == -i, 'a deferred call has others values') end\n";

/* A pipe: never readable, always writable. */
static int ends[2];

int luaopen_coropanic_export_otlp_protobuf(lua_State *L);

static int open_libraries(lua_State *L) {
  luaL_openlibs(L);
  luaL_requiref(L, "coropanic.core", luaopen_coropanic_core, 0);
  luaL_requiref(L, "protobuf", luaopen_coropanic_export_otlp_protobuf, 0);
  return 0;
}

/* (text) → the program's function */
static int load_program(lua_State *L) {
  const char *text = lua_touserdata(L, 1);
  lua_pushinteger(L, ends[0]);
  lua_setglobal(L, "read_end");
  lua_pushinteger(L, ends[1]);
  lua_setglobal(L, "write_end");
  host_functions_open(L);
  if (luaL_dostring(L, prelude) != LUA_OK) return lua_error(L);
  if (luaL_dostring(L, text) != LUA_OK) return lua_error(L);
  return 1;
}

/* (function) Calls it with the module. */
static int run_program(lua_State *L) {
  luaL_requiref(L, "coropanic.core", luaopen_coropanic_core, 0);
  lua_call(L, 1, 0);
  return 0;
}

static int run_aftermath(lua_State *L) {
  if (luaL_dostring(L, aftermath) != LUA_OK) return lua_error(L);
  return 0;
}

static bool complain(const program *p, long n, lua_State *L, const char *what) {
  const char *text = L == NULL ? "" : luaL_tolstring(L, -1, NULL);
  fprintf(stdout, "memory: %s: allocation %ld: %s %s\n", p->name, n, what, text);
  return false;
}

/* One life of a Lua state in which `failures` allocations of the program fail, from the n-th on. */
static bool run_once(const program *p, long n, long failures, bool *failed) {
  account a = {.until_failure = -1, .failures = failures};
  lua_State *L = lua_newstate(allocate, &a);
  if (L == NULL) return complain(p, n, NULL, "no state");
  bool good = true;
  lua_pushcfunction(L, open_libraries);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) good = complain(p, n, L, "opening:");
  lua_pushcfunction(L, load_program);
  lua_pushlightuserdata(L, (void *)(size_t)p->text);
  if (good && lua_pcall(L, 1, 1, 0) != LUA_OK) good = complain(p, n, L, "loading:");
  if (good) {
    lua_pushcfunction(L, run_program);
    lua_insert(L, -2);
    a.until_failure = n;
    (void)lua_pcall(L, 1, 0, 0);
    a.until_failure = -1;
    lua_settop(L, 0);
    lua_pushboolean(L, failures == ALL);
    lua_setglobal(L, "dead");
    lua_pushcfunction(L, run_aftermath);
    if (lua_pcall(L, 0, 0, 0) != LUA_OK) good = complain(p, n, L, "afterwards:");
  }
  lua_close(L);
  if (a.bytes != 0) good = complain(p, n, NULL, "bytes are left");
  if (host_functions_balance() != 0) good = complain(p, n, NULL, "pointers of the host are left");
  *failed = a.failed;
  return good;
}

/* The same while the module is being opened. */
static bool open_once(long n, long failures, bool *failed) {
  static const program opening = {"opens", ""};
  account a = {.until_failure = -1, .failures = failures};
  lua_State *L = lua_newstate(allocate, &a);
  if (L == NULL) return complain(&opening, n, NULL, "no state");
  luaL_openlibs(L);
  a.until_failure = n;
  lua_pushcfunction(L, luaopen_coropanic_core);
  (void)lua_pcall(L, 0, 0, 0);
  a.until_failure = -1;
  lua_pushcfunction(L, open_libraries);
  bool good = true;
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) good = complain(&opening, n, L, "afterwards:");
  lua_close(L);
  if (a.bytes != 0) good = complain(&opening, n, NULL, "bytes are left");
  *failed = a.failed;
  return good;
}

/* The program at that index, or behind them the opening of the module, with `failures` at every n, or at
 * every `stride`-th one. */
static bool run_all(size_t index, long failures, long stride) {
  bool good = true;
  bool failed = true;
  long n = (long)index % stride;
  for (; failed && good; n += stride) {
    good = index < PROGRAMS ? run_once(&programs[index], n, failures, &failed)
                            : open_once(n, failures, &failed);
  }
  return good && n > 1;
}

/* memory_spec [STRIDE]: under valgrind, where all of them take half an hour, not every n is tried. */
int main(int argc, char **argv) {
  const long stride = argc > 1 ? strtol(argv[1], NULL, 10) : 1;
  static const long failures[] = {1, 2, ALL};
  const size_t ways = sizeof(failures) / sizeof(failures[0]);
  if (pipe(ends) != 0) return 1;
  size_t passed = 0;
  for (size_t i = 0; i <= PROGRAMS; i++) {
    for (size_t k = 0; k < ways; k++) passed += run_all(i, failures[k], stride);
  }
  size_t failed = (PROGRAMS + 1) * ways - passed;
  printf("memory: %zu passed, %zu failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
