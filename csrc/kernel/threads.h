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

/* Makes the runtime's tables of threads.   [-0, +0, m] */
void threads_open(runtime *rt, lua_State *L);

/*
** Takes a thread out of the pool, or makes one, and reserves its slot in `runtime.tasks`. The
** thread gets the hook that a coroutine made by L would have, so that a host's limit holds for
** tasks spawned under it. Returns false without memory.   [-0, +0, -]
*/
bool threads_take(runtime *rt, lua_State *L, pooled_thread *thread);

/*
** Gives back the thread of a task that has ended. It goes to the pool, or to the collector if the
** pool is full or the thread has a hook, which the task may have set.   [-0, +0, -]
*/
void threads_return(runtime *rt, lua_State *L, pooled_thread thread);

/* Gives a thread that must not be reused to the collector.   [-0, +0, -] */
void threads_drop(runtime *rt, lua_State *L, pooled_thread thread);

/* Sets the most threads at rest in the pool, and drops those beyond it.   [-0, +0, -] */
void threads_limit(runtime *rt, lua_State *L, size_t max);

#pragma GCC visibility pop

#endif
