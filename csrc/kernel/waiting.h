/*
** What parked tasks wait for, as tables for records and reports; and suspension points: what the tasks that
** depend on a task were parked on when it panicked. These are its ancestors, the nearest first, and those that
** wait for it to end.
*/
#ifndef CP_KERNEL_WAITING_H
#define CP_KERNEL_WAITING_H

#include "compat.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

/* Where a live task stands: "file:line" of its innermost Lua function, "?" if none.   [-0, +1, m] */
void waiting_push_where(lua_State *L, const task *t);

/* Pushes a table {id, name, waiting_on, where, spawned_at} of a parked task.   [-0, +1, m] */
void waiting_push_task(lua_State *L, const task *t);

/* Tasks of each kind that are listed. */
#define SUSPENSION_MAX_POINTS 16

/*
** Notes, in the record on top of the stack, what the task's ancestors and awaiters are parked on, if
** any is.   [-0, +0, m]
*/
void waiting_note(runtime *rt, lua_State *L, const task *t);

#pragma GCC visibility pop

#endif
