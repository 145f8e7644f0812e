/*
** The loop. One round:
**
**   ready descriptors and due timers wake their tasks ──▶ each task that is ready now runs ───┐
**      ▲                                                                                       │
**      └── nothing ready: overdue panics are reported, then sleep until a descriptor is ready ◀┘
**          or the next timer
**
** No function raises while tasks run: an error becomes the record of the task that made it.
*/
#ifndef CP_LOOP_SCHEDULER_H
#define CP_LOOP_SCHEDULER_H

#include <stdbool.h>

#include "compat.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

/*
** A shutdown may find all tasks that are left asleep for ever. Then it wakes each with a deadlock
** panic. A deferred call may catch that and sleep again. After so many rounds such a call is cut
** short, and the task's other deferred calls run. After as many rounds of cutting short, the
** shutdown ends the tasks as they are.
*/
#define SHUTDOWN_ROUNDS 64

typedef struct run_options {
  const char *name; /* of the main task */
  bool virtual_clock;
  bool seeded; /* take ready tasks in a random order, made from `seed` */
  uint64_t seed;
  int64_t budget_ns; /* 0: no limit */
  unhandled_mode unhandled;
  int unhandled_index; /* of the function, for UNHANDLED_CALL */
} run_options;

/*
** co.run: runs the function and its `arguments` on top of the stack as the main task, until every
** task that is not a daemon has ended. Returns the number of main's results, which are on top of
** the stack.   [-(arguments + 1), +results, e]
** If main did not return, raises its record; if tasks were asleep for ever, raises a record of kind
** deadlock. By then all tasks have ended and their deferred calls have run. Raises inside a task,
** and inside another run or step.
*/
int scheduler_run(runtime *rt, lua_State *L, int arguments, const run_options *options);

/*
** co.step: runs the ready tasks for at most `budget_ns` (0: one round); never blocks. Returns
** whether any task is still ready. Raises only if the loop is running already.   [-0, +0, e]
*/
bool scheduler_step(runtime *rt, lua_State *L, int64_t budget_ns);

/* Whether the loop may be driven now: it is not running, and no handler or hook is. */
bool scheduler_is_idle(const runtime *rt);

/*
** task_run_pending, between two steps. Returns the number of calls; -1: the loop may not be driven.
** [-0, +0, -]
*/
long scheduler_run_pending(runtime *rt, lua_State *L, task *t);

/*
** Cancels every task, then steps. Returns whether tasks are left.   [-0, +0, e]
*/
bool scheduler_shut_down(runtime *rt, lua_State *L, int64_t budget_ns);

/*
** Returns when a host has to step again: now if a task is ready, else the next deadline or
** TIME_FOREVER.
*/
int64_t scheduler_next_deadline(const runtime *rt);

extern const wait_type wait_yield;

/*
** Puts `t`, the current task, at the end of the queue. Return the result from a C function.
** [-0, +0, e]
*/
static inline int scheduler_yield(runtime *rt, lua_State *L, task *t) {
  t->status = TASK_READY;
  t->wait = &wait_yield;
  t->live.height = 0;
  task_enqueue(rt, t);
  return lua_yieldk(L, 0, (lua_KContext)rt, task_after_wait);
}

#pragma GCC visibility pop

#endif
