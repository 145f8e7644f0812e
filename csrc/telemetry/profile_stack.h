/* What every sample says about its code: the stack, the task and the labels. */
#ifndef CP_TELEMETRY_PROFILE_STACK_H
#define CP_TELEMETRY_PROFILE_STACK_H

#include "telemetry/profile.h"

#pragma GCC visibility push(hidden)

/*
** Adds the stack of a coroutine and of its resumers, from the innermost activation outwards, without
** the runtime's own functions.   [-0, +0, -]
*/
void profile_add_stack(profile *p, profile_key *k, const coroutine *c);

/*
** Adds the labels: `task`, `task_id` and `trace_id` of the code of the coroutine, and the program's.
**   t  the live task to which the coroutine belongs; NULL: none
*/
void profile_add_labels(profile *p, profile_key *k, const task *t, coroutine *c);

/* Adds only the program's. */
void profile_add_own_labels(profile *p, profile_key *k, const task *t);

#pragma GCC visibility pop

#endif
