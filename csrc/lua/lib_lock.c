/* co.mutex, co.rwmutex. */
#include "kernel/args.h"
#include "kernel/deadlock.h"
#include "lua/lib.h"
#include "lua/lock_guard.h"
#include "lua/sync_options.h"
#include "sync/mutex.h"
#include "sync/order.h"
#include "sync/rwmutex.h"

static void *check_mutex(lua_State *L, const char *method) {
  return sync_check_self(L, &mutex_type.object, method);
}

static void *check_rwmutex(lua_State *L, const char *method) {
  return sync_check_self(L, &rwmutex_type.object, method);
}

/* --- locking --- */

static int after_wait(lua_State *L, int status, lua_KContext context);

/* The fields that the waits for the three kinds of lock share. */
#define LOCK_WAIT WAITLIST_WAIT, .next_blocker = mutex_next_blocker, .continuation = after_wait

static const wait_type wait_lock = {.name = "lock", LOCK_WAIT};
static const wait_type wait_read_lock = {.name = "read lock", LOCK_WAIT, .reads = true};
static const wait_type wait_write_lock = {.name = "write lock", LOCK_WAIT};

/*
** Takes the lock at 1 if it is free. wait: the wait type of the kind of lock, which tells it from
** the others.   [-0, +0, -]
*/
static bool try_take(runtime *rt, lua_State *L, mutex *m, const wait_type *wait) {
  if (wait->reads) return rwmutex_try_read_lock(rt, (rwmutex *)m);
  if (wait == &wait_write_lock) return rwmutex_try_lock(rt, L, (rwmutex *)m, 1);
  return mutex_try_lock(rt, L, m, 1);
}

static const order_use use_of_lock = {.kind = &order_of_lock, .gate = true, .amount = 1};
static const order_use use_of_read_lock = {
    .kind = &order_of_lock, .reads = true, .gate = true, .amount = 1};

/* The running code has taken the lock. */
static void note_taken(runtime *rt, lua_State *L, mutex *m, bool reads) {
  if (rt->lock_order == NULL) return;
  uint16_t place = reads ? 0 : m->location->number;
  order_took(rt, L, &m->waitlist.object, reads ? &use_of_read_lock : &use_of_lock, place);
}

/* The running code gives it back. */
static void unlock(runtime *rt, lua_State *L, mutex *m, int index) {
  mutex_unlock(rt, L, m, index);
  order_gave(rt, L, &m->waitlist.object, &use_of_lock);
}

static void read_unlock(runtime *rt, lua_State *L, rwmutex *rw) {
  rwmutex_read_unlock(rt, L, rw);
  order_gave(rt, L, &rw->writer.waitlist.object, &use_of_read_lock);
}

/* The release functions of guards: see lock_guard_release. */

static void release_lock(runtime *rt, lua_State *L, void *object, int amount) {
  (void)amount;
  unlock(rt, L, object, -1);
}

static void release_read_lock(runtime *rt, lua_State *L, void *object, int amount) {
  (void)amount;
  read_unlock(rt, L, object);
}

static int after_wait(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  mutex *m = lua_touserdata(L, 1);
  runtime *rt = m->waitlist.object.runtime;
  bool taken = waitlist_woken(rt, L, &m->waitlist);
  if (rt->current->wake == WAKE_ABANDONED) return mutex_raise_abandoned(rt, L, m);
  bool reads = rt->current->wait->reads;
  if (taken && !reads) mutex_accept(rt, L, m, 1);
  if (taken) note_taken(rt, L, m, reads);
  return lock_guard_push_outcome(L, taken);
}

/*
** Warns of deadlocks that may come of this wait, or of taking the lock; raises the one that is there
** already, of which a warning would come too late.   [-0, +0, e]
*/
static void foretell(runtime *rt, lua_State *L, mutex *m, const wait_type *wait) {
  if (rt->current != NULL && m->owner != NULL) deadlock_check(rt, L, wait, m);
  order_wants(rt, L, &m->waitlist.object, wait->reads ? &use_of_read_lock : &use_of_lock);
}

/* Takes the lock at 1, or waits for it. The time-out is at 2.   [-0, +1, e] */
static int take(lua_State *L, mutex *m, const wait_type *wait, const char *method, bool guarded) {
  runtime *rt = m->waitlist.object.runtime;
  double seconds = arg_check_timeout(L, 2, 1, method);
  waitlist_check(rt, L, method);
  mutex_check_hope(rt, L, m);
  lua_settop(L, 1);
  if (seconds < 0 && rt->lock_order != NULL) foretell(rt, L, m, wait);
  if (guarded) lock_guard_push(rt, L, wait->reads ? release_read_lock : release_lock, 1);
  if (try_take(rt, L, m, wait)) {
    note_taken(rt, L, m, wait->reads);
    return lock_guard_push_outcome(L, true);
  }
  if (seconds == 0) return lock_guard_push_outcome(L, false);
  if (rt->current != NULL && seconds < 0) deadlock_check(rt, L, wait, m);
  int64_t deadline = runtime_deadline(rt, seconds);
  return waitlist_park(rt, L, &m->waitlist, wait, deadline, method);
}

/* Takes the lock at 1 if it is free, and pushes whether it was.   [-0, +1, e] */
static int take_now(lua_State *L, mutex *m, const wait_type *wait) {
  runtime *rt = m->waitlist.object.runtime;
  if (mutex_is_abandoned(m)) return mutex_raise_abandoned(rt, L, m);
  bool taken = try_take(rt, L, m, wait);
  if (taken) note_taken(rt, L, m, wait->reads);
  lua_pushboolean(L, taken);
  return 1;
}

/* --- mutex --- */

/* Pushes a new object of a type that begins with a mutex. The options are at 1.   [-0, +1, e] */
static int make(lua_State *L, const waitlist_type *type) {
  runtime *rt = runtime_of(L);
  uint16_t name = sync_check_name(rt, L, 1, type->object.name);
  mutex_new(rt, L, type);
  order_set_name(lua_touserdata(L, -1), name);
  return 1;
}

static int lock_mutex(lua_State *L) { return make(L, &mutex_type); }

static int mutex_method_lock(lua_State *L) {
  return take(L, check_mutex(L, "lock"), &wait_lock, "lock", false);
}

static int mutex_method_guard(lua_State *L) {
  return take(L, check_mutex(L, "guard"), &wait_lock, "guard", true);
}

static int mutex_method_try_lock(lua_State *L) {
  return take_now(L, check_mutex(L, "try_lock"), &wait_lock);
}

static int mutex_method_unlock(lua_State *L) {
  mutex *m = check_mutex(L, "unlock");
  unlock(m->waitlist.object.runtime, L, m, 1);
  return 0;
}

static int mutex_method_locked(lua_State *L) {
  const mutex *m = check_mutex(L, "locked");
  lua_pushboolean(L, m->locked);
  return 1;
}

static int mutex_method_owner(lua_State *L) {
  const mutex *m = check_mutex(L, "owner");
  const task *owner = mutex_owner(m);
  if (owner == NULL) {
    lua_pushnil(L);
  } else if (task_ended(owner)) {
    lua_getiuservalue(L, 1, MUTEX_UV_OWNER);
  } else {
    task_push(m->waitlist.object.runtime, L, owner);
  }
  return 1;
}

static int mutex_tostring(lua_State *L) {
  mutex_push_text(L, check_mutex(L, "__tostring"));
  return 1;
}

/* --- rwmutex --- */

static int lock_rwmutex(lua_State *L) { return make(L, &rwmutex_type); }

static int rwmutex_method_lock(lua_State *L) {
  return take(L, check_rwmutex(L, "lock"), &wait_write_lock, "lock", false);
}

static int rwmutex_method_guard(lua_State *L) {
  return take(L, check_rwmutex(L, "guard"), &wait_write_lock, "guard", true);
}

static int rwmutex_method_rlock(lua_State *L) {
  return take(L, check_rwmutex(L, "rlock"), &wait_read_lock, "rlock", false);
}

static int rwmutex_method_rguard(lua_State *L) {
  return take(L, check_rwmutex(L, "rguard"), &wait_read_lock, "rguard", true);
}

static int rwmutex_method_try_lock(lua_State *L) {
  return take_now(L, check_rwmutex(L, "try_lock"), &wait_write_lock);
}

static int rwmutex_method_try_rlock(lua_State *L) {
  return take_now(L, check_rwmutex(L, "try_rlock"), &wait_read_lock);
}

static int rwmutex_method_unlock(lua_State *L) {
  rwmutex *rw = check_rwmutex(L, "unlock");
  unlock(rw->writer.waitlist.object.runtime, L, &rw->writer, 1);
  return 0;
}

static int rwmutex_method_runlock(lua_State *L) {
  rwmutex *rw = check_rwmutex(L, "runlock");
  read_unlock(rw->writer.waitlist.object.runtime, L, rw);
  return 0;
}

static int rwmutex_tostring(lua_State *L) {
  const rwmutex *rw = check_rwmutex(L, "__tostring");
  if (rw->readers == 0) {
    mutex_push_text(L, &rw->writer);
  } else {
    lua_pushfstring(L, "rwmutex (%d reader%s)", (int)rw->readers, rw->readers == 1 ? "" : "s");
  }
  return 1;
}

void lib_lock_open(lua_State *L, runtime *rt) {
  static const luaL_Reg mutex_methods[] = {
      {"lock", mutex_method_lock},
      {"guard", mutex_method_guard},
      {"try_lock", mutex_method_try_lock},
      {"unlock", mutex_method_unlock},
      {"locked", mutex_method_locked},
      {"owner", mutex_method_owner},
      {NULL, NULL},
  };
  static const luaL_Reg mutex_metamethods[] = {
      {"__tostring", mutex_tostring},
      {"__gc", waitlist_collect},
      {NULL, NULL},
  };
  static const luaL_Reg rwmutex_methods[] = {
      {"lock", rwmutex_method_lock},
      {"guard", rwmutex_method_guard},
      {"rlock", rwmutex_method_rlock},
      {"rguard", rwmutex_method_rguard},
      {"try_lock", rwmutex_method_try_lock},
      {"try_rlock", rwmutex_method_try_rlock},
      {"unlock", rwmutex_method_unlock},
      {"runlock", rwmutex_method_runlock},
      {NULL, NULL},
  };
  static const luaL_Reg rwmutex_metamethods[] = {
      {"__tostring", rwmutex_tostring},
      {"__gc", waitlist_collect},
      {NULL, NULL},
  };
  static const luaL_Reg functions[] = {
      {"mutex", lock_mutex},
      {"rwmutex", lock_rwmutex},
      {NULL, NULL},
  };
  lib_new_type(L, rt, MUTEX_TYPE, mutex_methods, mutex_metamethods);
  lib_new_type(L, rt, RWMUTEX_TYPE, rwmutex_methods, rwmutex_metamethods);
  lock_guard_open(L, rt);
  lib_register(L, rt, functions);
}
