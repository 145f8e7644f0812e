/* The end of a run: cancels, wakes, gives up or abandons the tasks that are left. */
#ifndef CP_LOOP_SHUTDOWN_H
#define CP_LOOP_SHUTDOWN_H

#include "compat.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

/* Pushes a record of kind deadlock that lists every waiting task (DETAIL_PARKED).   [-0, +1, -] */
void shutdown_push_deadlock(runtime *rt, lua_State *L, const char *message);

/* Cancels every live task, with the source CANCEL_SHUTDOWN.   [-0, +0, -] */
void shutdown_cancel_all(runtime *rt, lua_State *L);

/*
** The same, except for services and for tasks that the panic handler has spawned at the end of the
** run.   [-0, +0, -]
*/
void shutdown_cancel_others(runtime *rt, lua_State *L);

/* Whether any live task, services aside, is not waiting for ever for another task.   [-0, +0, -] */
bool shutdown_others_may_go_on(runtime *rt, lua_State *L);

/* Wakes every waiting task with a deadlock panic.   [-0, +0, -] */
void shutdown_wake_all(runtime *rt, lua_State *L);

/* Cuts short the running call of every task; the task's other deferred calls run.   [-0, +0, -] */
void shutdown_give_up_all(runtime *rt, lua_State *L);

/* Ends every task as it is; runs none of its deferred calls.   [-0, +0, -] */
void shutdown_abandon_all(runtime *rt, lua_State *L);

#pragma GCC visibility pop

#endif
