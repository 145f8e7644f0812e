/*
** A waitgroup as in Go: a counter, and tasks that wait until it is 0. A task that the waitgroup
** spawns is counted from its spawn to its end, however it ends.
*/
#ifndef CP_SYNC_WAITGROUP_H
#define CP_SYNC_WAITGROUP_H

#include "sync/waitlist.h"

#pragma GCC visibility push(hidden)

#define WAITGROUP_TYPE "coropanic.waitgroup"

/* The largest count, so that the counter can not overflow. Go's has 32 bits too. */
#define WAITGROUP_MAX INT32_MAX

/* While it has members, runtime.pinned_ref anchors it, because they have its address. */
typedef struct waitgroup {
  waitlist waitlist;
  int64_t count; /* from 0 to WAITGROUP_MAX */
  list members;
} waitgroup;

extern const waitlist_type waitgroup_type;

/* Pushes a new waitgroup.   [-0, +1, m] */
waitgroup *waitgroup_new(runtime *rt, lua_State *L);

/*
** Adds `delta`, which may be negative, and wakes all waiting tasks if the counter becomes 0. Panics
** if the counter would become negative or too large.   [-0, +0, e]
*/
void waitgroup_add(runtime *rt, lua_State *L, waitgroup *wg, lua_Integer delta);

/*
** As spawn_options.group_type, with the waitgroup as the group: the new task is counted until it
** ends.
*/
extern const spawn_group_type waitgroup_spawns;

/* Returns the waitgroup that is told by `exit`, a call at the end of a task; NULL: none is. */
const waitgroup *waitgroup_of_exit(const task_exit *exit);

/*
** Call it before spawning a task with the waitgroup at index 1 as its group. Panics if the counter
** would become too large.   [-0, +0, e]
*/
void waitgroup_expect(runtime *rt, lua_State *L, const waitgroup *wg);

#pragma GCC visibility pop

#endif
