/*
** Suspension points: what the tasks that depend on a task were parked on when it panicked: its
** ancestors, the nearest first, and those that wait for it to end.
*/
#ifndef CP_RUNTIME_SUSPENSION_H
#define CP_RUNTIME_SUSPENSION_H

#include "compat.h"
#include "runtime/task.h"

#pragma GCC visibility push(hidden)

/* Tasks of each kind that are listed. */
#define SUSPENSION_MAX_POINTS 16

/*
** Notes, in the record on top of the stack, what the task's ancestors and awaiters are parked on, if
** any is.   [-0, +0, m]
*/
void suspension_note(runtime *rt, lua_State *L, const task *t);

#pragma GCC visibility pop

#endif
