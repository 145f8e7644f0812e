/*
** The end of a run: every task that is left is asked to end, woken, given up or abandoned.
*/
#ifndef CP_LOOP_SHUTDOWN_H
#define CP_LOOP_SHUTDOWN_H

#include "compat.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

/*
** Pushes a record of kind deadlock that lists every parked task (DETAIL_PARKED).   [-0, +1, -]
*/
void shutdown_push_deadlock(runtime *rt, lua_State *L, const char *message);

/* Asks every live task to end, because the run does.   [-0, +0, -] */
void shutdown_cancel_all(runtime *rt, lua_State *L);

/* The same but for services, and what the panic handler has spawned at the end of the run.   [-0, +0, -] */
void shutdown_cancel_others(runtime *rt, lua_State *L);

/* Whether a live task that is no service may go on without any other's doing.   [-0, +0, -] */
bool shutdown_others_may_go_on(runtime *rt, lua_State *L);

/* Wakes every parked task with a deadlock panic.   [-0, +0, -] */
void shutdown_wake_all(runtime *rt, lua_State *L);

/* Gives up what every task is doing; their other deferred calls run.   [-0, +0, -] */
void shutdown_give_up_all(runtime *rt, lua_State *L);

/* Ends every task as it is, without running anything of it.   [-0, +0, -] */
void shutdown_abandon_all(runtime *rt, lua_State *L);

#pragma GCC visibility pop

#endif
