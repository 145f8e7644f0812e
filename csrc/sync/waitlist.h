/*
** A waitlist: the tasks that wait for one object (a lock, a semaphore, a waitgroup, a once, an
** event), first in, first out. It is the first member of the object's struct. The object is a
** userdata, and stands at index 1 of the C function in which a task waits for it.
**
** When a lock or permits become free, `serve` gives them to the first task in the queue before that
** task runs, so that no other task can overtake it: a task that is woken with WAKE_READY has them.
** A task that leaves the queue unserved (time-out, cancellation, deadlock, ended from outside)
** leaves through waitlist_left_unserved, which calls `serve` for the tasks behind it.
*/
#ifndef CP_SYNC_WAITLIST_H
#define CP_SYNC_WAITLIST_H

#include <stdbool.h>

#include "compat.h"
#include "kernel/task.h"
#include "sync/object.h"

#pragma GCC visibility push(hidden)

struct waitlist;

/* One type of such objects. Any function may be NULL; none raises. */
typedef struct waitlist_type {
  sync_type object;
  /* Gives free locks or permits to the first tasks in the queue, as far as they go. */
  void (*serve)(runtime *rt, struct waitlist *w);
  /* Takes back what `serve` gave the task, because the task is unwound before it can use it. */
  void (*take_back)(runtime *rt, struct waitlist *w, const task *t);
  /*
  ** Frees the memory that the object owns. The object, at index 1, is garbage; another finalizer
  ** may still use it.
  */
  void (*close)(runtime *rt, lua_State *L, struct waitlist *w);
} waitlist_type;

typedef struct waitlist {
  sync_object object; /* its type begins a waitlist_type */
  list tasks;         /* linked by waiter.link */
} waitlist;

static inline const waitlist_type *waitlist_type_of(const waitlist *w) {
  return container_of(w->object.type, waitlist_type, object);
}

/*
** The fields that the wait_type of every wait in a waitlist shares. The task's `waits_on` is the
** waitlist.
*/
#define WAITLIST_WAIT \
  .push_object = wait_push_self, .left_unserved = waitlist_left_unserved, .made_at = sync_made_at

void waitlist_left_unserved(runtime *rt, void *waits_on);

/* Pushes a new object of the type, all zero but for its waitlist.   [-0, +1, m] */
void *waitlist_new(runtime *rt, lua_State *L, const waitlist_type *type);

/* The __gc of every object with a waitlist.   [-0, +0, -] */
int waitlist_collect(lua_State *L);

static inline void waitlist_serve(runtime *rt, waitlist *w) {
  const waitlist_type *type = waitlist_type_of(w);
  if (type->serve != NULL) type->serve(rt, w);
}

/* waitlist_first, if the queue is not empty.   [-0, +0, -] */
task *waitlist_first_alive(runtime *rt, waitlist *w);

/*
** Returns the first task in the queue; NULL if it is empty. Wakes the tasks before it whose
** coroutine a script has closed: they can only end.   [-0, +0, -]
*/
static inline task *waitlist_first(runtime *rt, waitlist *w) {
  return list_empty(&w->tasks) ? NULL : waitlist_first_alive(rt, w);
}

void waitlist_wake_all(runtime *rt, waitlist *w, wake_reason reason);

/*
** Call it first in an operation that may have to wait: inside a task it raises as every suspension
** point does. Outside tasks it does nothing, because the operation works there if it does not have
** to wait.   [-0, +0, e]
*/
static inline void waitlist_check(runtime *rt, lua_State *L, const char *name) {
  if (rt->current != NULL) task_check_suspend(rt, L, name);
}

/*
** Parks the current task in the queue. Return the result from a C function that has the object at
** index 1 and has called waitlist_check. The continuation must call waitlist_woken first; its
** context is the runtime.   [-0, +0, e]
**   name  the API function, for the error when no task runs that could wait
*/
int waitlist_park(runtime *rt, lua_State *L, waitlist *w, const wait_type *wait,
                  int64_t deadline_ns, const char *name);

/* waitlist_woken, unless the task was served and nothing is to be raised.   [-0, +0, e] */
bool waitlist_woken_otherwise(runtime *rt, lua_State *L, waitlist *w);

/*
** Call it in the continuation: true if the task was served, false if its time ran out. For any
** other wake reason it raises, and gives back before that what the task was given meanwhile.
** WAKE_ABANDONED comes as false, and the continuation looks at it.   [-0, +0, e]
*/
static inline bool waitlist_woken(runtime *rt, lua_State *L, waitlist *w) {
  const task *self = rt->current;
  if (self->wake == WAKE_READY && !task_needs_unwinding(self)) return true;
  return waitlist_woken_otherwise(rt, L, w);
}

#pragma GCC visibility pop

#endif
