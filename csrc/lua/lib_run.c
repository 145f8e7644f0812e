/* co.run, co.run_with, co.spawn, co.spawn_with, co.step, co.timeout, co.pollfd, co.events,
   co.yield, co.sleep, co.now, co.on_panic, co.on_spawn, co.on_start, co.on_exit, co.on_suspend */
#include <errno.h>
#include <string.h>

#include "kernel/args.h"
#include "kernel/cpu_budget.h"
#include "kernel/preempt.h"
#include "kernel/threads.h"
#include "loop/io.h"
#include "loop/scheduler.h"
#include "loop/watchers.h"
#include "lua/lib.h"
#include "lua/options.h"
#include "lua/spawn.h"
#include "scope/context.h"
#include "scope/spawn.h"

/* --- options --- */

/* --- running --- */

static int run_run(lua_State *L) {
  arg_check_function(L, 1, "run");
  const run_options options = {.name = "main", .unhandled = UNHANDLED_REPORT};
  return scheduler_run(runtime_of(L), L, lua_gettop(L) - 1, &options);
}

static void clock_option(lua_State *L, run_options *options) {
  const char *clock = options_string(L, 1, "run_with", "clock");
  if (clock == NULL) return;
  if (strcmp(clock, "virtual") == 0) {
    options->virtual_clock = true;
  } else if (strcmp(clock, "monotonic") != 0) {
    arg_error(L, 1, "run_with", "option 'clock': \"virtual\" or \"monotonic\" expected");
  }
}

static void seed_option(lua_State *L, run_options *options) {
  if (lua_getfield(L, 1, "seed") != LUA_TNIL) {
    if (!lua_isinteger(L, -1)) options_error(L, 1, "run_with", "seed", "integer");
    options->seeded = true;
    options->seed = (uint64_t)lua_tointeger(L, -1);
  }
  lua_pop(L, 1);
}

static void budget_option(lua_State *L, run_options *options) {
  if (lua_getfield(L, 1, "budget") != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TNUMBER) options_error(L, 1, "run_with", "budget", "number");
    double seconds = lua_tonumber(L, -1);
    if (!(seconds > 0)) arg_error(L, 1, "run_with", "option 'budget': seconds above 0 expected");
    options->budget_ns = clock_deadline_ns(0, seconds);
  }
  lua_pop(L, 1);
}

/* Reads the option `unhandled` and leaves its value on the stack.   [-0, +1, e] */
static void unhandled_option(lua_State *L, run_options *options) {
  static const char expected[] = "\"report\", \"crash\" or a function";
  int type = lua_getfield(L, 1, "unhandled");
  if (type == LUA_TFUNCTION) {
    options->unhandled = UNHANDLED_CALL;
    options->unhandled_index = lua_gettop(L);
  } else if (type == LUA_TSTRING && strcmp(lua_tostring(L, -1), "crash") == 0) {
    options->unhandled = UNHANDLED_CRASH;
  } else if (type == LUA_TSTRING && strcmp(lua_tostring(L, -1), "report") != 0) {
    arg_error(L, 1, "run_with", "option 'unhandled': \"report\", \"crash\" or a function expected");
  } else if (type != LUA_TNIL && type != LUA_TSTRING) {
    options_error(L, 1, "run_with", "unhandled", expected);
  }
}

static int run_run_with(lua_State *L) {
  static const char *const names[] = {"clock", "seed", "unhandled", "budget", "name", NULL};
  options_check_names(L, 1, "run_with", names);
  arg_check_function(L, 2, "run_with");
  int arguments = lua_gettop(L) - 2;
  run_options options = {.name = "main", .unhandled = UNHANDLED_REPORT};
  seed_option(L, &options);
  budget_option(L, &options);
  clock_option(L, &options);
  unhandled_option(L, &options);
  const char *name = options_string(L, 1, "run_with", "name");
  if (name != NULL) options.name = name;
  luaL_checkstack(L, arguments + 1, "too many arguments");
  for (int i = 2; i <= arguments + 2; i++) lua_pushvalue(L, i);
  return scheduler_run(runtime_of(L), L, arguments, &options);
}

/* --- spawning --- */

static int run_spawn(lua_State *L) {
  arg_check_function(L, 1, "spawn");
  scope_spawn_options options = {.task = {.type = TASK_TYPE_OF_UPVALUE}};
  scope_spawn(runtime_of(L), L, lua_gettop(L) - 1, &options);
  return 1;
}

/* Returns the option `cpu_budget` in nanoseconds; 0: none is given.   [-0, +0, e] */
static int64_t cpu_budget_option(lua_State *L) {
  static const char expected[] = "seconds above 0";
  int64_t budget_ns = 0;
  if (lua_getfield(L, 1, "cpu_budget") != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TNUMBER) options_error(L, 1, "spawn_with", "cpu_budget", expected);
    double seconds = lua_tonumber(L, -1);
    if (!(seconds > 0)) options_refuse_value(L, 1, "spawn_with", "cpu_budget", expected);
    budget_ns = clock_deadline_ns(0, seconds);
  }
  lua_pop(L, 1);
  return budget_ns;
}

int spawn_with(lua_State *L, struct scope *scope) {
  enum {
    NAME = 1,
    DAEMON = 2,
    SERVICE = 4,
    ATTRIBUTES = 8,
    CONTEXT = 16,
    DETACHED_TRACE = 32,
    CPU_BUDGET = 64,
    WATCHER = 128
  };
  static const char *const names[] = {"name",       "daemon",  "service",
                                      "attributes", "context", "detached_trace",
                                      "cpu_budget", "watcher", NULL};
  static const trace_ids no_trace = {.trace = NULL};
  runtime *rt = runtime_of(L);
  unsigned given = options_check_names(L, 1, "spawn_with", names);
  arg_check_function(L, 2, "spawn_with");
  int arguments = lua_gettop(L) - 2;
  scope_spawn_options options = {.task = {.type = TASK_TYPE_OF_UPVALUE}, .scope = scope};
  spawn_options *spawn = &options.task;
  if (given & DAEMON) spawn->daemon = options_boolean(L, 1, "spawn_with", "daemon");
  if (given & DETACHED_TRACE && options_boolean(L, 1, "spawn_with", "detached_trace")) {
    spawn->trace = &no_trace;
  }
  if (given & SERVICE) spawn->service = options_boolean(L, 1, "spawn_with", "service");
  if (spawn->service) spawn->spans = SPANS_NO;
  if (given & NAME) spawn->name = options_string(L, 1, "spawn_with", "name");
  if (given & CONTEXT && lua_getfield(L, 1, "context") != LUA_TNIL) {
    if (context_test(L, -1) == NULL) options_error(L, 1, "spawn_with", "context", "context");
    options.context = lua_gettop(L);
  }
  if (given & WATCHER && options_boolean(L, 1, "spawn_with", "watcher")) {
    spawn->service = true;
    spawn->spans = SPANS_NO;
    spawn->group_type = &watcher_type;
  }
  int64_t budget_ns = given & CPU_BUDGET ? cpu_budget_option(L) : 0;
  if (budget_ns != 0 && spawn->group_type != NULL) {
    arg_error(L, 1, "spawn_with", "option 'watcher' with 'cpu_budget'");
  }
  if (budget_ns != 0) {
    preempt_require(rt, L, "co.spawn_with with a CPU budget");
    spawn->group_type = &cpu_budget_type;
    spawn->group = &budget_ns;
  }
  int type = given & ATTRIBUTES ? lua_getfield(L, 1, "attributes") : LUA_TNIL;
  if (type != LUA_TNIL && type != LUA_TTABLE) {
    options_error(L, 1, "spawn_with", "attributes", "table");
  }
  if (type == LUA_TTABLE) spawn->attributes = lua_gettop(L);
  luaL_checkstack(L, arguments + 1 + LUA_MINSTACK, "too many arguments");
  for (int i = 2; i <= arguments + 2; i++) lua_pushvalue(L, i);
  scope_spawn(rt, L, arguments, &options);
  return 1;
}

static int run_spawn_with(lua_State *L) { return spawn_with(L, NULL); }

/* --- threads --- */

static int run_thread_pool(lua_State *L) {
  runtime *rt = runtime_of(L);
  lua_Integer before = (lua_Integer)rt->pool_max;
  if (!lua_isnoneornil(L, 1)) {
    lua_Integer max = arg_check_integer(L, 1, 1, "thread_pool", "threads", 0, THREAD_POOL_MAX);
    threads_limit(rt, (size_t)max);
  }
  lua_pushinteger(L, before);
  return 1;
}

/* --- hosts --- */

static int run_step(lua_State *L) {
  double budget = lua_isnoneornil(L, 1) ? 0 : arg_check_seconds(L, 1, 1, "step");
  lua_pushboolean(L, scheduler_step(runtime_of(L), L, clock_deadline_ns(0, budget)));
  return 1;
}

static int run_timeout(lua_State *L) {
  const runtime *rt = runtime_of(L);
  int64_t next = scheduler_next_deadline(rt);
  if (next == TIME_FOREVER) {
    lua_pushnil(L);
    return 1;
  }
  int64_t now = runtime_now(rt);
  lua_pushnumber(L, next <= now ? 0 : (lua_Number)(next - now) / (lua_Number)NS_PER_SECOND);
  return 1;
}

static int run_pollfd(lua_State *L) {
  int fd = io_pollfd(runtime_of(L));
  if (fd < 0) return luaL_error(L, "co.pollfd: %s", strerror(errno));
  lua_pushinteger(L, fd);
  return 1;
}

static int run_events(lua_State *L) {
  lua_pushliteral(L, "r");
  return 1;
}

/* --- time --- */

static int run_yield(lua_State *L) {
  runtime *rt = runtime_of(L);
  return scheduler_yield(rt, L, task_check_suspend(rt, L, "yield"));
}

static bool sleep_is_over(const task *t) { return t->wake == WAKE_TIMEOUT; }

static const wait_type wait_sleep = {
    .name = "sleep", .gave_way = sleep_is_over, .continuation = task_after_wait};

static int run_sleep(lua_State *L) {
  runtime *rt = runtime_of(L);
  double seconds = arg_check_seconds(L, 1, 1, "sleep");
  task_check_suspend(rt, L, "sleep");
  int64_t deadline = clock_deadline_ns(runtime_now(rt), seconds);
  return task_park(rt, L, &wait_sleep, deadline);
}

static int run_now(lua_State *L) {
  lua_pushnumber(L, (lua_Number)runtime_now(runtime_of(L)) / (lua_Number)NS_PER_SECOND);
  return 1;
}

/* --- hooks --- */

static int run_on_panic(lua_State *L) { return lib_set_hook(L, RUNTIME_UV_ON_PANIC, "on_panic"); }
static int run_on_start(lua_State *L) {
  lib_set_hook(L, RUNTIME_UV_ON_START, "on_start");
  runtime *rt = runtime_of(L);
  runtime_push_value(rt, L, RUNTIME_UV_ON_START);
  rt->has_start_hook = !lua_isnil(L, -1);
  lua_pop(L, 1);
  return 1;
}
static int run_on_spawn(lua_State *L) { return lib_set_listener(L, PROBE_SPAWN, "on_spawn"); }
static int run_on_suspend(lua_State *L) { return lib_set_listener(L, PROBE_STOP, "on_suspend"); }
static int run_on_exit(lua_State *L) { return lib_set_listener(L, PROBE_END, "on_exit"); }

void lib_run_open(lua_State *L, runtime *rt) {
  static const luaL_Reg functions[] = {
      {"run", run_run},
      {"run_with", run_run_with},
      {"thread_pool", run_thread_pool},
      {"step", run_step},
      {"timeout", run_timeout},
      {"pollfd", run_pollfd},
      {"events", run_events},
      {"yield", run_yield},
      {"sleep", run_sleep},
      {"now", run_now},
      {"on_panic", run_on_panic},
      {"on_spawn", run_on_spawn},
      {"on_start", run_on_start},
      {"on_exit", run_on_exit},
      {"on_suspend", run_on_suspend},
      {NULL, NULL},
  };
  static const luaL_Reg spawners[] = {
      {"spawn", run_spawn}, {"spawn_with", run_spawn_with}, {NULL, NULL}};
  lib_register(L, rt, functions);
  lib_register_spawners(L, rt, spawners);
}
