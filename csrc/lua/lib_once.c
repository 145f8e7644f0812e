/* co.once: a function that runs once, whoever calls it first. */
#include "lua/lib.h"
#include "runtime/args.h"
#include "runtime/panic.h"
#include "runtime/waitlist.h"

typedef enum once_state { ONCE_NEW, ONCE_RUNNING, ONCE_DONE } once_state;

typedef struct once {
  waitlist waitlist; /* who called while it runs */
  uint64_t runner;   /* RUNNING: id of the task that called first; 0: the main program */
  int results;       /* DONE: how many; 0 also if the function did not return */
  uint8_t state;     /* once_state */
} once;

/* User values: the function until it has run, and a table of its results. */
enum { ONCE_UV_FUNCTION = 1, ONCE_UV_RESULTS, ONCE_UV_COUNT = ONCE_UV_RESULTS };

#define ONCE_TYPE "coropanic.once"

/*
** A to-be-closed value in the first call: whatever ends that (results, a panic, a cancellation,
** the closing of the coroutine), its __close says that the once has run. User value 1: the once.
*/
#define ONCE_RUN_TYPE "coropanic.once_run"

static const waitlist_type once_type = {
    .name = "once",
    .metatable = ONCE_TYPE,
    .size = sizeof(once),
    .user_values = ONCE_UV_COUNT,
};

static once *check_once(lua_State *L, const char *method) {
  return arg_check_self(L, ONCE_TYPE, method);
}

static int once_once(lua_State *L) {
  arg_check_function(L, 1, "once");
  waitlist_new(L, &once_type);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, ONCE_UV_FUNCTION);
  return 1;
}

/* Pushes the results of the once at 1, which has run.   [-0, +n, e] */
static int push_results(lua_State *L, const once *o) {
  if (o->results == 0) return 0;
  luaL_checkstack(L, o->results + 1, "too many results");
  lua_getiuservalue(L, 1, ONCE_UV_RESULTS);
  int table = lua_gettop(L);
  for (int i = 1; i <= o->results; i++) lua_rawgeti(L, table, i);
  return o->results;
}

/* --- the first call --- */

/* (run, error) */
static int close_run(lua_State *L) {
  arg_check_self(L, ONCE_RUN_TYPE, "__close");
  lua_getiuservalue(L, 1, 1);
  once *o = lua_touserdata(L, -1);
  o->state = ONCE_DONE;
  lua_pushnil(L);
  lua_setiuservalue(L, -2, ONCE_UV_FUNCTION);
  waitlist_wake_all(runtime_of_any(L), &o->waitlist, WAKE_READY);
  return 0;
}

/* The function has returned: (once, run, results...) → results. */
static int after_run(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  once *o = lua_touserdata(L, 1);
  int results = lua_gettop(L) - 2;
  luaL_checkstack(L, 2, "too many results");
  lua_createtable(L, results, 0);
  for (int i = 1; i <= results; i++) {
    lua_pushvalue(L, i + 2);
    lua_rawseti(L, -2, i);
  }
  lua_setiuservalue(L, 1, ONCE_UV_RESULTS);
  o->results = results;
  return results;
}

/* (once, arguments...) */
static int run_function(lua_State *L, once *o) {
  const task *self = runtime_of(L)->current;
  int arguments = lua_gettop(L) - 1;
  luaL_checkstack(L, 3, "too many arguments");
  lua_newuserdatauv(L, 0, 1);
  luaL_setmetatable(L, ONCE_RUN_TYPE);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  lua_insert(L, 2);
  lua_getiuservalue(L, 1, ONCE_UV_FUNCTION);
  lua_insert(L, 3);
  lua_toclose(L, 2);
  o->state = ONCE_RUNNING;
  o->runner = self == NULL ? 0 : self->id;
  lua_callk(L, arguments, LUA_MULTRET, 0, after_run);
  return after_run(L, LUA_OK, 0);
}

/* --- later calls --- */

static int after_wait(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  const once *o = lua_touserdata(L, 1);
  waitlist_woken(runtime_of(L), L, lua_touserdata(L, 1));
  return push_results(L, o);
}

static int wait_for_first(lua_State *L, once *o) {
  runtime *rt = runtime_of(L);
  if (o->runner == (rt->current == NULL ? 0 : rt->current->id)) {
    lua_pushliteral(L, "once called by its own function: it would wait for itself");
    return panic_raise_kind(rt, L, RECORD_DEADLOCK);
  }
  waitlist_check(rt, L, "once");
  lua_settop(L, 1);
  return waitlist_park(rt, L, &o->waitlist, WAIT_ONCE, TIME_FOREVER, "once", after_wait);
}

/* o(...) and o:call(...). A suspension point only where it waits for the first call to end. */
static int once_method_call(lua_State *L) {
  once *o = check_once(L, "call");
  switch (o->state) {
    case ONCE_NEW: return run_function(L, o);
    case ONCE_RUNNING: return wait_for_first(L, o);
    default: return push_results(L, o);
  }
}

static int once_method_done(lua_State *L) {
  lua_pushboolean(L, check_once(L, "done")->state == ONCE_DONE);
  return 1;
}

static int once_tostring(lua_State *L) {
  const once *o = check_once(L, "__tostring");
  if (o->state != ONCE_RUNNING) {
    lua_pushstring(L, o->state == ONCE_NEW ? "once (not called)" : "once (done)");
  } else if (o->runner == 0) {
    lua_pushliteral(L, "once (running in the main program)");
  } else {
    lua_pushfstring(L, "once (running in task %I)", (LUAI_UACINT)o->runner);
  }
  return 1;
}

void lib_once_open(lua_State *L, runtime *rt) {
  static const luaL_Reg methods[] = {
      {"call", once_method_call},
      {"done", once_method_done},
      {NULL, NULL},
  };
  static const luaL_Reg metamethods[] = {
      {"__call", once_method_call},
      {"__tostring", once_tostring},
      {"__gc", waitlist_collect},
      {NULL, NULL},
  };
  static const luaL_Reg run_methods[] = {{NULL, NULL}};
  static const luaL_Reg run_metamethods[] = {{"__close", close_run}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"once", once_once}, {NULL, NULL}};
  lib_new_type(L, rt, ONCE_TYPE, methods, metamethods);
  lib_new_type(L, rt, ONCE_RUN_TYPE, run_methods, run_metamethods);
  lib_register(L, rt, functions);
}
