/*
** A waitgroup: a counter that tasks wait to become 0, as Go's. Tasks that it has spawned count from
** their spawning to their end, whatever that is.
*/
#ifndef CP_SYNC_WAITGROUP_H
#define CP_SYNC_WAITGROUP_H

#include "sync/waitlist.h"

#pragma GCC visibility push(hidden)

#define WAITGROUP_TYPE "coropanic.waitgroup"

/* Bounds the counter, so that it can not overflow; as Go's, which has 32 bits. */
#define WAITGROUP_MAX INT32_MAX

/* It is anchored, in runtime.pinned_ref, while it has members, which have its address. */
typedef struct waitgroup {
  waitlist waitlist;
  int64_t count; /* from 0 to WAITGROUP_MAX */
  list members;
} waitgroup;

extern const waitlist_type waitgroup_type;

/* Pushes a new one.   [-0, +1, m] */
waitgroup *waitgroup_new(lua_State *L);

/*
** Adds `delta`, which may be negative, and wakes all who wait when the counter becomes 0.
** [-0, +0, e] Panics when it would become negative, or too large.
*/
void waitgroup_add(runtime *rt, lua_State *L, waitgroup *wg, lua_Integer delta);

/*
** Spawns the function and its `arguments` on top of the stack as a task that counts until it has
** ended, and pushes it. The waitgroup is at index 1.   [-(arguments + 1), +1, e]
*/
void waitgroup_spawn(runtime *rt, lua_State *L, waitgroup *wg, int arguments);

#pragma GCC visibility pop

#endif
