/* Tasks as scripts see them: join, await, cancel, status and fields; and co.await for callbacks. */
#include <string.h>

#include "core/hex.h"
#include "kernel/args.h"
#include "kernel/deadlock.h"
#include "kernel/unhandled.h"
#include "kernel/unwind.h"
#include "kernel/wait.h"
#include "lua/lib.h"

static task *check_task(lua_State *L, const char *method) {
  const runtime *rt = runtime_of_any(L);
  task *t = lua_touserdata(L, 1);
  if (t == NULL || rt->closed || !arg_has_metatable(L, 1, rt->task_metatable)) {
    arg_refuse_self(L, TASK_TYPE, method);
    compat_unreachable();
  }
  return t;
}

/* --- join and await --- */

static bool push_joined(lua_State *L, const task *t) {
  if (t->waits_on == NULL) return false;
  task_push(runtime_find(L), L, t->waits_on);
  return true;
}

static bool push_joined_text(lua_State *L, const task *t) {
  const task *joined = t->waits_on;
  if (joined == NULL) return false;
  char buffer[TASK_NAME_SIZE];
  lua_pushfstring(L, "%s of task %I \"%s\"", t->wait->name, (LUAI_UACINT)joined->id,
                  task_name(joined, buffer));
  return true;
}

static const task *next_joined(const void *waits_on, const task *previous) {
  return previous == NULL ? waits_on : NULL;
}

static void leave_joined(runtime *rt, task *t) {
  (void)rt;
  task *joined = t->waits_on;
  if (joined != NULL) ring_remove(&joined->live.joiners, &t->waiter.link);
}

static uint16_t joined_at(lua_State *L, const task *t) {
  (void)L;
  const task *joined = t->waits_on;
  return joined == NULL ? 0 : joined->location;
}

/* The fields that join and await share. */
#define JOINING                                                                     \
  .push_object = push_joined, .push_text = push_joined_text, .leave = leave_joined, \
  .next_blocker = next_joined, .made_at = joined_at, .joins = true

static int after_join(lua_State *L, int status, lua_KContext context);
static int after_await(lua_State *L, int status, lua_KContext context);

static const wait_type wait_join = {.name = "join", JOINING, .continuation = after_join};
static const wait_type wait_await = {.name = "await", JOINING, .continuation = after_await};

/* Parks until the task at 1 ends or the deadline passes.   [-0, +0, e] */
static int wait_for(lua_State *L, task *t, const char *method, const wait_type *wait,
                    int64_t deadline) {
  runtime *rt = runtime_of(L);
  task *self = task_check_suspend(rt, L, method);
  task_is_closed(rt, t);
  if (self == t) return luaL_error(L, "a task can not %s itself: it would wait for ever", method);
  if (deadline == TIME_FOREVER) deadlock_check(rt, L, wait, t);
  ring_append(&t->live.joiners, &self->waiter.link);
  self->waits_on = t;
  return task_park(rt, L, wait, deadline);
}

static int push_join_result(lua_State *L, task *t) {
  lua_settop(L, 1);
  task_claim(runtime_of(L), t);
  if (t->status == TASK_DONE) {
    lua_pushboolean(L, 1);
    return 1 + task_push_results(L, t, 1);
  }
  lua_pushboolean(L, 0);
  task_push_record(L, 1);
  unhandled_give(runtime_of(L), L, t, PANIC_JOINERS);
  return 2;
}

static int push_time_out(lua_State *L) {
  lua_pushboolean(L, 0);
  lua_pushnil(L);
  return 2;
}

/*
** Returns the current task, after the wait for the task at 1. Raises if neither the end of that
** task nor the time-out has woken it.   [-0, +0, e]
*/
static const task *check_wake(lua_State *L) {
  runtime *rt = runtime_of(L);
  const task *self = rt->current;
  if (self->wake == WAKE_READY) unhandled_arrived(rt, L, 1, !cancel_will_raise(rt, self));
  return task_check_wake(rt, L);
}

static int after_join(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  const task *self = check_wake(L);
  task *t = lua_touserdata(L, 1);
  return task_ended(t) || self->wake != WAKE_TIMEOUT ? push_join_result(L, t) : push_time_out(L);
}

static int method_join(lua_State *L) {
  task *t = check_task(L, "join");
  double seconds = arg_check_timeout(L, 2, 1, "join");
  task_raise_pending(runtime_of(L), L);
  if (task_ended(t)) return push_join_result(L, t);
  if (seconds == 0) return push_time_out(L);
  int64_t deadline = runtime_deadline(runtime_of(L), seconds);
  return wait_for(L, t, "join", &wait_join, deadline);
}

/*
** Raises a panic in the running code because the task at 1 did not return; the task's record is the
** cause. If the task was cancelled or exited it did not panic itself; saying so is a panic of ours.
*/
static int raise_awaited(runtime *rt, lua_State *L, task *t) {
  char buffer[TASK_NAME_SIZE];
  task_push_record(L, 1);
  unhandled_give(rt, L, t, PANIC_JOINERS);
  const record *child = record_test(L, -1);
  if (t->status == TASK_PANICKED) {
    record_wrap_safe(rt, L, L, 1, child->kind);
    return lua_error(L);
  }
  lua_pushfstring(L, "awaited task %I \"%s\" %s", (LUAI_UACINT)t->id, task_name(t, buffer),
                  t->status == TASK_CANCELLED ? "was cancelled" : "called goexit");
  record_wrap_safe(rt, L, L, 1, RECORD_PANIC);
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, RECORD_UV_CAUSE);
  return lua_error(L);
}

static int push_await_result(lua_State *L, task *t) {
  lua_settop(L, 1);
  task_claim(runtime_of(L), t);
  if (t->status == TASK_DONE) return task_push_results(L, t, 1);
  return raise_awaited(runtime_of(L), L, t);
}

static int after_await(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  check_wake(L);
  return push_await_result(L, lua_touserdata(L, 1));
}

static int method_await(lua_State *L) {
  task *t = check_task(L, "await");
  task_raise_pending(runtime_of(L), L);
  if (task_ended(t)) return push_await_result(L, t);
  return wait_for(L, t, "await", &wait_await, TIME_FOREVER);
}

static int method_cancel(lua_State *L) {
  task *t = check_task(L, "cancel");
  cancel_source source = lib_cancel_source(L, 3, CANCEL_EXPLICIT);
  lua_settop(L, 2);
  bool is_live = !task_ended(t);
  if (t->entry.state == CANCEL_SCOPE_OPEN) cancel_note_asker(runtime_of(L), L, 1);
  cancel_scope_cancel(runtime_of(L), L, &t->entry, source);
  lua_pushboolean(L, is_live);
  return 1;
}

static int method_status(lua_State *L) {
  lua_pushstring(L, task_status_name(check_task(L, "status")->status));
  return 1;
}

/* --- fields --- */

static void field_id(runtime *rt, lua_State *L, task *t) {
  (void)rt;
  lua_pushinteger(L, (lua_Integer)t->id);
}

static void field_name(runtime *rt, lua_State *L, task *t) {
  (void)rt;
  char buffer[TASK_NAME_SIZE];
  lua_pushstring(L, task_name(t, buffer));
}

static void field_parent(runtime *rt, lua_State *L, task *t) {
  (void)rt;
  (void)t;
  lua_getiuservalue(L, 1, TASK_UV_PARENT);
}

static void field_trace_id(runtime *rt, lua_State *L, task *t) {
  (void)rt;
  char hex[32];
  hex_encode(hex, task_trace_id(t), 16);
  lua_pushlstring(L, hex, sizeof(hex));
}

static void push_span(lua_State *L, uint64_t span_id) {
  char hex[16];
  hex_encode_u64(hex, span_id);
  lua_pushlstring(L, hex, sizeof(hex));
}

static void field_span_id(runtime *rt, lua_State *L, task *t) {
  push_span(L, trace_span_id(rt, trace_ids_of(&t->coroutine.context)));
}

static void field_spawned_at(runtime *rt, lua_State *L, task *t) {
  lua_pushstring(L, task_spawned_at(rt, t));
}

static void field_waiting_on(runtime *rt, lua_State *L, task *t) {
  (void)rt;
  wait_push_object(L, t);
}

static void field_operation(runtime *rt, lua_State *L, task *t) {
  (void)rt;
  lua_pushstring(L, t->status == TASK_WAITING ? t->wait->name : NULL);
}

static void field_where(runtime *rt, lua_State *L, task *t) {
  (void)rt;
  if (task_ended(t)) {
    lua_pushnil(L);
  } else {
    wait_push_where(L, t);
  }
}

static void field_daemon(runtime *rt, lua_State *L, task *t) {
  (void)rt;
  lua_pushboolean(L, t->daemon);
}

static void field_attributes(runtime *rt, lua_State *L, task *t) {
  (void)rt;
  (void)t;
  task_push_attributes(L, 1);
}

static const struct {
  const char *name;
  void (*push)(runtime *rt, lua_State *L, task *t);
} fields[] = {
    {"id", field_id},
    {"name", field_name},
    {"parent", field_parent},
    {"trace_id", field_trace_id},
    {"span_id", field_span_id},
    {"spawned_at", field_spawned_at},
    {"waiting_on", field_waiting_on},
    {"operation", field_operation},
    {"where", field_where},
    {"daemon", field_daemon},
    {"attributes", field_attributes},
};

/* Upvalue 2 has the methods; fields are computed. */
static int task_index(lua_State *L) {
  task *t = check_task(L, "__index");
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) return 1;
  const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
    if (strcmp(fields[i].name, name) == 0) {
      fields[i].push(runtime_of(L), L, t);
      return 1;
    }
  }
  lua_pushnil(L);
  return 1;
}

static int task_newindex(lua_State *L) { return luaL_error(L, "a task's fields can not be set"); }

static int task_tostring(lua_State *L) {
  const task *t = check_task(L, "__tostring");
  char buffer[TASK_NAME_SIZE];
  lua_pushfstring(L, "task %I \"%s\" (%s)", (LUAI_UACINT)t->id, task_name(t, buffer),
                  task_status_name(t->status));
  return 1;
}

/* --- co.await --- */

/*
** A callback's handle on co.await, which the callback may outlive. User values: the results (one,
** or a table), and the waiting task. The handle is a to-be-closed variable of co.await, so that it
** is told however co.await is left.
*/
typedef struct callback {
  int results;
  bool parked; /* the task waits in co.await, or has waited there */
  bool given;  /* resume was called, and the task will get the results */
  bool left;   /* co.await has returned or raised */
} callback;

#define CALLBACK_TYPE "coropanic.callback"

enum { CALLBACK_UV_RESULTS = 1, CALLBACK_UV_TASK, CALLBACK_UV_COUNT = CALLBACK_UV_TASK };

/*
** Whether the task will take a value: it is in co.await, has no value yet, and will go on there. It
** will not if another event has woken it, or if a cancellation will end the function of co.await,
** in which it is suspended.
*/
static bool is_awaited(runtime *rt, const callback *c, task *waiting) {
  if (c->given || c->left || waiting == NULL || task_ended(waiting)) return false;
  if (c->parked) {
    return waiting->status == TASK_WAITING && waiting->waits_on == c &&
           !task_is_closed(rt, waiting);
  }
  return waiting == rt->current || !cancel_will_raise(rt, waiting);
}

/* The function given to co.await's function: (results...) → whether the task takes them. */
static int resume_callback(lua_State *L) {
  runtime *rt = runtime_of(L);
  callback *c = lua_touserdata(L, lua_upvalueindex(2));
  int results = lua_gettop(L);
  if (results > 1) { /* first, because making the table may run finalizers, and raise */
    lua_createtable(L, results, 0);
    lua_insert(L, 1);
    for (int i = results; i >= 1; i--) lua_rawseti(L, 1, i);
  }
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_getiuservalue(L, lua_upvalueindex(2), CALLBACK_UV_TASK);
  task *waiting = task_test(L, -1);
  bool taken = is_awaited(rt, c, waiting);
  if (taken) {
    c->given = true;
    c->results = results;
    lua_pop(L, 1);
    if (results > 0) lua_setiuservalue(L, lua_upvalueindex(2), CALLBACK_UV_RESULTS);
    if (c->parked) task_wake(rt, waiting, WAKE_READY);
  }
  lua_pushboolean(L, taken);
  return 1;
}

/* Called when co.await is left. */
static int close_callback(lua_State *L) {
  callback *c = lua_touserdata(L, 1);
  c->left = true;
  return 0;
}

/* Pushes the results that the callback at 2 was given. */
static int push_callback_results(lua_State *L) {
  const callback *c = lua_touserdata(L, 2);
  if (c->results == 0) return 0;
  luaL_checkstack(L, c->results + 1, "too many results");
  lua_getiuservalue(L, 2, CALLBACK_UV_RESULTS);
  if (c->results == 1) return 1;
  for (int i = 1; i <= c->results; i++) lua_rawgeti(L, 3, i);
  return c->results;
}

/*
** Returns the results even if a cancellation has come since: that is raised at the next suspension
** point.
*/
static int after_callback(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  const callback *c = lua_touserdata(L, 2);
  if (!c->given) task_check_wake(runtime_of(L), L);
  return push_callback_results(L);
}

static const wait_type wait_callback = {.name = "await", .continuation = after_callback};

/* The function of co.await has returned: waits, unless it has called resume already. */
static int await_callback(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  runtime *rt = runtime_of(L);
  callback *c = lua_touserdata(L, 2);
  lua_settop(L, 2);
  if (c->given) return push_callback_results(L);
  task *self = task_check_suspend(rt, L, "await");
  c->parked = true;
  self->waits_on = c;
  return task_park(rt, L, &wait_callback, TIME_FOREVER);
}

static int run_await(lua_State *L) {
  runtime *rt = runtime_of(L);
  arg_check_function(L, 1, "await");
  task_check_suspend(rt, L, "await");
  lua_settop(L, 1);
  callback *c = lua_newuserdatauv(L, sizeof(callback), CALLBACK_UV_COUNT);
  *c = (callback){0};
  luaL_setmetatable(L, CALLBACK_TYPE);
  task_push(rt, L, rt->current);
  lua_setiuservalue(L, 2, CALLBACK_UV_TASK);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 2);
  lua_pushcclosure(L, resume_callback, 2);
  return unwind_call_closing(L, 2, 1, 0, 0, await_callback);
}

void lib_task_open(lua_State *L, runtime *rt) {
  static const luaL_Reg methods[] = {
      {"join", method_join},
      {"await", method_await},
      {"cancel", method_cancel},
      {"status", method_status},
      {NULL, NULL},
  };
  static const luaL_Reg metamethods[] = {
      {"__newindex", task_newindex},
      {"__tostring", task_tostring},
      {NULL, NULL},
  };
  static const luaL_Reg functions[] = {{"await", run_await}, {NULL, NULL}};
  static const luaL_Reg callback_metamethods[] = {{"__close", close_callback}, {NULL, NULL}};
  lib_register(L, rt, functions);
  luaL_newmetatable(L, CALLBACK_TYPE);
  luaL_setfuncs(L, callback_metamethods, 0);
  lua_pop(L, 1);
  if (luaL_newmetatable(L, TASK_TYPE)) {
    lua_pushvalue(L, -1);
    rt->task_type_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    rt->task_metatable = lua_topointer(L, -1);
  }
  lib_register(L, rt, metamethods);
  lua_pushlightuserdata(L, rt);
  lua_newtable(L);
  lib_register(L, rt, methods);
  lua_pushcclosure(L, task_index, 2);
  lua_setfield(L, -2, "__index");
  lua_pushliteral(L, "task");
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}
