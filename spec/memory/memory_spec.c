/*
** Out of memory at every allocation: each program below runs again and again in a fresh Lua state,
** and the n-th allocation fails, for every n; once as a passing shortage (only that one fails),
** once as a dead allocator (all that follow fail too). Afterwards memory is there again, and the
** runtime must be usable, every deferred call must have run exactly once (at most once, if the
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

typedef struct account {
  size_t bytes;       /* allocated now */
  long until_failure; /* allocations that still succeed; < 0: no failure is planned */
  bool dead;          /* once one has failed, all fail */
  bool failed;
} account;

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
      if (!a->dead) a->until_failure = -1;
      return NULL;
    }
    a->until_failure--;
  }
  void *result = realloc(pointer, new_size);
  if (result != NULL) a->bytes += new_size - old_size;
  return result;
}

/* What all programs share. `deferred()` defers a call that is counted when it is registered and
 * run. */
static const char prelude[] =
    "registered, ran = 0, 0\n"
    "function deferred(co) co.defer(function() ran = ran + 1 end) registered = registered + 1 "
    "end\n";

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
    {"deadlocks",
     "return function(co) co.run(function() deferred(co)\n"
     "  co.spawn(function() deferred(co) co.await(function() end) end)\n"
     "  co.await(function() end) end) end"},
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
    {"works in coroutines of others",
     "return function(co) local w = coroutine.wrap(function()\n"
     "  co.call(function() deferred(co) coroutine.yield() end) end) w() w()\n"
     "  local c = coroutine.create(function() co.call(function() deferred(co) coroutine.yield() "
     "end) end)\n"
     "  coroutine.resume(c) coroutine.close(c) end"},
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
    {"leaves panics to the handler",
     "return function(co) co.run_with({unhandled = function(r) return r.message end}, function()\n"
     "  co.spawn(function() deferred(co) error('nobody joins') end) end) end"},
};

/* What must hold when memory is there again. */
static const char aftermath[] =
    "local co = require 'coropanic.core'\n"
    "assert(registered == ran or dead and registered > ran,"
    "  ('%d deferred, %d ran'):format(registered, ran))\n"
    "assert(co.stats().live == 0, 'a task is left')\n"
    "local ok, a, b = co.run(function()\n"
    "  local t = co.spawn(function(x) return x, 'usable' end, 42) return t:join() end)\n"
    "assert(ok and a == 42 and b == 'usable')\n"
    "local v, r = co.call(function() co.defer(function() co.set_results(co.recover()) end)\n"
    "  co.panic('again') end)\n"
    "assert(v == 'again' and #tostring(r) > 0)\n";

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

/* One life of a Lua state whose n-th allocation in the program fails. */
static bool run_once(const program *p, long n, bool dead, bool *failed) {
  account a = {.until_failure = -1, .dead = dead};
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
    lua_pushboolean(L, dead);
    lua_setglobal(L, "dead");
    lua_pushcfunction(L, run_aftermath);
    if (lua_pcall(L, 0, 0, 0) != LUA_OK) good = complain(p, n, L, "afterwards:");
  }
  lua_close(L);
  if (a.bytes != 0) good = complain(p, n, NULL, "bytes are left");
  *failed = a.failed;
  return good;
}

/* The same while the module is being opened. */
static bool open_once(long n, bool dead, bool *failed) {
  static const program opening = {"opens", ""};
  account a = {.until_failure = -1, .dead = dead};
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

int main(void) {
  if (pipe(ends) != 0) return 1;
  int passed = 0;
  int failures = 0;
  size_t count = sizeof(programs) / sizeof(programs[0]);
  for (size_t i = 0; i <= count; i++) {
    for (int dead = 0; dead <= 1; dead++) {
      bool good = true;
      bool failed = true;
      long n = 0;
      for (; failed && good; n++) {
        good = i < count ? run_once(&programs[i], n, dead, &failed) : open_once(n, dead, &failed);
      }
      if (good && n > 1) {
        passed++;
      } else {
        failures++;
      }
    }
  }
  printf("memory: %d passed, %d failed\n", passed, failures);
  return failures == 0 ? 0 : 1;
}
