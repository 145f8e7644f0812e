/* Runs a task, from the moment it is taken from the queue until it parks or ends. */
#ifndef CP_KERNEL_TASK_RUN_H
#define CP_KERNEL_TASK_RUN_H

#include "compat.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

/*
** Does what task.before_turn asks for. Returns the number of arguments on the task's thread; -1 if the
** task has ended because it was cancelled before it ran, or its coroutine was used by other code.
** [-0, +0, -]
*/
int task_run_prepare(runtime *rt, lua_State *L, task *t);

/*
** Call it when the task's thread came back with `status` and `values` on its stack and the task has
** not parked: ends the task, or runs the deferred calls of its entry frame.   [-0, +0, -]
*/
void task_run_finish(runtime *rt, lua_State *L, task *t, int status, int values);

/*
** Cuts short the running call of a task that has begun and is waiting or ready: the call fails with
** a panic, and the task's other deferred calls run.   [-0, +0, -]
*/
void task_run_give_up(runtime *rt, lua_State *L, task *t);

/*
** Cancels a live task that does not run, closes its coroutine where it is, and runs the deferred
** calls that are pending, none of which can suspend. Returns their number. Then the task has ended.
** [-0, +0, -]
*/
size_t task_run_pending(runtime *rt, lua_State *L, task *t);

/*
** Tell the sinks that a slice of the task begins, and that it has suspended, which ends the slice.
** [-0, +0, -]
** The first returns the number of arguments on the task's thread, which was `arguments`; -1: an observer
** has ended the task.
*/
int task_run_tell_start(runtime *rt, lua_State *L, task *t, int arguments);
void task_run_tell_stop(runtime *rt, lua_State *L, task *t);

/* Call it when the task's thread came back because the task waits or yields.   [-0, +0, -] */
static inline void task_run_suspend(runtime *rt, lua_State *L, task *t) {
  task_leave(rt);
  t->raises = 0;
  if (probe_is_wanted(&rt->probes, PROBE_STOP)) task_run_tell_stop(rt, L, t);
}

/*
** Resumes a task that was taken from the queue, and ends the task if it comes to its end. L is the
** thread that drives the loop. Inline, because a switch costs not much more than this.
** [-0, +0, -]
*/
static inline void task_run_resume(runtime *rt, lua_State *L, task *t) {
  task_enter(rt, t);
  int arguments = t->before_turn == 0 ? 0 : task_run_prepare(rt, L, t);
  if (arguments < 0) return;
  if (probe(&rt->probes, PROBE_START)) {
    arguments = task_run_tell_start(rt, L, t, arguments);
    if (arguments < 0) return;
  }
  t->status = TASK_RUNNING;
  int values;
  int status = lua_resume(t->coroutine.thread, L, arguments, &values);
  if (status == LUA_YIELD && t->status != TASK_RUNNING) {
    task_run_suspend(rt, L, t);
  } else {
    task_run_finish(rt, L, t, status, values);
  }
}

#pragma GCC visibility pop

#endif
