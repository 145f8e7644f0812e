/*
** The threads that tasks run on. A thread is reused for another task, unless code may have seen it:
** then, as with coroutine.create, the task had a coroutine of its own identity, which stays dead.
*/
#ifndef CP_KERNEL_THREADS_H
#define CP_KERNEL_THREADS_H

#include "compat.h"
#include "kernel/runtime.h"

#pragma GCC visibility push(hidden)

/* The most threads at rest in the pool: enough for bursts, at about a kilobyte each. */
#define THREAD_POOL_MAX 1024

/* Begins without threads.   [-0, +0, m] */
void threads_open(runtime *rt, lua_State *L);

/* Returns the thread that has the slot. */
static inline lua_State *threads_at(const runtime *rt, uint32_t slot) {
  return rt->slots.at[slot].address;
}

/*
** Returns the slot of the thread; 0: it is no task's. Once the runtime has closed, and freed the slots,
** the values of all slots are searched, because code may go on to resume and close coroutines.
** [-0, +0, -]
*/
uint32_t threads_find(const runtime *rt, lua_State *L, const lua_State *thread);

/* Takes a thread out of the pool; 0: none rests. */
static inline uint32_t threads_take_resting(runtime *rt) {
  uint32_t slot = rt->pool;
  if (slot == 0) return 0;
  rt->pool = rt->slots.at[slot].next;
  rt->pool_count--;
  return slot;
}

/* Makes a thread and takes it; 0: there is no memory.   [-0, +0, -] */
uint32_t threads_take_new(runtime *rt, lua_State *L);

/*
** Takes a thread out of the pool, or makes one, and with it the slot for its task. The
** thread gets the hook that a coroutine made by L would have, so that a host's limit holds for
** tasks spawned under it. Returns the slot; 0: there is no memory.   [-0, +0, -]
*/
static inline uint32_t threads_take(runtime *rt, lua_State *L) {
  uint32_t slot = threads_take_resting(rt);
  if (slot == 0) slot = threads_take_new(rt, L);
  if (slot == 0) return 0;
  lua_State *thread = threads_at(rt, slot);
  int mask = lua_gethookmask(L);
  if ((mask | lua_gethookmask(thread)) != 0) {
    lua_sethook(thread, lua_gethook(L), mask, lua_gethookcount(L));
  }
  return slot;
}

/*
** Gives back the thread of a task that has ended. It goes to the pool, or to the collector if the
** pool is full or the thread has a hook, which the task may have set.   [-0, +0, -]
*/
void threads_return(runtime *rt, uint32_t slot);

/* Gives a thread that must not be reused to the collector.   [-0, +0, -] */
void threads_drop(runtime *rt, uint32_t slot);

/* Sets the most threads at rest in the pool, and drops those beyond it.   [-0, +0, -] */
void threads_limit(runtime *rt, size_t max);

#pragma GCC visibility pop

#endif
