/*
** Tasks that wait for descriptors, and the loop's own waiting. Built on core/poller.h, whose promises
** hold here; the task's waiter stands in the poller's queue.
*/
#ifndef CP_LOOP_IO_H
#define CP_LOOP_IO_H

#include "compat.h"
#include "kernel/task.h"
#include "loop/loop.h"

#pragma GCC visibility push(hidden)

/*
** Milliseconds after which a host should step again although it knows of no reason, while tasks wait
** for descriptors that it is not told of: it does not poll co.pollfd(), or there is no one descriptor
** that stands for them all.
*/
#define IO_LOOK_MS 10

/* Where reports find what a parked task waits for, on the stack of the C function that parked it. */
enum { IO_INDEX_MODE = 2, IO_INDEX_FD = 3 };

/*
** Parks the current task until `fd` is ready for something of `asked` (POLLER_READ, ...), with the
** object that stands for it at index 1, mode and number at IO_INDEX_MODE and IO_INDEX_FD; to be
** returned.   [-0, +0, e]
** On being woken with WAKE_READY the continuation finds the ready part in the task's `fired`;
** WAKE_CLOSED: the descriptor was closed meanwhile. Where there is nothing to wait for, such as for a
** regular file, it is called at once in the same manner. Raises what the system refuses.
*/
int io_park(runtime *rt, lua_State *L, int fd, unsigned asked, int64_t deadline_ns,
            lua_KFunction continuation);

/* Raises the system's refusal to wait for `fd`, by its errno.   [-0, +0, e] */
int io_refuse(lua_State *L, int fd, int refusal);

/* Whether a task waits for a descriptor. */
static inline bool io_is_awaited(const runtime *rt) { return loop_of(rt)->poller.waiting > 0; }

/*
** Wakes the tasks whose descriptors are ready. Does not wait. A host that polls the poller's own
** descriptor needs this although nobody waits: what was asked for by a task that has been cancelled
** is still reported once, and keeps that descriptor readable until it is taken.
*/
static inline void io_poll(runtime *rt) {
  poller *p = &loop_of(rt)->poller;
  if (p->waiting > 0 || p->watched >= 0) poller_wait(p, 0);
}

/*
** Blocks until a descriptor is ready, in which case its tasks have been woken, the runtime's wakeup is
** signalled, or `timeout_ns` has passed (< 0: for ever). May end early.
*/
void io_wait(runtime *rt, int64_t timeout_ns);

/*
** The descriptor that a host polls for reading; -1, with errno set: the system has none left. Where
** there is epoll it stands for everything, elsewhere for the wakeup alone.
*/
int io_pollfd(runtime *rt);

/* When a host has to step for the sake of descriptors that it is not told of; TIME_FOREVER: never. */
int64_t io_next_look(const runtime *rt);

#pragma GCC visibility pop

#endif
