/* co.semaphore, co.waitgroup, co.event */
#include "kernel/args.h"
#include "lua/lib.h"
#include "lua/lock_guard.h"
#include "lua/sync_options.h"
#include "scope/spawn.h"
#include "sync/bounded.h"
#include "sync/order.h"
#include "sync/semaphore.h"
#include "sync/waitgroup.h"

/* The continuation of the waits here: returns whether the task was served. */
static int after_wait(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  waitlist *w = lua_touserdata(L, 1);
  return lock_guard_push_outcome(L, waitlist_woken(w->object.runtime, L, w));
}

/*
** Every wait here ends so: returns true if `have` says that the task need not wait, false if the
** time-out is 0, and else waits. The object is at 1, and a guard at 2 if one is wanted.
** [-0, +1, e]
*/
static int wait_unless(lua_State *L, bool have, waitlist *w, const wait_type *wait, double seconds,
                       const char *method) {
  runtime *rt = w->object.runtime;
  if (have || seconds == 0) return lock_guard_push_outcome(L, have);
  return waitlist_park(rt, L, w, wait, runtime_deadline(rt, seconds), method);
}

/* --- semaphore --- */

static order_use use_of(const semaphore *s, int permits) {
  return (order_use){
      .kind = &order_of_permits, .gate = permits == s->total, .amount = permits, .total = s->total};
}

/* The running code has taken permits. */
static void note_acquired(lua_State *L, semaphore *s, int permits) {
  order_use use = use_of(s, permits);
  order_took(s->waitlist.object.runtime, L, &s->waitlist.object, &use, 0);
}

static int after_acquire(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  semaphore *s = lua_touserdata(L, 1);
  runtime *rt = s->waitlist.object.runtime;
  bool taken = waitlist_woken(rt, L, &s->waitlist);
  if (taken) note_acquired(L, s, rt->current->waiter.permits);
  return lock_guard_push_outcome(L, taken);
}

static const wait_type wait_semaphore = {
    .name = "acquire", WAITLIST_WAIT, .continuation = after_acquire};

static semaphore *check_semaphore(lua_State *L, const char *method) {
  return sync_check_self(L, &semaphore_type.object, method);
}

static int sync_semaphore(lua_State *L) {
  runtime *rt = runtime_of(L);
  int total = (int)arg_check_integer(L, 1, 1, "semaphore", "permits", 0, INT32_MAX);
  uint16_t name = sync_check_name(rt, L, 2, "semaphore");
  semaphore *s = waitlist_new(rt, L, &semaphore_type);
  order_set_name(&s->waitlist.object, name);
  s->total = s->free = total;
  return 1;
}

/* Returns the optional number of permits at 2, 1 by default.   [-0, +0, e] */
static int check_permits(lua_State *L, const char *method) {
  if (lua_isnoneornil(L, 2)) return 1;
  return (int)arg_check_integer(L, 2, 1, method, "permits", 1, INT32_MAX);
}

/* The same; raises if the semaphore has fewer permits in all.   [-0, +0, e] */
static int check_wanted(lua_State *L, const semaphore *s, const char *method) {
  int permits = check_permits(L, method);
  if (permits > s->total) {
    arg_error(L, 1, method, lua_pushfstring(L, "%d of %d permits wanted", permits, s->total));
  }
  return permits;
}

static void release(runtime *rt, lua_State *L, semaphore *s, int permits) {
  order_use use = use_of(s, permits);
  semaphore_release(rt, s, permits);
  order_gave(rt, L, &s->waitlist.object, &use);
}

/* See lock_guard_release. */
static void release_permits(runtime *rt, lua_State *L, void *object, int amount) {
  semaphore *s = object;
  int taken = s->total - s->free; /* other code may have released permits that it did not hold */
  release(rt, L, s, amount < taken ? amount : taken);
}

/* (semaphore, [permits, [seconds]]) takes the permits, or waits for them.   [-0, +1, e] */
static int acquire(lua_State *L, const char *method, bool guarded) {
  semaphore *s = check_semaphore(L, method);
  int permits = check_wanted(L, s, method);
  double seconds = arg_check_timeout(L, 3, 2, method);
  runtime *rt = s->waitlist.object.runtime;
  waitlist_check(rt, L, method);
  lua_settop(L, 1);
  order_use use = use_of(s, permits);
  bounded_see(rt, L, 1, &s->listed);
  if (seconds < 0) order_wants(rt, L, &s->waitlist.object, &use);
  if (guarded) lock_guard_push(rt, L, release_permits, permits);
  bool have = semaphore_try_acquire(rt, s, permits);
  if (have) note_acquired(L, s, permits);
  if (rt->current != NULL) rt->current->waiter.permits = permits;
  return wait_unless(L, have, &s->waitlist, &wait_semaphore, seconds, method);
}

static int semaphore_method_acquire(lua_State *L) { return acquire(L, "acquire", false); }

static int semaphore_method_guard(lua_State *L) { return acquire(L, "guard", true); }

static int semaphore_method_try_acquire(lua_State *L) {
  semaphore *s = check_semaphore(L, "try_acquire");
  int permits = check_wanted(L, s, "try_acquire");
  bool have = semaphore_try_acquire(s->waitlist.object.runtime, s, permits);
  if (have) note_acquired(L, s, permits);
  lua_pushboolean(L, have);
  return 1;
}

static int semaphore_method_release(lua_State *L) {
  semaphore *s = check_semaphore(L, "release");
  int permits = check_permits(L, "release");
  if (permits > s->total - s->free) {
    return luaL_error(L, "release of %d permits, but %d of %d are taken", permits,
                      s->total - s->free, s->total);
  }
  release(s->waitlist.object.runtime, L, s, permits);
  return 0;
}

static int semaphore_method_available(lua_State *L) {
  lua_pushinteger(L, check_semaphore(L, "available")->free);
  return 1;
}

static int semaphore_tostring(lua_State *L) {
  const semaphore *s = check_semaphore(L, "__tostring");
  lua_pushfstring(L, "semaphore (%d of %d free)", s->free, s->total);
  return 1;
}

/* --- waitgroup --- */

static const wait_type wait_waitgroup = {.name = "wait", WAITLIST_WAIT, .continuation = after_wait};

static waitgroup *check_waitgroup(lua_State *L, const char *method) {
  return sync_check_self(L, &waitgroup_type.object, method);
}

static int sync_waitgroup(lua_State *L) {
  waitgroup_new(runtime_of(L), L);
  return 1;
}

static int waitgroup_method_add(lua_State *L) {
  waitgroup *wg = check_waitgroup(L, "add");
  lua_Integer delta = 1;
  if (!lua_isnoneornil(L, 2)) {
    delta = arg_check_integer(L, 2, 1, "add", "n", -WAITGROUP_MAX, WAITGROUP_MAX);
  }
  waitgroup_add(wg->waitlist.object.runtime, L, wg, delta);
  return 0;
}

static int waitgroup_method_done(lua_State *L) {
  waitgroup *wg = check_waitgroup(L, "done");
  waitgroup_add(wg->waitlist.object.runtime, L, wg, -1);
  return 0;
}

static int waitgroup_method_wait(lua_State *L) {
  waitgroup *wg = check_waitgroup(L, "wait");
  double seconds = arg_check_timeout(L, 2, 1, "wait");
  waitlist_check(wg->waitlist.object.runtime, L, "wait");
  lua_settop(L, 1);
  return wait_unless(L, wg->count == 0, &wg->waitlist, &wait_waitgroup, seconds, "wait");
}

static int waitgroup_method_spawn(lua_State *L) {
  waitgroup *wg = check_waitgroup(L, "spawn");
  arg_check_method_function(L, 2, 1, "spawn");
  runtime *rt = wg->waitlist.object.runtime;
  waitgroup_expect(rt, L, wg);
  scope_spawn_options options = {
      .task = {.type = TASK_TYPE_OF_UPVALUE, .group_type = &waitgroup_spawns, .group = wg}};
  scope_spawn(rt, L, lua_gettop(L) - 2, &options);
  return 1;
}

static int waitgroup_tostring(lua_State *L) {
  const waitgroup *wg = check_waitgroup(L, "__tostring");
  lua_pushfstring(L, "waitgroup (%I to wait for)", (LUAI_UACINT)wg->count);
  return 1;
}

/* --- event --- */

#define EVENT_TYPE "coropanic.event"

/* An event that was set, or not yet. */
typedef struct event {
  waitlist waitlist; /* empty while it is set */
  bool set;
} event;

static const waitlist_type event_type = {
    .object = {.name = "event", .metatable = EVENT_TYPE, .size = sizeof(event)},
};

static const wait_type wait_event = {.name = "wait", WAITLIST_WAIT, .continuation = after_wait};

static event *check_event(lua_State *L, const char *method) {
  return sync_check_self(L, &event_type.object, method);
}

static int sync_event(lua_State *L) {
  waitlist_new(runtime_of(L), L, &event_type);
  return 1;
}

static int event_method_set(lua_State *L) {
  event *e = check_event(L, "set");
  e->set = true;
  waitlist_wake_all(e->waitlist.object.runtime, &e->waitlist, WAKE_READY);
  return 0;
}

static int event_method_clear(lua_State *L) {
  check_event(L, "clear")->set = false;
  return 0;
}

static int event_method_is_set(lua_State *L) {
  lua_pushboolean(L, check_event(L, "is_set")->set);
  return 1;
}

static int event_method_wait(lua_State *L) {
  event *e = check_event(L, "wait");
  double seconds = arg_check_timeout(L, 2, 1, "wait");
  waitlist_check(e->waitlist.object.runtime, L, "wait");
  lua_settop(L, 1);
  return wait_unless(L, e->set, &e->waitlist, &wait_event, seconds, "wait");
}

static int event_tostring(lua_State *L) {
  lua_pushstring(L, check_event(L, "__tostring")->set ? "event (set)" : "event (not set)");
  return 1;
}

void lib_sync_open(lua_State *L, runtime *rt) {
  static const luaL_Reg semaphore_methods[] = {
      {"acquire", semaphore_method_acquire},         {"guard", semaphore_method_guard},
      {"try_acquire", semaphore_method_try_acquire}, {"release", semaphore_method_release},
      {"available", semaphore_method_available},     {NULL, NULL},
  };
  static const luaL_Reg semaphore_metamethods[] = {
      {"__tostring", semaphore_tostring},
      {"__gc", waitlist_collect},
      {NULL, NULL},
  };
  static const luaL_Reg waitgroup_methods[] = {
      {"add", waitgroup_method_add},
      {"done", waitgroup_method_done},
      {"wait", waitgroup_method_wait},
      {NULL, NULL},
  };
  static const luaL_Reg waitgroup_metamethods[] = {
      {"__tostring", waitgroup_tostring},
      {"__gc", waitlist_collect},
      {NULL, NULL},
  };
  static const luaL_Reg event_methods[] = {
      {"set", event_method_set},
      {"clear", event_method_clear},
      {"is_set", event_method_is_set},
      {"wait", event_method_wait},
      {NULL, NULL},
  };
  static const luaL_Reg event_metamethods[] = {
      {"__tostring", event_tostring},
      {"__gc", waitlist_collect},
      {NULL, NULL},
  };
  static const luaL_Reg functions[] = {
      {"semaphore", sync_semaphore},
      {"waitgroup", sync_waitgroup},
      {"event", sync_event},
      {NULL, NULL},
  };
  lib_new_type(L, rt, SEMAPHORE_TYPE, semaphore_methods, semaphore_metamethods);
  static const luaL_Reg waitgroup_spawners[] = {{"spawn", waitgroup_method_spawn}, {NULL, NULL}};
  lib_new_type(L, rt, WAITGROUP_TYPE, waitgroup_methods, waitgroup_metamethods);
  lib_add_spawners(L, rt, WAITGROUP_TYPE, waitgroup_spawners);
  lib_new_type(L, rt, EVENT_TYPE, event_methods, event_metamethods);
  lib_register(L, rt, functions);
}
