/*
** A mutex: a lock that one task holds at a time. It is also the writers' side of an rwmutex.
**
** The mutex knows its owner while it is locked, even after the owner has ended. If the owner ends
** without unlocking it, the mutex stays locked for ever, and every task that locks it gets an error
** that says so. If a waiter gets the lock and then ends before it runs, the lock goes to the next
** waiter.
*/
#ifndef CP_SYNC_MUTEX_H
#define CP_SYNC_MUTEX_H

#include <stdbool.h>

#include "compat.h"
#include "sync/waitlist.h"

#pragma GCC visibility push(hidden)

#define MUTEX_TYPE "coropanic.mutex"

/* The object's user value. */
enum { MUTEX_UV_OWNER = 1, MUTEX_UV_COUNT = MUTEX_UV_OWNER };

typedef struct mutex {
  waitlist waitlist;
  /*
  ** NULL: nobody, or the main program. Otherwise a live task, or an ended one that the user value
  ** keeps: the user value is set when the owner first runs with the lock, and `exit` stands in the
  ** owner's list until the owner ends.
  */
  task *owner;
  const location *location; /* where the lock was taken */
  task_exit *exit;          /* in the runtime's memory; NULL once the mutex is garbage */
  bool locked;
  bool accepted; /* the owner has run since it got the lock */
} mutex;

extern const waitlist_type mutex_type;

/* The next_blocker of a wait for a mutex, or for an object that begins with one. */
const task *mutex_next_blocker(const void *waits_on, const task *previous);

/* Pushes a new object of a type that begins with a mutex.   [-0, +1, m] */
void mutex_new(runtime *rt, lua_State *L, const waitlist_type *type);

/* The `close` of every type that begins with a mutex.   [-0, +0, -] */
void mutex_close(runtime *rt, lua_State *L, waitlist *w);

/*
** Returns the task that holds the lock, which may have ended. NULL: the main program, readers or
** nobody hold it.
*/
static inline task *mutex_owner(const mutex *m) { return m->owner; }

/* Whether the owner has ended without unlocking the mutex. */
bool mutex_is_abandoned(const mutex *m);

/*
** Raises if the running task can never get the lock, because the task holds it itself or the owner
** has ended.   [-0, +0, e]
*/
void mutex_check_hope(runtime *rt, lua_State *L, const mutex *m);

/* Raises the panic "is held by ..., which has ended".   [-0, +0, e] */
int mutex_raise_abandoned(runtime *rt, lua_State *L, const mutex *m);

/*
** Gives the lock to the task `t` (NULL: the main program). The lock must be free, and the owner's
** code runs on `thread`, in the C function at level 0. Call mutex_accept when that code goes on.
** [-0, +0, -]
*/
void mutex_give(runtime *rt, mutex *m, task *t, lua_State *thread);

/* Call it in the owner when mutex_give has given it the lock, which is at `index`.   [-0, +0, -] */
void mutex_accept(runtime *rt, lua_State *L, mutex *m, int index);

/* Locks the mutex at `index` for the running code. Returns false if it is locked.   [-0, +0, -] */
bool mutex_try_lock(runtime *rt, lua_State *L, mutex *m, int index);

/* Frees the lock and gives it to the next waiter.   [-0, +0, -] */
void mutex_release(runtime *rt, mutex *m);

/* Unlocks the mutex at `index`; raises unless the running code is its owner.   [-0, +0, e] */
void mutex_unlock(runtime *rt, lua_State *L, mutex *m, int index);

/*
** Pushes "mutex (held by task 2 "a", taken at file.lua:12)", or "mutex (unlocked)".   [-0, +1, m]
*/
void mutex_push_text(lua_State *L, const mutex *m);

#pragma GCC visibility pop

#endif
