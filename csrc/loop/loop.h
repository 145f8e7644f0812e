/*
** Our own back end of the kernel (kernel/backend.h): timers in a heap, descriptors in a poller, and
** a descriptor that turns readable when a host should step. Also the functions that every back end
** calls to report a timer or a descriptor.
*/
#ifndef CP_LOOP_LOOP_H
#define CP_LOOP_LOOP_H

#include "compat.h"
#include "core/clock.h"
#include "core/mailbox.h"
#include "core/poller.h"
#include "core/timer.h"
#include "core/wakeup.h"
#include "kernel/runtime.h"
#include "loop/collector.h"

#pragma GCC visibility push(hidden)

typedef struct event_loop {
  runtime_part part;
  task_clock clock;
  timer_heap timers;
  poller poller; /* for the descriptors that tasks wait for */
  wakeup wakeup;
  mailbox *mailbox;       /* NULL until code asks for a token (outside.h) */
  size_t outside_waiting; /* tasks parked on tokens */
  collector collector;
  list watchers; /* see watchers.h */
} event_loop;

/* Returns the runtime's own loop. It exists, idle, also when a host has replaced the back end. */
static inline event_loop *loop_of(const runtime *rt) { return rt->loop; }

/* Makes the runtime's loop and installs its back end.   [-0, +0, m] */
void loop_open(runtime *rt, lua_State *L);

/* Whether the runtime uses that back end, so that it can sleep by itself. */
bool loop_is_own(const runtime *rt);

/* Installs that back end again. */
void loop_use_own(runtime *rt);

/*
** Call it before the wakeup is waited for, drained, signalled or shown to the host: a forked child gets
** one of its own, under the same number. If the system has none left, it shares its parent's for now.
*/
void loop_own_wakeup(const runtime *rt);

/* --- called by back ends --- */

/*
** Call it when a timer is due, after setting its number to TIMER_IDLE: wakes its task or ends its
** context.   [-0, +0, -]
*/
void loop_timer_fired(runtime *rt, lua_State *L, timer *t);

/*
** Wakes a task that waits for a descriptor. Take the task out of the back end's queues first.
**   ready  the directions that are ready: POLLER_READ, ...; 0: the descriptor was closed
*/
void loop_fd_ready(runtime *rt, struct task *t, unsigned ready);

#pragma GCC visibility pop

#endif
