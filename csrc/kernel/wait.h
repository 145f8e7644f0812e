/*
** A wait type describes one way to wait. Every primitive keeps a constant table of this type in its
** own file, and only that file knows how the wait is left, shown and ended. The scheduler, the
** reports and the search for deadlocks read the table. A new primitive is therefore a new file:
** docs/architecture.md says how to write one.
*/
#ifndef CP_KERNEL_WAIT_H
#define CP_KERNEL_WAIT_H

#include <stdbool.h>

#include "compat.h"

#pragma GCC visibility push(hidden)

struct runtime;
struct task;

/* Any function may be NULL. Only the functions that push may raise, and only for want of memory. */
typedef struct wait_type {
  const char *name; /* names the suspension point, in reports and in task.operation: "receive" */
  const char *verb; /* used in "<verb> of <object>"; NULL: `name` */

  /*
  ** Pushes the object that the task waits for, for task.waiting_on. NULL: there is no object, and
  ** `name` is used instead. Returns false, and pushes nothing, if the task no longer waits for it.
  ** [-0, +(0|1), m]
  */
  bool (*push_object)(lua_State *L, const struct task *t);

  /*
  ** Pushes a text about the wait. Returns false, and pushes nothing, if the task no longer waits.
  ** NULL: the text is "<verb> of <object>", or `name`.   [-0, +(0|1), m]
  */
  bool (*push_text)(lua_State *L, const struct task *t);

  /*
  ** Takes the task, which is being woken or ends, out of the queues of this wait. Must be harmless
  ** if the task is in none. NULL: the task's waiter stands in one list.
  */
  void (*leave)(struct runtime *rt, struct task *t);

  /* Called when a task has left its `waits_on` without being served: serves the tasks behind it. */
  void (*left_unserved)(struct runtime *rt, void *waits_on);

  /*
  ** Iterates over the tasks that can end a wait for `waits_on`: returns the first one if `previous`
  ** is NULL, else the one after `previous`, or NULL at the end. NULL: no particular task ends the
  ** wait.
  */
  const struct task *(*next_blocker)(const void *waits_on, const struct task *previous);

  /*
  ** Pushes each object that scripts can use to end the wait, and calls `visit(ud, L)`, which pops it.
  ** May raise only for want of memory, and runs no finalizers. NULL: `waits_on`, if it is set, is the
  ** address of the one such object.   [-0, +0, m]
  */
  void (*each_waker)(lua_State *L, const struct task *t, void (*visit)(void *ud, lua_State *L),
                     void *ud);

  /* Whether the ready task only let others run: no event has woken it. NULL: it did not. */
  bool (*gave_way)(const struct task *t);

  /*
  ** The continuation of the C function in which the task waits: runs on waking, with the runtime as
  ** its context, and on the stack the values that were there when the task parked and those that the
  ** waker has pushed. It must call task_check_wake, or look at `wake` itself. NULL: the task is
  ** parked by task_park_plainly, which gives Lua another one.
  */
  lua_KFunction continuation;

  bool reads; /* a reader's wait for a lock, which several readers may have at once */
  /*
  ** Returns the number of the place (location.h) where the object was made that the task waits for; 0: that
  ** is not known. L has room for one value. NULL: it waits for nothing that is made.   [-0, +0, -]
  */
  uint16_t (*made_at)(lua_State *L, const struct task *t);

  bool joins; /* a wait for another task's outcome, after which the task may join the next one */
  bool from_outside; /* ended by an event outside the process, such as a readable descriptor */
} wait_type;

/* The wait type of a task that has not waited yet. */
extern const wait_type wait_none;

/*
** Pushes the value at `index` in the C function in which the task waits or is about to wait.
** Returns false, and pushes nothing, if the task has ended or a script has closed its coroutine.
** [-0, +(0|1), -]
*/
bool wait_push_local(lua_State *L, const struct task *t, int index);

/* The push_object of waits whose object is at index 1 of that C function.   [-0, +(0|1), -] */
bool wait_push_self(lua_State *L, const struct task *t);

/*
** Pushes the object that the task waits for: the joined task, a lock, an array of channels, or a
** name ("sleep", "await"); nil if the task does not wait.   [-0, +1, m]
*/
void wait_push_object(lua_State *L, const struct task *t);

/* Pushes the same as a text: "sleep", `join of task 3 "reader"`.   [-0, +1, m] */
void wait_push_text(lua_State *L, const struct task *t);

/*
** Pushes the place where a live task stands: "file:line" of its innermost Lua function, "?" if
** there is none.   [-0, +1, m]
*/
void wait_push_where(lua_State *L, const struct task *t);

/*
** Pushes a table {id, name, operation, waiting_on, where, spawned_at} of a waiting task.
** [-0, +1, m]
*/
void wait_push_task(lua_State *L, const struct task *t);

/* The most ancestors listed, and the most awaiters. */
#define SUSPENSION_MAX_POINTS 16

/*
** Adds the waits of the task's ancestors and awaiters to the record on top of the stack, if any of
** them waits.   [-0, +0, m]
*/
void wait_note_suspensions(struct runtime *rt, lua_State *L, const struct task *t);

#pragma GCC visibility pop

#endif
