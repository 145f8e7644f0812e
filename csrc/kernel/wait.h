/*
** What a task waits for. Every primitive keeps a constant table of this type in its own file. That file alone knows how
** its wait is left, shown and ended; the scheduler, the reports and the search for deadlocks read the table. A new
** primitive is therefore a new file: docs/architecture.md says how to write one.
*/
#ifndef CP_KERNEL_WAIT_H
#define CP_KERNEL_WAIT_H

#include <stdbool.h>

#include "compat.h"

#pragma GCC visibility push(hidden)

struct runtime;
struct task;

/* Any function may be NULL. Only those that push may raise, and only for want of memory. */
typedef struct wait_type {
  const char *name; /* of the suspension point, in reports and as task.operation: "receive" */
  const char *verb; /* in "<verb> of <object>"; NULL: `name` */

  /*
  ** Pushes the object that the task waits for, which task.waiting_on returns. NULL: there is none, and `name` stands
  ** for it. False: the task does not wait for it any more, and nothing is pushed.   [-0, +(0|1), m]
  */
  bool (*push_object)(lua_State *L, const struct task *t);

  /* Pushes the wait in words; false as above. NULL: "<verb> of <object>", or `name`.   [-0, +(0|1), m] */
  bool (*push_text)(lua_State *L, const struct task *t);

  /*
  ** Takes the task, which is woken or ends, out of the queues of this wait. NULL: its waiter stands in one list.
  ** Harmless when the task has left them already.
  */
  void (*leave)(struct runtime *rt, struct task *t);

  /* The task has left, in vain, what its `waits_on` was: those behind it may be served now. */
  void (*left_unserved)(struct runtime *rt, void *waits_on);

  /*
  ** The tasks that can end a wait for `waits_on`, one after the other: the first if `previous` is NULL, else the one
  ** behind that. NULL: there are no more. Without this function nobody in particular ends the wait.
  */
  const struct task *(*next_blocker)(const void *waits_on, const struct task *previous);

  /* Whether the ready task only gave way to others: nothing that anybody did has woken it. NULL: no. */
  bool (*gave_way)(const struct task *t);

  bool joins;        /* for the outcome of a task: who waits so may go on to join the next one */
  bool from_outside; /* something outside the process ends it, such as a descriptor */
} wait_type;

/* Of a task that has not waited yet. */
extern const wait_type wait_none;

/*
** Pushes the value at `index` of the C function in which the task waits, or is about to. False: somebody has closed the
** task's coroutine, or the task has ended.   [-0, +(0|1), -]
*/
bool wait_push_local(lua_State *L, const struct task *t, int index);

/* The push_object of waits whose object is at index 1 of that C function.   [-0, +(0|1), -] */
bool wait_push_self(lua_State *L, const struct task *t);

/*
** Pushes what the task waits on: the joined task, a lock, an array of channels, or "sleep", "await", ...; nil for a
** task that does not wait.   [-0, +1, m]
*/
void wait_push_object(lua_State *L, const struct task *t);

/* Pushes the same as text: "sleep", `join of task 3 "reader"`.   [-0, +1, m] */
void wait_push_text(lua_State *L, const struct task *t);

#pragma GCC visibility pop

#endif
