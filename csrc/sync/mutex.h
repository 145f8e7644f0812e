/*
** A mutex: a lock that one task holds at a time. It is also the writers' side of an rwmutex.
**
** The owner is known for as long as the lock is held, and after its end too: a mutex whose owner
** has ended without unlocking it stays locked for ever, and whoever wants it is told so. A lock
** that was handed to a waiter which then ends before it has run goes on to the next waiter.
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
  ** NULL: nobody, or the main program. A live task, or one that the user value keeps: it is set as
  ** soon as the owner runs, and `exit` stands in the owner's list until it ends.
  */
  task *owner;
  const location *location; /* where it was taken */
  task_exit *exit;          /* of the runtime's memory; NULL: the mutex was garbage */
  bool locked;
  bool accepted; /* the owner has run since it was given the lock */
} mutex;

extern const waitlist_type mutex_type;
extern const wait_type wait_lock;

/* The next_blocker of waits for a mutex, or for what begins with one. */
const task *mutex_next_blocker(const void *waits_on, const task *previous);

/* Pushes a new object of a kind that begins with a mutex.   [-0, +1, m] */
void mutex_new(runtime *rt, lua_State *L, const waitlist_type *type);

/* For every such kind: its `close`. */
void mutex_close(runtime *rt, lua_State *L, waitlist *w);

/* The task that holds it, which may have ended; NULL: nobody, the main program, or readers. */
static inline task *mutex_owner(const mutex *m) { return m->owner; }

/* Whether its owner has ended without unlocking it. */
bool mutex_is_abandoned(const mutex *m);

/*
** Raises if the running task can never get the lock: it holds it itself, or the owner has ended.
** [-0, +0, e]
*/
void mutex_check_hope(runtime *rt, lua_State *L, const mutex *m);

/* Raises the panic that the owner has ended.   [-0, +0, e] */
int mutex_raise_abandoned(runtime *rt, lua_State *L, const mutex *m);

/*
** Gives the lock, which is free, to the task `t`, or the main program (NULL), whose code runs on
** `thread`, in the C function at level 0.   [-0, +0, -] mutex_accept must follow when it runs.
*/
void mutex_give(runtime *rt, mutex *m, task *t, lua_State *thread);

/* The current task has been given the lock, which is at `index`.   [-0, +0, -] */
void mutex_accept(runtime *rt, lua_State *L, mutex *m, int index);

/* Takes the lock, which is at `index`, if it is free.   [-0, +0, -] */
bool mutex_try_lock(runtime *rt, lua_State *L, mutex *m, int index);

/* Frees the lock and serves those who wait. */
void mutex_release(runtime *rt, mutex *m);

/* Unlocks the lock, which is at `index`.   [-0, +0, e] Only its owner may do so. */
void mutex_unlock(runtime *rt, lua_State *L, mutex *m, int index);

/* Pushes "mutex (held by task 2 "a", taken at file.lua:12)", "mutex (unlocked)".   [-0, +1, m] */
void mutex_push_text(lua_State *L, const mutex *m);

#pragma GCC visibility pop

#endif
