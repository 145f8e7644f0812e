/*
** Looks ahead, so that the tasks that run next are in the processor's cache by then. Timers,
** descriptors and channels make tasks ready in an order that has nothing to do with where they are
** in memory. With more tasks than fit into the cache, a switch then mostly waits for memory: each
** task is a chain of a userdata, a lua_State, a stack and activations, and each link has to be
** there before the next one is known. The queue of ready tasks is an array, so that the loop knows
** the tasks of its next turns, and can follow the chains of several of them at once, one link a
** turn.
*/
#ifndef CP_LOOP_AHEAD_H
#define CP_LOOP_AHEAD_H

#include "compat.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

/* What so many tasks use of their memory is in the processor's nearer caches anyway. */
#define AHEAD_FROM 256

/*
** How many turns before its own one a task's links are prefetched. A turn takes some 50 ns, and
** memory some 100 ns. More turns at once would only push one another out of the cache.
*/
enum { AHEAD_STACK = 2, AHEAD_THREAD = 4, AHEAD_TASK = 6 };

COMPAT_ALWAYS_INLINE void ahead_prefetch_task(const task *t) {
  compat_prefetch(t);
  compat_prefetch((const char *)t + 64);
  compat_prefetch(&t->coroutine.top);
}

/* Call it before a task is taken from the queue. */
COMPAT_ALWAYS_INLINE void ahead_of_ready(const runtime *rt) {
  if (fifo_count(&rt->ready) <= AHEAD_FROM) return;
  const task *far = fifo_at(&rt->ready, AHEAD_TASK);
  const task *near = fifo_at(&rt->ready, AHEAD_STACK);
  ahead_prefetch_task(far);
  const task *middle = fifo_at(&rt->ready, AHEAD_THREAD);
  compat_prefetch_thread(middle->coroutine.thread);
  compat_prefetch_stack(near->coroutine.thread);
}

#pragma GCC visibility pop

#endif
