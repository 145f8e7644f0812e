/*
** Running a task: from the moment it is taken from the queue until it parks or ends.
*/
#ifndef CP_KERNEL_TASK_RUN_H
#define CP_KERNEL_TASK_RUN_H

#include "compat.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

/*
** The first resumption: the number of arguments on the task's thread; -1: it was cancelled before
** it ever ran, and has ended.   [-0, +0, -]
*/
int task_run_start(runtime *rt, lua_State *L, task *t);

/*
** The task's thread came back with `status` and `values` on its stack, and it did not park: ends
** the task, or runs what its entry frame has deferred.   [-0, +0, -]
*/
void task_run_finish(runtime *rt, lua_State *L, task *t, int status, int values);

/*
** Gives up the task, which waits or is ready and has begun: what it does now is cut short, as a panic, and its other
** deferred calls run.   [-0, +0, -]
*/
void task_run_give_up(runtime *rt, lua_State *L, task *t);

/*
** Tells that a slice of the task begins, or that it has suspended, which ends the slice.   [-0, +0, -]
** The first returns the number of arguments on its thread, of which nothing may be left; -1: the task has ended.
*/
int task_run_tell_start(runtime *rt, lua_State *L, task *t);
void task_run_tell_stop(runtime *rt, lua_State *L, task *t);

/* The task's thread came back because the task waits or yields.   [-0, +0, -] */
static inline void task_run_suspend(runtime *rt, lua_State *L, task *t) {
  rt->current = NULL;
  t->raises = 0;
  if (probe_is_wanted(&rt->probes, PROBE_STOP)) task_run_tell_stop(rt, L, t);
}

/*
** Resumes a task that is not in the queue any more; ends it if it comes to its end.   [-0, +0, -]
** L is the thread that drives the loop. Inline, because a switch costs not much more than this.
*/
static inline void task_run_resume(runtime *rt, lua_State *L, task *t) {
  rt->current = t;
  int arguments = t->started ? 0 : task_run_start(rt, L, t);
  if (arguments < 0) return;
  if (probe(&rt->probes, PROBE_START)) {
    arguments = task_run_tell_start(rt, L, t);
    if (arguments < 0) return;
  }
  t->status = TASK_RUNNING;
  int values;
  int status = lua_resume(t->live.thread, L, arguments, &values);
  if (status == LUA_YIELD && t->status != TASK_RUNNING) {
    task_run_suspend(rt, L, t);
  } else {
    task_run_finish(rt, L, t, status, values);
  }
}

#pragma GCC visibility pop

#endif
