/*
** co.condition: a task that holds a mutex waits for a change of the data that the mutex guards.
** Model: Go's sync.Cond.
*/
#include "kernel/args.h"
#include "kernel/deadlock.h"
#include "lua/lib.h"
#include "sync/mutex.h"
#include "sync/order.h"

/*
** The waitlist has the tasks that wait for a signal, without the mutex. After the signal a task
** waits for the mutex, in the mutex's own waitlist.
*/
typedef struct condition {
  waitlist waitlist;
} condition;

/* The user value: the mutex. */
enum { CONDITION_UV_MUTEX = 1, CONDITION_UV_COUNT = CONDITION_UV_MUTEX };

/*
** The stack of the C function that waits. Once the wait for a signal has ended, REASON_INDEX has its
** wake_reason.
*/
enum { CONDITION_INDEX = 1, MUTEX_INDEX, REASON_INDEX };

#define CONDITION_TYPE "coropanic.condition"

static const waitlist_type condition_type = {
    .object = {.name = "condition",
               .metatable = CONDITION_TYPE,
               .size = sizeof(condition),
               .user_values = CONDITION_UV_COUNT},
};

static condition *check_condition(lua_State *L, const char *method) {
  return sync_check_self(L, &condition_type.object, method);
}

static int condition_condition(lua_State *L) {
  if (sync_test(L, 1, &mutex_type.object) == NULL) arg_type_error(L, 1, "condition", "mutex");
  waitlist_new(runtime_of(L), L, &condition_type);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, CONDITION_UV_MUTEX);
  return 1;
}

static void wake_first(runtime *rt, condition *c) {
  task *first = waitlist_first(rt, &c->waitlist);
  if (first != NULL) task_wake(rt, first, WAKE_READY);
}

/* --- waiting --- */

static const order_use use_of_mutex = {.kind = &order_of_lock, .gate = true, .amount = 1};

static int after_signal(lua_State *L, int status, lua_KContext runtime_address);
static int relock(lua_State *L, int status, lua_KContext runtime_address);

static const wait_type wait_signal = {.name = "wait", WAITLIST_WAIT, .continuation = after_signal};

static bool push_mutex(lua_State *L, const task *t) { return wait_push_local(L, t, MUTEX_INDEX); }

/* The wait for the mutex, in the mutex's waitlist, at the end of `wait`. */
static const wait_type wait_relock = {
    .name = "lock",
    .push_object = push_mutex,
    .left_unserved = waitlist_left_unserved,
    .next_blocker = mutex_next_blocker,
    .continuation = relock,
};

/*
** Call it if the current task will not return normally although a signal may have ended its wait:
** passes the signal on to the next waiting task.   [-0, +0, -]
*/
static void pass_on(runtime *rt, lua_State *L, wake_reason reason) {
  if (reason == WAKE_READY) wake_first(rt, lua_touserdata(L, CONDITION_INDEX));
}

/*
** Call it when the current task has the mutex again; its wait ended for `reason`. Pushes whether
** there was a signal, or raises for any other reason.   [-0, +1, e]
*/
static int leave(runtime *rt, lua_State *L, wake_reason reason) {
  mutex *m = lua_touserdata(L, MUTEX_INDEX);
  order_took(rt, L, &m->waitlist.object, &use_of_mutex, m->location->number);
  if (cancel_will_raise(rt, rt->current)) pass_on(rt, L, reason);
  rt->current->wake = (uint8_t)reason;
  lua_pushboolean(L, task_check_wake(rt, L)->wake == WAKE_READY);
  return 1;
}

/*
** The same if the task can not get the mutex any more because the mutex's owner has ended. Always
** raises.   [-0, +0, e]
*/
static int leave_abandoned(runtime *rt, lua_State *L, wake_reason reason, const mutex *m) {
  pass_on(rt, L, reason);
  rt->current->wake = (uint8_t)reason;
  task_check_wake(rt, L);
  return mutex_raise_abandoned(rt, L, m);
}

/*
** Locks the mutex again after the wait for a signal. Return the result from the C function. A
** cancellation does not end this wait, so that the task's guard and deferred calls find the mutex
** locked; it is raised when the task has the mutex.   [-0, +1, e]
*/
static int relock(lua_State *L, int status, lua_KContext runtime_address) {
  (void)status;
  runtime *rt = (runtime *)runtime_address;
  task *self = rt->current;
  mutex *m = lua_touserdata(L, MUTEX_INDEX);
  wake_reason reason = (wake_reason)lua_tointeger(L, REASON_INDEX);
  if (m->locked && m->owner == self) { /* the former owner has handed it over */
    mutex_accept(rt, L, m, MUTEX_INDEX);
    return leave(rt, L, reason);
  }
  if (mutex_try_lock(rt, L, m, MUTEX_INDEX)) return leave(rt, L, reason);
  if (mutex_is_abandoned(m)) return leave_abandoned(rt, L, reason, m);
  if (deadlock_find(rt, L, &wait_relock, m)) {
    pass_on(rt, L, reason);
    return lua_error(L);
  }
  list_append(&m->waitlist.tasks, &self->waiter.link);
  self->waits_on = m;
  return task_park(rt, L, &wait_relock, TIME_FOREVER);
}

static int after_signal(lua_State *L, int status, lua_KContext runtime_address) {
  lua_pushinteger(L, ((runtime *)runtime_address)->current->wake);
  return relock(L, status, runtime_address);
}

/*
** Makes sure that the timer of the wait will have memory: nothing may fail once the mutex is
** unlocked.   [-0, +0, e]
*/
static void reserve_timer(runtime *rt, lua_State *L, int64_t deadline_ns) {
  timer *t = &rt->current->live.timer;
  if (deadline_ns == TIME_FOREVER) return;
  if (!rt->backend->timer_set(rt, t, deadline_ns)) luaL_error(L, "not enough memory");
  runtime_stop_timer(rt, t);
}

/* Pushes the mutex of the condition at 1. Raises unless the running task holds it.   [-0, +1, e] */
static mutex *check_held(runtime *rt, lua_State *L) {
  lua_getiuservalue(L, CONDITION_INDEX, CONDITION_UV_MUTEX);
  mutex *m = lua_touserdata(L, MUTEX_INDEX);
  if (m->locked && m->owner == rt->current) return m;
  mutex_push_text(L, m);
  luaL_error(L, "'wait' on a condition whose mutex this task does not hold: %s",
             lua_tostring(L, -1));
  return NULL;
}

static int condition_method_wait(lua_State *L) {
  condition *c = check_condition(L, "wait");
  runtime *rt = c->waitlist.object.runtime;
  double seconds = arg_check_timeout(L, 2, 1, "wait");
  waitlist_check(rt, L, "wait");
  lua_settop(L, CONDITION_INDEX);
  mutex *m = check_held(rt, L);
  if (seconds == 0) {
    lua_pushboolean(L, false);
    return 1;
  }
  if (rt->current == NULL) return task_refuse_suspension(rt, L, "wait");
  int64_t deadline = runtime_deadline(rt, seconds);
  order_gave(rt, L, &m->waitlist.object, &use_of_mutex);
  /* It will wait for the mutex again, while it holds what it holds besides. */
  order_wants(rt, L, &m->waitlist.object, &use_of_mutex);
  reserve_timer(rt, L, deadline);
  mutex_unlock(rt, L, m, MUTEX_INDEX);
  return waitlist_park(rt, L, &c->waitlist, &wait_signal, deadline, "wait");
}

/* --- waking --- */

static int condition_method_signal(lua_State *L) {
  condition *c = check_condition(L, "signal");
  wake_first(c->waitlist.object.runtime, c);
  return 0;
}

static int condition_method_broadcast(lua_State *L) {
  condition *c = check_condition(L, "broadcast");
  waitlist_wake_all(c->waitlist.object.runtime, &c->waitlist, WAKE_READY);
  return 0;
}

static int condition_tostring(lua_State *L) {
  const condition *c = check_condition(L, "__tostring");
  lua_Integer waiting = 0;
  for (const list *link = c->waitlist.tasks.next; link != &c->waitlist.tasks; link = link->next) {
    waiting++;
  }
  lua_getiuservalue(L, 1, CONDITION_UV_MUTEX);
  mutex_push_text(L, lua_touserdata(L, -1));
  lua_pushfstring(L, "condition (%I waiting) of %s", (LUAI_UACINT)waiting, lua_tostring(L, -1));
  return 1;
}

void lib_condition_open(lua_State *L, runtime *rt) {
  static const luaL_Reg methods[] = {
      {"wait", condition_method_wait},
      {"signal", condition_method_signal},
      {"broadcast", condition_method_broadcast},
      {NULL, NULL},
  };
  static const luaL_Reg metamethods[] = {
      {"__tostring", condition_tostring},
      {"__gc", waitlist_collect},
      {NULL, NULL},
  };
  static const luaL_Reg functions[] = {{"condition", condition_condition}, {NULL, NULL}};
  lib_new_type(L, rt, CONDITION_TYPE, methods, metamethods);
  lib_register(L, rt, functions);
}
