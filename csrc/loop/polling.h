/*
** Finds tasks that poll under the virtual clock: `while not done do co.yield() end`. The virtual
** clock moves only when no task is ready. While a task polls, the event that it polls for may
** therefore never come, and the run would hang.
*/
#ifndef CP_LOOP_POLLING_H
#define CP_LOOP_POLLING_H

#include "compat.h"
#include "kernel/runtime.h"

#pragma GCC visibility push(hidden)

/*
** The most rounds in a row in which no time passes and all tasks only yield or sleep for 0 s. A
** task that computes and yields so often is rare; a polling task gets there within a second or two.
*/
#define POLLING_MAX_ROUNDS 100000

/*
** Call it before each round, with at least one ready task. Returns true if the tasks have polled
** for too long.   [-0, +0, -]
*/
bool polling_is_endless(runtime *rt);

/* Pushes a record of kind deadlock that names one of the polling tasks.   [-0, +1, -] */
void polling_push_deadlock(runtime *rt, lua_State *L);

#pragma GCC visibility pop

#endif
