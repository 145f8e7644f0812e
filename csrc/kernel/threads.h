/*
** The threads that tasks run on. One that has served a task serves another, unless code may know it:
** as with coroutine.create, each task then has a coroutine of its own identity, which is dead for good
** afterwards.
*/
#ifndef CP_KERNEL_THREADS_H
#define CP_KERNEL_THREADS_H

#include "compat.h"
#include "kernel/runtime.h"

#pragma GCC visibility push(hidden)

/* Threads kept for reuse after their task ended: enough for bursts, at about a kilobyte each. */
#define THREAD_POOL_MAX 1024

/* Makes what the runtime keeps of threads.   [-0, +0, m] */
void threads_open(runtime *rt, lua_State *L);

/*
** Takes a thread out of the pool, or makes one; `runtime.tasks` has room at its slot. It gets the hook
** that a coroutine made by L would have: the limit that a host sets holds in what is spawned under it.
** False: there is no memory.   [-0, +0, -]
*/
bool threads_take(runtime *rt, lua_State *L, pooled_thread *thread);

/*
** Gives back the thread of a task that has ended: to the pool, or to the collector if it is full or the thread has a
** hook, which the task may have set.   [-0, +0, -]
*/
void threads_return(runtime *rt, lua_State *L, pooled_thread thread);

/* Lets the collector have a thread that is not to be used again.   [-0, +0, -] */
void threads_drop(runtime *rt, lua_State *L, pooled_thread thread);

/* Keeps at most `max` threads at rest from now on.   [-0, +0, -] */
void threads_limit(runtime *rt, lua_State *L, size_t max);

/* The live task whose own thread it is; NULL: none.   [-0, +0, -] */
struct task *threads_owner(const runtime *rt, lua_State *L, const lua_State *thread);

#pragma GCC visibility pop

#endif
