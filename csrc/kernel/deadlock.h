/*
** The wait-for graph: tasks that wait for each other for ever are found when the last of them is
** about to park, by following what each waits for. (The deadlock of a whole run, where nothing can
** wake anybody, is shutdown.h's.)
** Source: Coffman, Elphick and Shoshani 1971, the circular wait condition; here each task waits for
** one thing, so that following is walking, except that a scope waits for all its members.
*/
#ifndef CP_KERNEL_DEADLOCK_H
#define CP_KERNEL_DEADLOCK_H

#include <stdbool.h>

#include "compat.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

/*
** The current task, running a C function with the object of the wait at index 1, is about to wait for
** `target`, which is to be its `waits_on`, without a time-out. True: that would close a cycle,
** and the record of a deadlock panic is on top of the stack.   [-0, +(0|1), m]
*/
bool deadlock_find(runtime *rt, lua_State *L, const wait_type *wait, void *target);

/* The same, and raises the panic.   [-0, +0, e] */
void deadlock_check(runtime *rt, lua_State *L, const wait_type *wait, void *target);

/*
** Whether the task is parked until what it waits for happens: no time-out or deadline ends that, nor what the task may
** have been asked, which would have woken it unless it waits in a deferred call.
*/
bool deadlock_waits_for_ever(const task *t);

#pragma GCC visibility pop

#endif
