/*
** Waiting tasks as tables, for records and reports. Also suspension points: when a task panics, the
** record lists the waits of its ancestors, the nearest first, and of the tasks that wait for its
** end.
*/
#ifndef CP_KERNEL_WAITING_H
#define CP_KERNEL_WAITING_H

#include "compat.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

/*
** Pushes the place where a live task stands: "file:line" of its innermost Lua function, "?" if
** there is none.   [-0, +1, m]
*/
void waiting_push_where(lua_State *L, const task *t);

/*
** Pushes a table {id, name, operation, waiting_on, where, spawned_at} of a waiting task.
** [-0, +1, m]
*/
void waiting_push_task(lua_State *L, const task *t);

/* The most ancestors listed, and the most awaiters. */
#define SUSPENSION_MAX_POINTS 16

/*
** Adds the waits of the task's ancestors and awaiters to the record on top of the stack, if any of
** them waits.   [-0, +0, m]
*/
void waiting_note(runtime *rt, lua_State *L, const task *t);

#pragma GCC visibility pop

#endif
