/*
** co.once: a function that runs to its end only once, in the first call. Model: Go's
** sync.OnceValues.
*/
#include "kernel/args.h"
#include "kernel/panic.h"
#include "kernel/unwind.h"
#include "lua/lib.h"
#include "lua/sync_options.h"
#include "sync/order.h"
#include "sync/waitlist.h"

/*
**   NEW ── called ──▶ RUNNING ── returns ──▶ DONE
**    ▲                   │  └─── panics ───▶ PANICKED
**    └── its caller is cancelled, exits, or its coroutine is closed
*/
typedef enum once_state { ONCE_NEW, ONCE_RUNNING, ONCE_DONE, ONCE_PANICKED } once_state;

typedef struct once {
  waitlist waitlist; /* the tasks that called while it runs */
  uint64_t runner;   /* RUNNING: the id of the task that runs it; 0: the main program */
  int results;       /* DONE: the number of results */
  uint8_t state;     /* once_state */
} once;

/*
** User values: the function until it has run; then a table of its results, or the record of its
** panic.
*/
enum { ONCE_UV_FUNCTION = 1, ONCE_UV_OUTCOME, ONCE_UV_COUNT = ONCE_UV_OUTCOME };

#define ONCE_TYPE "coropanic.once"

enum { ONCE_INDEX = 1 };

static const waitlist_type once_type = {
    .object = {.name = "once",
               .metatable = ONCE_TYPE,
               .size = sizeof(once),
               .user_values = ONCE_UV_COUNT},
};

static int after_wait(lua_State *L, int status, lua_KContext context);

static const wait_type wait_once = {.name = "once", WAITLIST_WAIT, .continuation = after_wait};

static once *check_once(lua_State *L, const char *method) {
  return sync_check_self(L, &once_type.object, method);
}

static int once_once(lua_State *L) {
  runtime *rt = runtime_of(L);
  arg_check_function(L, 1, "once");
  uint16_t name = sync_check_name(rt, L, 2, "once");
  once *o = waitlist_new(rt, L, &once_type);
  order_set_name(&o->waitlist.object, name);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, ONCE_UV_FUNCTION);
  return 1;
}

/* Pushes the results of the once at 1, which must be DONE.   [-0, +n, e] */
static int push_results(lua_State *L, const once *o) {
  luaL_checkstack(L, o->results + 1, "too many results");
  lua_getiuservalue(L, ONCE_INDEX, ONCE_UV_OUTCOME);
  int table = lua_gettop(L);
  for (int i = 1; i <= o->results; i++) lua_rawgeti(L, table, i);
  return o->results;
}

/*
** Raises the panic of the once at 1, which must be PANICKED, as a panic of the running code.
** [-0, +0, e]
*/
static int raise_panic(lua_State *L) {
  lua_getiuservalue(L, ONCE_INDEX, ONCE_UV_OUTCOME);
  record_wrap_safe(runtime_of(L), L, L, 1, record_test(L, -1)->kind);
  return lua_error(L);
}

/* --- the first call --- */

static const order_use use_of_once = {.kind = &order_of_once, .gate = true, .amount = 1};

/*
** Pops the once and ends its run with this state. Wakes all waiting tasks. If the state is NEW, the
** first of them that runs calls the function.   [-1, +0, -]
*/
static void end_run(runtime *rt, lua_State *L, once_state state) {
  once *o = lua_touserdata(L, -1);
  o->state = (uint8_t)state;
  if (state != ONCE_NEW) {
    lua_pushnil(L);
    lua_setiuservalue(L, -2, ONCE_UV_FUNCTION);
  }
  lua_pop(L, 1);
  order_gave(rt, L, &o->waitlist.object, &use_of_once);
  waitlist_wake_all(rt, &o->waitlist, WAKE_READY);
}

/* (size) → an array with room for so many values; called protected. */
static int new_array(lua_State *L) {
  lua_createtable(L, (int)lua_tointeger(L, 1), 0);
  return 1;
}

/*
** Stores the results, which are on top of the stack, in the once. Returns false if there is no
** memory, or if a debug hook fails meanwhile, and replaces them by the record of that.
** [-(0|results), +(0|1), -]
*/
static bool keep_results(runtime *rt, lua_State *L, once *o, int results) {
  int first = lua_gettop(L) - results + 1;
  int status = LUA_ERRMEM;
  if (lua_checkstack(L, LUA_MINSTACK)) {
    lua_pushcfunction(L, new_array);
    lua_pushinteger(L, results);
    status = lua_pcall(L, 1, 1, 0);
  }
  if (status == LUA_ERRMEM) {
    lua_settop(L, first - 1);
    record_make_safe(rt, L, L, 0, RECORD_MEMORY, "not enough memory for the results");
    return false;
  }
  if (status != LUA_OK) {
    panic_settle(rt, L, status);
    lua_insert(L, first);
    lua_settop(L, first);
    return false;
  }
  for (int i = 0; i < results; i++) {
    lua_pushvalue(L, first + i);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setiuservalue(L, ONCE_INDEX, ONCE_UV_OUTCOME);
  o->results = results;
  return true;
}

static const frame_type frame_once;

/* Runs at the end of the first call: the function has returned or was unwound. */
static int leave_run(runtime *rt, lua_State *L, frame_stack *s, frame_state state) {
  once *o = lua_touserdata(L, ONCE_INDEX);
  once_state next = ONCE_NEW;
  if (state == STATE_RETURNING) {
    if (keep_results(rt, L, o, unwind_results(s, L, &frame_once))) {
      next = ONCE_DONE;
    } else {
      state = STATE_PANICKING;
    }
  } else if (state == STATE_PANICKING) {
    next = ONCE_PANICKED;
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, ONCE_INDEX, ONCE_UV_OUTCOME);
  }
  lua_pushvalue(L, ONCE_INDEX);
  end_run(rt, L, next);
  return unwind_leave(s, L, &frame_once, state);
}

/* Runs if the coroutine of the first call was closed. */
static void lose_run(runtime *rt, lua_State *L, frame_stack *s) {
  frames_push_object(s, L);
  end_run(rt, L, ONCE_NEW);
}

/* The frame of the first call. Its value is the once. */
static const frame_type frame_once = {
    .is_thin = true,
    .has_object = true,
    .leave = leave_run,
    .lost = lose_run,
};

static int call(lua_State *L, once *o);

/* (once, arguments...) */
static int run_function(lua_State *L, once *o) {
  runtime *rt = o->waitlist.object.runtime;
  luaL_checkstack(L, LUA_MINSTACK, "too many arguments");
  frames_reserve_object(coroutine_frames_of(rt, L), L);
  if (o->state != ONCE_NEW) return call(L, o); /* a finalizer has called it meanwhile */
  lua_getiuservalue(L, ONCE_INDEX, ONCE_UV_FUNCTION);
  lua_insert(L, ONCE_INDEX + 1);
  frame_stack *s = unwind_open_body(rt, L, &frame_once);
  o->state = ONCE_RUNNING;
  o->runner = rt->current == NULL ? 0 : rt->current->id;
  order_took(rt, L, &o->waitlist.object, &use_of_once, 0);
  return unwind_call_body(s, L, &frame_once);
}

/* --- every call --- */

static int after_wait(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  once *o = lua_touserdata(L, ONCE_INDEX);
  waitlist_woken(o->waitlist.object.runtime, L, &o->waitlist);
  return call(L, o);
}

static int wait_for_run(lua_State *L, once *o) {
  runtime *rt = o->waitlist.object.runtime;
  if (o->runner == (rt->current == NULL ? 0 : rt->current->id)) {
    lua_pushliteral(L, "once called by its own function: it would wait for itself");
    return panic_raise_kind(rt, L, RECORD_DEADLOCK);
  }
  waitlist_check(rt, L, "once");
  return waitlist_park(rt, L, &o->waitlist, &wait_once, TIME_FOREVER, "once");
}

/* (once, arguments...) */
static int call(lua_State *L, once *o) {
  order_wants(o->waitlist.object.runtime, L, &o->waitlist.object, &use_of_once);
  switch (o->state) {
    case ONCE_NEW: return run_function(L, o);
    case ONCE_RUNNING: return wait_for_run(L, o);
    case ONCE_PANICKED: return raise_panic(L);
    default: return push_results(L, o);
  }
}

/* o(...) and o:call(...). It is a suspension point only if it has to wait for another call. */
static int once_method_call(lua_State *L) { return call(L, check_once(L, "call")); }

static int once_method_done(lua_State *L) {
  lua_pushboolean(L, check_once(L, "done")->state >= ONCE_DONE);
  return 1;
}

static int once_tostring(lua_State *L) {
  const once *o = check_once(L, "__tostring");
  if (o->state != ONCE_RUNNING) {
    static const char *const texts[] = {
        [ONCE_NEW] = "once (not called)",
        [ONCE_DONE] = "once (done)",
        [ONCE_PANICKED] = "once (panicked)",
    };
    lua_pushstring(L, texts[o->state]);
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
  static const luaL_Reg functions[] = {{"once", once_once}, {NULL, NULL}};
  lib_new_type(L, rt, ONCE_TYPE, methods, metamethods);
  lib_register(L, rt, functions);
}
