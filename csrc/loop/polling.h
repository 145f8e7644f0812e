/*
** Tasks that poll under the virtual clock: `while not done do co.yield() end`. That clock moves only when no task is
** ready, so as long as one polls, what it polls for may never come: the run would hang.
*/
#ifndef CP_LOOP_POLLING_H
#define CP_LOOP_POLLING_H

#include "compat.h"
#include "kernel/runtime.h"

#pragma GCC visibility push(hidden)

/*
** Rounds in a row in which no time passes and tasks do nothing but yield or sleep for 0 s. One that computes and yields
** so often is rare, and a poller comes so far within a second or two.
*/
#define POLLING_MAX_ROUNDS 100000

/* Looks at the tasks that are ready for a round. True: they have polled for too long.   [-0, +0, -] */
bool polling_is_endless(runtime *rt);

/* Pushes a record of kind deadlock that names a task that polls.   [-0, +1, -] */
void polling_push_deadlock(runtime *rt, lua_State *L);

#pragma GCC visibility pop

#endif
