/*
** The loop. One round:
**
**   ready descriptors and due timers wake their tasks ──▶ each task that is ready now runs ───┐
**      ▲                                                                                       │
**      └── nothing ready: overdue panics are reported, then sleep until a descriptor is ready ◀┘
**          or the next timer
**
** Nothing here raises while tasks run: what goes wrong becomes the record of the task at fault.
*/
#ifndef CP_LOOP_SCHEDULER_H
#define CP_LOOP_SCHEDULER_H

#include <stdbool.h>

#include "compat.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

/*
** Rounds of waking tasks that stay asleep for ever while the run is being shut down, each with a
** deadlock panic. A deferred call that catches it and sleeps again is given up after so many: it is cut short, and the
** task's other deferred calls run. After as many rounds of that the tasks are ended as they are.
*/
#define SHUTDOWN_ROUNDS 64

typedef struct run_options {
  const char *name; /* of the main task */
  bool virtual_clock;
  bool seeded; /* take ready tasks in the random order of `seed` */
  uint64_t seed;
  int64_t budget_ns; /* 0: none */
  unhandled_mode unhandled;
  int unhandled_index; /* of the function, for UNHANDLED_CALL */
} run_options;

/*
** co.run: runs the function and its `arguments` on top of the stack as the main task until every
** task that is not a daemon has ended. Returns the count of main's results, which are on top of
** the stack.
**   [-(arguments + 1), +results, e]
** Raises main's record if it did not return, or a record of kind deadlock; all tasks have ended by
** then and their deferred calls have run. Not inside a task, nor inside another run or step.
*/
int scheduler_run(runtime *rt, lua_State *L, int arguments, const run_options *options);

/*
** co.step: runs what is ready, for at most `budget_ns` (0: one round); never blocks. Returns
** whether something is still ready.   [-0, +0, e] Raises only when the loop is running already.
*/
bool scheduler_step(runtime *rt, lua_State *L, int64_t budget_ns);

/* When the loop has to run again: now if something is ready, or the next deadline, or TIME_FOREVER.
 */
int64_t scheduler_next_deadline(const runtime *rt);

extern const wait_type wait_yield;

/* Lets the other tasks run before `t`, the current one; to be returned.   [-0, +0, e] */
static inline int scheduler_yield(runtime *rt, lua_State *L, task *t) {
  t->status = TASK_READY;
  t->wait = &wait_yield;
  t->live.height = 0;
  task_enqueue(rt, t);
  return lua_yieldk(L, 0, (lua_KContext)rt, task_after_wait);
}

#pragma GCC visibility pop

#endif
