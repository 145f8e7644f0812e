/*
** Tasks that wait for descriptors, and the sleep of the loop. The waiter of a task stands in the
** poller's queue; the promises of core/poller.h hold here.
*/
#ifndef CP_LOOP_IO_H
#define CP_LOOP_IO_H

#include "compat.h"
#include "kernel/task.h"
#include "loop/loop.h"

#pragma GCC visibility push(hidden)

/*
** How often, in milliseconds, a host should step while tasks wait for descriptors that the host can
** not watch: because it does not poll co.pollfd(), or because no single descriptor stands for them
** all.
*/
#define IO_LOOK_MS 10

/* Stack indices in the C function that waits for a descriptor; reports read the values there. */
enum { IO_INDEX_MODE = 2, IO_INDEX_FD = 3 };

/*
** Parks the current task until `fd` is ready in one of the directions `asked` (POLLER_READ, ...).
** Return the result from a C function that has the object for the descriptor at index 1, and mode
** and number at IO_INDEX_MODE and IO_INDEX_FD.   [-0, +0, e] The continuation finds the ready
** directions in the waiter's `fired` if it was woken with WAKE_READY. WAKE_CLOSED: the descriptor was
** closed meanwhile. For a descriptor that is always ready, such as a regular file, the continuation
** is called at once, with WAKE_READY. Raises if the system refuses to wait.
*/
int io_park(runtime *rt, lua_State *L, int fd, unsigned asked, int64_t deadline_ns,
            const wait_type *wait);

/* The fields of the wait_type of a wait for a descriptor; besides it has a continuation. */
#define IO_WAIT                                                                                   \
  .name = "wait_fd", .push_object = wait_push_self, .push_text = io_push_text, .leave = io_leave, \
  .from_outside = true

bool io_push_text(lua_State *L, const task *t);
void io_leave(runtime *rt, task *t);

/*
** Raises that the system refuses to wait for `fd`.   [-0, +0, e]
**   refusal  the errno
*/
int io_refuse(lua_State *L, int fd, int refusal);

/* Whether any task waits for a descriptor. */
static inline bool io_is_awaited(const runtime *rt) { return loop_of(rt)->poller.waiting > 0; }

/*
** Wakes the tasks whose descriptors are ready. Does not wait. A host that polls the poller's own
** descriptor needs this even if no task waits: readiness that a cancelled task had asked for is
** reported once more, and keeps that descriptor readable until the poller takes it.
*/
static inline void io_poll(runtime *rt) {
  poller *p = &loop_of(rt)->poller;
  if (p->waiting > 0 || p->watched >= 0) poller_wait(p, 0);
}

/*
** Blocks until a descriptor is ready, the runtime's wakeup is signalled, or `timeout_ns` has passed
** (< 0: for ever). Wakes the tasks of ready descriptors. May end early.
*/
void io_wait(runtime *rt, int64_t timeout_ns);

/*
** Returns the descriptor that a host polls for reading. With epoll it stands for all descriptors
** and the wakeup, elsewhere for the wakeup alone. -1, with errno set, if the system has no
** descriptor left.
*/
int io_pollfd(runtime *rt);

/*
** Returns when a host has to step because it can not watch the descriptors of waiting tasks;
** TIME_FOREVER: never.
*/
int64_t io_next_look(const runtime *rt);

#pragma GCC visibility pop

#endif
