/* co.trace.use: chooses the generator of trace ids. */
#define _GNU_SOURCE 1 /* dladdr, RTLD_NODELETE */

#include "lua/lib_trace_use.h"

#include <dlfcn.h>

#include "core/clock.h"
#include "kernel/args.h"
#include "kernel/runtime.h"
#include "kernel/unwind.h"
#include "lua/options.h"

/* 2024-01-01T00:00:00Z: snowflakes then last until 2093. */
#define DEFAULT_EPOCH_MS INT64_C(1704067200000)
#define LATEST_EPOCH_MS (INT64_C(1) << 48)

#define DEFAULT_WAIT_MS 100
#define DEFAULT_BORROW_MS 10000
#define DEFAULT_DRIFT_MS 500

static const char *const kind_names[] = {"random", "uuid7", "snowflake", "hlc", NULL};

/* The options of a snowflake. */
typedef struct snowflake_options {
  int64_t epoch_ms;
  int64_t tolerance_ms;
  snowflake_policy policy;
} snowflake_options;

/*
** A call of co.trace.use with a lease: its options, and the state of the lease as `hold` last set
** it.
*/
typedef struct lease {
  snowflake_options options;
  uint64_t use;     /* the number of the call */
  uint64_t mark;    /* of the process that holds the lease */
  int64_t asked_ns; /* when hold() was last called without arguments; NOT_ASKED: count from now */
  int64_t until_ns;
  int64_t to_ms;
  int64_t last_ms; /* unix, of the last id; NO_SNOWFLAKE: none */
  bool over;       /* the call has failed, or another generator or lease is used */
} lease;

#define LEASE_TYPE "coropanic.lease"
#define NOT_ASKED INT64_MIN

/* A wall clock that shows more is as good as broken. Sums of times below it do not overflow. */
#define LATEST_MS (INT64_C(1) << 52)

/* --- leases --- */

/* Sets the limits of the lease in the generator. */
static void apply(runtime *rt, const lease *l) {
  rt->generator.leased_until_ns = l->until_ns;
  rt->generator.leased_to_ms = l->to_ms;
}

/*
** hold([seconds, [to]]): extends the lease of the machine id. It lasts for `seconds` from the last
** call of hold() without arguments, or from now; 0 ends it. No id gets a later unix millisecond
** than `to`. Returns whether the lease is still wanted, and the unix millisecond of the last id. In
** a forked child, which does not have the lease, returns nil and a message.
*/
static int hold(lua_State *L) {
  runtime *rt = runtime_of(L);
  lease *l = lua_touserdata(L, lua_upvalueindex(2));
  if (rt->ids == NULL || id_source_marked(rt->ids) != l->mark) {
    lua_pushnil(L);
    lua_pushliteral(L, "the lease is not this process's");
    return 2;
  }
  if (lua_isnoneornil(L, 1)) {
    l->asked_ns = clock_lease_ns(rt->generator.lease_clock);
  } else {
    double seconds = arg_check_seconds(L, 1, 1, "hold");
    l->to_ms = lua_isnoneornil(L, 2) ? TIME_FOREVER
                                     : arg_check_integer(L, 2, 2, "hold", "to", 0, LATEST_MS);
    int64_t since_ns =
        l->asked_ns == NOT_ASKED ? clock_lease_ns(rt->generator.lease_clock) : l->asked_ns;
    l->until_ns = seconds > 0 ? clock_deadline_ns(since_ns, seconds) : 0;
    l->asked_ns = NOT_ASKED;
  }
  if (rt->lease == l) {
    apply(rt, l);
    l->last_ms = id_last_unix_ms(&rt->generator);
  }
  lua_pushboolean(L, !l->over && !rt->closed);
  if (l->last_ms == NO_SNOWFLAKE) return 1;
  lua_pushinteger(L, l->last_ms);
  return 2;
}

/*
** __close of a lease: the call of co.trace.use that began it has ended. If the call has failed, the
** lease is no longer wanted.
*/
static int end_call(lua_State *L) {
  const runtime *rt = runtime_of_any(L);
  lease *l = lua_touserdata(L, 1);
  if (rt->lease != l) l->over = true;
  return 0;
}

/* --- the generators --- */

/*
** Pushes the name of the present generator: a call that chooses another one returns it.
** [-0, +1, m]
*/
static void push_kind(const runtime *rt, lua_State *L) {
  lua_pushstring(L, kind_names[rt->generator.kind]);
}

/*
** Ends the lease, because another generator, machine id or lease is used from now on. last_ms: what
** id_last_unix_ms returned before the change.   [-0, +0, -]
*/
static void end_lease(runtime *rt, lua_State *L, int64_t last_ms) {
  runtime_push_value(rt, L, RUNTIME_UV_LEASE);
  lease *l = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (l == NULL) return;
  l->last_ms = last_ms;
  l->over = true;
  rt->lease = NULL;
  lua_pushnil(L);
  runtime_set_value(rt, L, RUNTIME_UV_LEASE);
}

/*
** Keeps the module loaded. Lua unloads it with the last state of the process that has it. The last
** ids of the machine ids (id_snowflake.c) would be lost with it, and the next state would make the
** same ids again.
*/
static void stay_loaded(void) {
  static const char here = 0;
  Dl_info module;
  if (dladdr(&here, &module) == 0 || module.dli_fname == NULL) return;
  void *library = dlopen(module.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
  if (library != NULL) dlclose(library);
}

/*
** Makes the generator use the machine id, without a lease; or raises and changes nothing.
** [-0, +0, e]
*/
static void use_machine(runtime *rt, lua_State *L, lua_Integer machine,
                        const snowflake_options *o) {
  int64_t last_ms = id_last_unix_ms(&rt->generator);
  switch (id_use_snowflake(&rt->generator, rt->ids, (uint16_t)machine, o->epoch_ms, o->policy,
                           o->tolerance_ms)) {
    case MACHINE_OK:
      stay_loaded();
      end_lease(rt, L, last_ms);
      return;
    case MACHINE_TAKEN:
      luaL_error(L,
                 "co.trace.use: machine id %d is used by another Lua state of this process, or "
                 "by the process that it was forked from",
                 (int)machine);
      return;
    case MACHINE_OTHER_EPOCH:
      luaL_error(L,
                 "co.trace.use: option 'epoch': machine id %d has made ids since another epoch in "
                 "this process; with %I they would not be in order",
                 (int)machine, (LUAI_UACINT)o->epoch_ms);
  }
}

/*
** Returns the integer that the lease function has returned at `index`; raises unless it is from 0
** to `high`.   [-0, +0, e]
*/
static lua_Integer check_returned(lua_State *L, int index, lua_Integer high, const char *expected) {
  bool is_number = lua_type(L, index) == LUA_TNUMBER;
  int is_integer = 0;
  lua_Integer value = is_number ? lua_tointegerx(L, index, &is_integer) : 0;
  if (is_integer && value >= 0 && value <= high) return value;
  const char *got = is_number ? luaL_tolstring(L, index, NULL) : luaL_typename(L, index);
  luaL_error(L, "co.trace.use: option 'lease': the function returned %s, not %s", got, expected);
  return 0;
}

/* The lease function has returned. The stack is (name, options, lease, machine, last). */
static int after_lease(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  runtime *rt = runtime_of(L);
  lease *l = lua_touserdata(L, 3);
  if (rt->ids == NULL) return luaL_error(L, "the Lua state is being closed");
  lua_Integer machine =
      check_returned(L, 4, SNOWFLAKE_MACHINES - 1, "a machine id, an integer from 0 to 1023");
  bool has_last = !lua_isnil(L, 5);
  lua_Integer last_ms =
      has_last ? check_returned(L, 5, LATEST_MS, "the unix millisecond of the last id") : 0;
  if (id_source_marked(rt->ids) != l->mark) {
    return luaL_error(
        L, "co.trace.use: the lease is that of the process that this one was forked from");
  }
  if (rt->in_use > l->use) {
    return luaL_error(
        L,
        "co.trace.use: another call has chosen the generator while this one waited for its lease");
  }
  push_kind(rt, L);
  use_machine(rt, L, machine, &l->options);
  if (has_last) snowflake_start_behind(&rt->generator.snowflake, last_ms);
  rt->lease = l;
  apply(rt, l);
  lua_pushvalue(L, 3);
  runtime_set_value(rt, L, RUNTIME_UV_LEASE);
  rt->in_use = l->use;
  return 1;
}

static int begin_lease(runtime *rt, lua_State *L, const snowflake_options *o) {
  lua_settop(L, 2);
  lease *l = lua_newuserdatauv(L, sizeof(lease), 0);
  *l = (lease){.options = *o,
               .use = ++rt->uses,
               .mark = id_source_mark(rt->ids),
               .asked_ns = NOT_ASKED,
               .to_ms = TIME_FOREVER,
               .last_ms = NO_SNOWFLAKE};
  luaL_setmetatable(L, LEASE_TYPE);
  lua_getfield(L, 2, "lease");
  lua_pushlightuserdata(L, rt);
  lua_pushvalue(L, 3);
  lua_pushcclosure(L, hold, 2);
  return unwind_call_closing(L, 3, 1, 2, 0, after_lease);
}

static int use_snowflake(runtime *rt, lua_State *L) {
  static const char *const names[] = {"machine",       "lease",     "epoch",
                                      "on_clock_back", "tolerance", NULL};
  static const char *const policies[] = {"wait", "borrow", "error", NULL};
  options_check_names(L, 2, "use", names);
  int type = lua_getfield(L, 2, "lease");
  if (type != LUA_TNIL && type != LUA_TFUNCTION) options_error(L, 2, "use", "lease", "function");
  lua_pop(L, 1);
  lua_Integer machine = options_integer(L, 2, "use", "machine", 0, SNOWFLAKE_MACHINES - 1, -1);
  if ((machine >= 0) == (type != LUA_TNIL)) {
    return arg_error(L, 2, "use",
                     "for a snowflake either option 'machine' or option 'lease' expected");
  }
  snowflake_options o;
  o.policy = (snowflake_policy)options_word(L, 2, "use", "on_clock_back", policies);
  o.tolerance_ms = options_milliseconds(
      L, 2, "use", "tolerance", o.policy == SNOWFLAKE_BORROW ? DEFAULT_BORROW_MS : DEFAULT_WAIT_MS);
  o.epoch_ms = options_integer(L, 2, "use", "epoch", 0, LATEST_EPOCH_MS, DEFAULT_EPOCH_MS);
  if (machine < 0) return begin_lease(rt, L, &o);
  push_kind(rt, L);
  use_machine(rt, L, machine, &o);
  rt->in_use = ++rt->uses;
  return 1;
}

static int trace_use(lua_State *L) {
  static const char *const none[] = {NULL};
  static const char *const hlc_names[] = {"max_drift", NULL};
  runtime *rt = runtime_of(L);
  if (lua_type(L, 1) != LUA_TSTRING) return arg_type_error(L, 1, "use", "string");
  int kind = arg_find_word(L, 1, kind_names);
  if (kind < 0) {
    return arg_error(L, 1, "use", "\"random\", \"uuid7\", \"snowflake\" or \"hlc\" expected");
  }
  if (rt->ids == NULL) return luaL_error(L, "the Lua state is being closed");
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) {
    lua_newtable(L);
    lua_replace(L, 2);
  }
  if (kind == ID_SNOWFLAKE) return use_snowflake(rt, L);
  options_check_names(L, 2, "use", kind == ID_HLC ? hlc_names : none);
  lua_Integer max_drift = options_milliseconds(L, 2, "use", "max_drift", DEFAULT_DRIFT_MS);
  push_kind(rt, L);
  if (kind == ID_HLC) {
    id_use_hlc(&rt->generator, max_drift);
  } else if (kind == ID_UUID7) {
    id_use_uuid7(&rt->generator);
  } else {
    id_use_random(&rt->generator);
  }
  end_lease(rt, L, id_last_unix_ms(&rt->generator));
  id_give_back(&rt->generator, rt->ids);
  rt->in_use = ++rt->uses;
  return 1;
}

void lib_trace_use_open(lua_State *L) {
  luaL_newmetatable(L, LEASE_TYPE);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushcclosure(L, end_call, 1);
  lua_setfield(L, -2, "__close");
  lua_pop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushcclosure(L, trace_use, 1);
  lua_setfield(L, -2, "use");
}
