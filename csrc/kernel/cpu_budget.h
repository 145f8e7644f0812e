/*
** CPU budgets. A task that was spawned with one is cancelled, with the source CANCEL_CPU_BUDGET, when it
** has used so much of the processor's time: at the next tick of preemption (preempt.h) that finds it
** running for a whole slice, or else when its next turn begins. Then its deferred calls run, each for as
** long as it suspends in time; one that computes for longer than CPU_BUDGET_GRACE_NS is cut short.
**
** Only the turns of such tasks are measured, and no other task pays for that.
*/
#ifndef CP_KERNEL_CPU_BUDGET_H
#define CP_KERNEL_CPU_BUDGET_H

#include <stdbool.h>

#include "compat.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

/* The processor's time that a task has to end when its budget is used up, before it is cut short. */
#define CPU_BUDGET_GRACE_NS (NS_PER_SECOND / 10)

/* Makes the reason of these cancellations.   [-0, +0, m] */
void cpu_budget_open(runtime *rt, lua_State *L);

/*
** As spawn_options.group_type, with a pointer to the budget, an int64_t in nanoseconds, as the group:
** the new task has that budget. Call preempt_require before.
*/
extern const spawn_group_type cpu_budget_type;

/* Call it when a turn of a task with TURN_METERED begins.   [-0, +0, -] */
void cpu_budget_begin_turn(runtime *rt, lua_State *L, task *t);

/*
** Whether the code of the running task, whose turn is metered, has to be cut short. Cancels the task
** if its budget is just used up.   [-0, +0, -]
*/
bool cpu_budget_is_overdrawn(runtime *rt, lua_State *L);

#pragma GCC visibility pop

#endif
