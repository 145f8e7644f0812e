/* co.trace.use: which generator makes the trace ids. */
#include "lua/lib_trace_use.h"

#include <string.h>

#include "core/clock.h"
#include "lua/options.h"
#include "runtime/args.h"
#include "runtime/runtime.h"

/* 2024-01-01T00:00:00Z: snowflakes then last until 2093. */
#define DEFAULT_EPOCH_MS INT64_C(1704067200000)
#define LATEST_EPOCH_MS (INT64_C(1) << 48)

#define DEFAULT_WAIT_MS 100
#define DEFAULT_BORROW_MS 10000
#define DEFAULT_DRIFT_MS 500

static const char *const kind_names[] = {"random", "uuid7", "snowflake", "hlc", NULL};

/* The lease of a machine id: what the function that keeps it has said last. */
typedef struct lease {
  int64_t until_ns;
  bool over; /* another generator, or another lease, is used */
} lease;

/* --- leases --- */

/*
** hold(seconds): the machine id is leased for so long from now on, 0: not any more. Whether it is still
** wanted.
*/
static int hold(lua_State *L) {
  runtime *rt = runtime_of(L);
  lease *l = lua_touserdata(L, lua_upvalueindex(2));
  double seconds = arg_check_seconds(L, 1, 1, "hold");
  static const task_clock monotonic = {.is_virtual = false};
  l->until_ns = clock_deadline_ns(clock_now_ns(&monotonic), seconds);
  if (rt->lease == l) rt->generator.leased_until_ns = l->until_ns;
  lua_pushboolean(L, !l->over && !rt->closed);
  return 1;
}

/* The generator goes on with this lease, on top of the stack, or nil: with none.   [-1, +0, -] */
static void set_lease(runtime *rt, lua_State *L) {
  runtime_push_value(rt, L, RUNTIME_UV_LEASE);
  lease *before = lua_touserdata(L, -1);
  lua_pop(L, 1);
  lease *l = lua_touserdata(L, -1);
  if (before != NULL && before != l) before->over = true;
  rt->lease = l;
  if (l != NULL) rt->generator.leased_until_ns = l->until_ns;
  runtime_set_value(rt, L, RUNTIME_UV_LEASE);
}

/* --- the generators --- */

static int finish(runtime *rt, lua_State *L, id_kind before) {
  set_lease(rt, L);
  lua_pushstring(L, kind_names[before]);
  return 1;
}

/* The options of a snowflake, with the machine id and then its lease or nil on top.   [-2, +1, e] */
static int use_snowflake(runtime *rt, lua_State *L) {
  static const char *const policies[] = {"wait", "borrow", "error", NULL};
  snowflake_policy policy = (snowflake_policy)options_word(L, 2, "use", "on_clock_back", policies);
  lua_Integer tolerance = options_milliseconds(
      L, 2, "use", "tolerance", policy == SNOWFLAKE_BORROW ? DEFAULT_BORROW_MS : DEFAULT_WAIT_MS);
  lua_Integer epoch = options_integer(L, 2, "use", "epoch", 0, LATEST_EPOCH_MS, DEFAULT_EPOCH_MS);
  lua_Integer machine = lua_tointeger(L, -2);
  id_kind before = (id_kind)rt->generator.kind;
  if (!id_use_snowflake(&rt->generator, rt->ids, (uint16_t)machine, epoch, policy, tolerance)) {
    return luaL_error(
        L,
        "co.trace.use: machine id %d is used by another Lua state of this process, or "
        "by the process that it was forked from",
        (int)machine);
  }
  return finish(rt, L, before);
}

/* The function that leases a machine id has returned: (name, options, lease, results...). */
static int after_lease(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  runtime *rt = runtime_of(L);
  lua_settop(L, 4);
  int is_integer;
  lua_Integer machine = lua_tointegerx(L, 4, &is_integer);
  if (!is_integer || machine < 0 || machine >= SNOWFLAKE_MACHINES) {
    return luaL_error(
        L, "co.trace.use: option 'lease': the function returned %s, not an integer from 0 to %d",
        luaL_tolstring(L, 4, NULL), SNOWFLAKE_MACHINES - 1);
  }
  lua_insert(L, 3);
  return use_snowflake(rt, L);
}

static int begin_lease(runtime *rt, lua_State *L) {
  lua_settop(L, 2);
  lease *l = lua_newuserdatauv(L, sizeof(lease), 0);
  *l = (lease){0};
  lua_getfield(L, 2, "lease");
  lua_pushlightuserdata(L, rt);
  lua_pushvalue(L, 3);
  lua_pushcclosure(L, hold, 2);
  lua_callk(L, 1, 1, 0, after_lease);
  return after_lease(L, LUA_OK, 0);
}

static int begin_snowflake(runtime *rt, lua_State *L) {
  static const char *const names[] = {"machine",       "lease",     "epoch",
                                      "on_clock_back", "tolerance", NULL};
  options_check_names(L, 2, "use", names);
  int type = lua_getfield(L, 2, "lease");
  if (type != LUA_TNIL && type != LUA_TFUNCTION) options_error(L, 2, "use", "lease", "function");
  lua_pop(L, 1);
  lua_Integer machine = options_integer(L, 2, "use", "machine", 0, SNOWFLAKE_MACHINES - 1, -1);
  if ((machine >= 0) == (type != LUA_TNIL)) {
    return arg_error(L, 2, "use",
                     "for a snowflake either option 'machine' or option 'lease' expected");
  }
  if (machine < 0) return begin_lease(rt, L);
  lua_settop(L, 2);
  lua_pushinteger(L, machine);
  lua_pushnil(L);
  return use_snowflake(rt, L);
}

static int trace_use(lua_State *L) {
  static const char *const none[] = {NULL};
  static const char *const hlc_names[] = {"max_drift", NULL};
  runtime *rt = runtime_of(L);
  int kind = 0;
  if (lua_type(L, 1) != LUA_TSTRING) return arg_type_error(L, 1, "use", "string");
  while (kind_names[kind] != NULL && strcmp(kind_names[kind], lua_tostring(L, 1)) != 0) kind++;
  if (kind_names[kind] == NULL) {
    return arg_error(L, 1, "use", "\"random\", \"uuid7\", \"snowflake\" or \"hlc\" expected");
  }
  if (rt->ids == NULL) return luaL_error(L, "the Lua state is being closed");
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) {
    lua_newtable(L);
    lua_replace(L, 2);
  }
  if (kind == ID_SNOWFLAKE) return begin_snowflake(rt, L);
  options_check_names(L, 2, "use", kind == ID_HLC ? hlc_names : none);
  id_kind before = (id_kind)rt->generator.kind;
  if (kind == ID_HLC) {
    id_use_hlc(&rt->generator, options_milliseconds(L, 2, "use", "max_drift", DEFAULT_DRIFT_MS));
  } else if (kind == ID_UUID7) {
    id_use_uuid7(&rt->generator);
  } else {
    id_use_random(&rt->generator);
  }
  id_give_back(&rt->generator, rt->ids);
  lua_pushnil(L);
  return finish(rt, L, before);
}

void lib_trace_use_open(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushcclosure(L, trace_use, 1);
  lua_setfield(L, -2, "use");
}
