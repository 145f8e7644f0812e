/*
** Waiting on several channels at once. A waiting select stands in the queue of each of its
** channels. Waking it takes it out of all of them. Its queue entries come from a pool, so that a
** select of usual size allocates nothing.
** Source of the semantics: the Go language specification, "Select statements".
*/
#ifndef CP_SYNC_SELECT_H
#define CP_SYNC_SELECT_H

#include <stdbool.h>

#include "compat.h"
#include "kernel/task.h"
#include "sync/chan.h"

#pragma GCC visibility push(hidden)

/* The most cases of one select. */
#define SELECT_MAX_CASES 65535

/*
** Runs co.select with the arguments on the stack: time-out in seconds or nil, then the cases.
** Return the result from the C function. Results: index, value, ok for a receive; index for a send;
** 0 for the time-out.   [-0, +n, e]
*/
int select_run(runtime *rt, lua_State *L);

#pragma GCC visibility pop

#endif
