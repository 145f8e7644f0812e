/*
** A waitlist: the tasks that wait for one object (a lock, a semaphore, a waitgroup, a once, an
** event), first in, first out. It is the first member of the object's struct, and the object is a
** userdata at index 1 of the C function in which a task waits for it.
**
** What becomes free is given to the first in the queue before that task runs, so that nobody can
** overtake it: being woken with WAKE_READY means having it. Whoever leaves unserved (time-out,
** cancelled, deadlock, ended from outside) leaves through waitlist_left_unserved, which lets `serve`
** look at those behind it.
*/
#ifndef CP_SYNC_WAITLIST_H
#define CP_SYNC_WAITLIST_H

#include <stdbool.h>

#include "compat.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

struct waitlist;

/* What sets one kind of object apart. Any function may be NULL; none raises. */
typedef struct waitlist_type {
  const char *name;      /* in messages: "mutex" */
  const char *metatable; /* "coropanic.mutex" */
  size_t size;           /* of the object's struct */
  int user_values;
  /* Gives what is free to the first in the queue, as far as it goes. */
  void (*serve)(runtime *rt, struct waitlist *w);
  /* Takes back what the task was given, because it is unwound before it can use it. */
  void (*take_back)(runtime *rt, struct waitlist *w, const task *t);
  /* The object, which is at index 1, is garbage: gives back the memory that it has. Another finalizer may
     use it still. */
  void (*close)(runtime *rt, lua_State *L, struct waitlist *w);
} waitlist_type;

typedef struct waitlist {
  list tasks; /* by waiter.link */
  const waitlist_type *type;
} waitlist;

/* What the wait_type of every wait in a waitlist has: the waitlist is the task's `waits_on`. */
#define WAITLIST_WAIT .push_object = wait_push_self, .left_unserved = waitlist_left_unserved

void waitlist_left_unserved(runtime *rt, void *waits_on);

/* Pushes a new object, all zero but for its waitlist, with the metatable of its type. [-0, +1, m] */
void *waitlist_new(lua_State *L, const waitlist_type *type);

/* The __gc of every such object. */
int waitlist_collect(lua_State *L);

static inline void waitlist_serve(runtime *rt, waitlist *w) {
  if (w->type->serve != NULL) w->type->serve(rt, w);
}

/*
** The first in the queue, NULL if none. Passes over tasks whose coroutine somebody has closed: they
** are woken to end, and can use nothing any more.
*/
task *waitlist_first(runtime *rt, waitlist *w);

void waitlist_wake_all(runtime *rt, waitlist *w, wake_reason reason);

/*
** Begins an operation that may have to wait: raises as every suspension point does. Outside tasks
** it does nothing, since the operation works there as long as it need not wait.   [-0, +0, e]
*/
static inline void waitlist_check(runtime *rt, lua_State *L, const char *name) {
  if (rt->current != NULL) task_check_suspend(rt, L, name);
}

/*
** Waits in the queue; to be returned from a C function that has the object at index 1 and has
** called waitlist_check.   [-0, +0, e] The continuation must call waitlist_woken first.
**   name  the API function, for the message when there is no task that could wait
*/
int waitlist_park(runtime *rt, lua_State *L, waitlist *w, const wait_type *wait,
                  int64_t deadline_ns, const char *name, lua_KFunction continuation);

/*
** In the continuation: true if the task has what it waited for, false if its time ran out. Raises
** what else it was woken for; what it was given meanwhile is taken back before that.   [-0, +0, e]
** WAKE_ABANDONED is the continuation's to look at; it comes as false.
*/
bool waitlist_woken(runtime *rt, lua_State *L, waitlist *w);

#pragma GCC visibility pop

#endif
