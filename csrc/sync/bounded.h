/*
** The objects that can be full, channels with a buffer and semaphores, for co.forecast. While the order
** (order.h) is on, those in which tasks may have to wait for room are listed.
*/
#ifndef CP_SYNC_BOUNDED_H
#define CP_SYNC_BOUNDED_H

#include <stdbool.h>

#include "compat.h"
#include "kernel/runtime.h"

#pragma GCC visibility push(hidden)

/* The most objects that are listed at a time; more are counted. */
#define BOUNDED_MAX 1024

/* Lists the object at `index`, unless there are too many. Use bounded_see.   [-0, +0, m] */
void bounded_list(runtime *rt, lua_State *L, int index);

/*
** Call it when a task may have to wait for room in the object at `index`, whose `listed` it is.
** [-0, +0, m]
*/
static inline void bounded_see(runtime *rt, lua_State *L, int index, bool *listed) {
  if (rt->lock_order == NULL || *listed) return;
  *listed = true;
  bounded_list(rt, L, index);
}

/*
** Fills the three arrays at `first` and behind it, which have room for BOUNDED_MAX, with the listed
** objects, their levels and their capacities. Returns how many there are. Closed channels are left
** out.   [-0, +0, -]
*/
lua_Integer bounded_read(runtime *rt, lua_State *L, int first);

#pragma GCC visibility pop

#endif
