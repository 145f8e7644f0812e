/*
** All live tasks at once: who they are, what they wait on, and ending them.
*/
#ifndef CP_RUNTIME_PARKED_H
#define CP_RUNTIME_PARKED_H

#include "compat.h"
#include "runtime/task.h"

#pragma GCC visibility push(hidden)

/*
** Pushes a record of kind deadlock that lists every parked task (DETAIL_PARKED).   [-0, +1, -]
*/
void parked_push_deadlock(runtime *rt, lua_State *L, const char *message);

/* Asks every live task to end, because the run does.   [-0, +0, -] */
void parked_cancel_all(runtime *rt, lua_State *L);

/* The same but for services, and what the panic handler has spawned at the end of the run.   [-0, +0, -] */
void parked_cancel_others(runtime *rt, lua_State *L);

/* Whether a live task that is no service may go on without any other's doing.   [-0, +0, -] */
bool parked_others_may_go_on(runtime *rt, lua_State *L);

/* Wakes every parked task with a deadlock panic.   [-0, +0, -] */
void parked_wake_all(runtime *rt, lua_State *L);

/* Gives up what every task is doing; their other deferred calls run.   [-0, +0, -] */
void parked_give_up_all(runtime *rt, lua_State *L);

/* Ends every task as it is, without running anything of it.   [-0, +0, -] */
void parked_abandon_all(runtime *rt, lua_State *L);

/* Pushes an array of the live tasks in order of spawning.   [-0, +1, m] */
void parked_push_tasks(runtime *rt, lua_State *L);

/* Where a live task stands: "file:line" of its innermost Lua function, "?" if none.   [-0, +1, m] */
void parked_push_where(lua_State *L, const task *t);

/* Pushes a table {id, name, waiting_on, where, spawned_at} of a parked task.   [-0, +1, m] */
void parked_push_task(lua_State *L, const task *t);

#pragma GCC visibility pop

#endif
