/*
** Finds tasks that wait for each other for ever, when the last of them is about to park: follows
** from each task to the one that it waits for. (The deadlock of a whole run, where no task can wake
** another, is found by shutdown.h.)
** Source: Coffman, Elphick and Shoshani 1971, the circular wait condition. Here each task waits for
** one thing, so that a walk is enough, except that a scope waits for all its members.
*/
#ifndef CP_KERNEL_DEADLOCK_H
#define CP_KERNEL_DEADLOCK_H

#include <stdbool.h>

#include "compat.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

/*
** Call it before the current task waits for `target` without a time-out; `target` will be its
** `waits_on`, and the object of the wait is at index 1 of the running C function. Returns true if
** that would close a cycle; then pushes the record of a deadlock panic.   [-0, +(0|1), m]
*/
bool deadlock_find(runtime *rt, lua_State *L, const wait_type *wait, void *target);

/* The same, but raises the panic.   [-0, +0, e] */
void deadlock_check(runtime *rt, lua_State *L, const wait_type *wait, void *target);

/*
** Whether only the awaited event itself can end the task's wait: no time-out and no deadline does.
** A cancellation does not either, for it would have woken the task already, unless the task waits
** in a deferred call.
*/
bool deadlock_waits_for_ever(const task *t);

#pragma GCC visibility pop

#endif
