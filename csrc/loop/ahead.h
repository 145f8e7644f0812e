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

/* To look ahead at timers costs more than it does at the queue, and pays only with more of them. */
#define AHEAD_TIMERS_FROM 4096

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

/* Returns the task in which the timer is embedded; NULL: it is in another object. */
COMPAT_ALWAYS_INLINE const task *ahead_task_of(const timer *t) {
  return t->owner == TIMER_OF_TASK ? container_of(t, task, live.timer) : NULL;
}

/*
** Call it when the timer has been taken out because it is due, before its task is woken. Timers mostly
** fire one by one, so that the queue of ready tasks has nothing to look ahead at: the heap has. The
** timers next to the first are those that come next, and were prefetched when they got there. So
** the task of the first is in the cache, and its thread can be found; that of the due one was found
** a turn ago.
*/
COMPAT_ALWAYS_INLINE void ahead_of_timers(const timer_heap *timers, const timer *due) {
  if (timers->count <= AHEAD_TIMERS_FROM) return;
  const task *now = ahead_task_of(due);
  if (now != NULL) compat_prefetch_stack(now->coroutine.thread);
  const task *next = ahead_task_of(timer_heap_at(timers, 0));
  if (next != NULL) {
    ahead_prefetch_task(next);
    compat_prefetch_thread(next->coroutine.thread);
  }
  for (uint32_t i = 1; i <= TIMER_CHILDREN; i++) compat_prefetch(timer_heap_at(timers, i));
}

#pragma GCC visibility pop

#endif
