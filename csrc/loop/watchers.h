/*
** Watchers: services that only look at the others, such as the server of coropanic.debug. Neither
** their descriptors nor their timers are a reason to wait when all other tasks wait for ever.
*/
#ifndef CP_LOOP_WATCHERS_H
#define CP_LOOP_WATCHERS_H

#include "compat.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

/* As spawn_options.group_type, without a group: the new task is a watcher. */
extern const spawn_group_type watcher_type;

/*
** Call it when no task is ready. Whether there are other tasks than watchers, and no descriptor,
** timer or thread can wake one of these. Looks at the watchers only.
*/
bool watchers_are_alone(const runtime *rt);

#pragma GCC visibility pop

#endif
