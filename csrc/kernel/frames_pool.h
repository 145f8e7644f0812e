/*
** The frame stacks of tasks and of the main thread. They stand in slabs, each of which is one
** userdata, and are given back there. Those of other coroutines live with these: coroutine.c.
*/
#ifndef CP_KERNEL_FRAMES_POOL_H
#define CP_KERNEL_FRAMES_POOL_H

#include "compat.h"
#include "core/list.h"
#include "kernel/frames.h"

#pragma GCC visibility push(hidden)

struct runtime;

typedef struct frames_pool {
  list with_room;    /* the slabs with frame stacks at rest */
  size_t free_count; /* frame stacks at rest */
} frames_pool;

void frames_pool_init(frames_pool *pool);

/* Returns a frame stack without frames.   [-0, +0, m] */
frame_stack *frames_pool_take(struct runtime *rt, lua_State *L);

/* Gives a frame stack back, and forgets what it holds.   [-0, +0, -] */
void frames_pool_give(struct runtime *rt, lua_State *L, frame_stack *s);

#pragma GCC visibility pop

#endif
