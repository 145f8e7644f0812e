/*
** The six functions that the kernel needs of the loop under it. Ours are in csrc/loop/loop.c. A
** host with timers and a poller of its own may install others before the first task is spawned.
** Back ends report timers and descriptors by the functions in loop/loop.h.
**
** No function may raise, or call the Lua API: `timer_set`, `fd_wait` and `notify` are called while
** the kernel's state is half changed. All are called in the thread that the runtime runs in.
*/
#ifndef CP_KERNEL_BACKEND_H
#define CP_KERNEL_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "core/timer.h"

#pragma GCC visibility push(hidden)

struct runtime;
struct task;

/* The results of fd_wait. */
typedef enum fd_answer {
  FD_WAITING, /* loop_fd_ready will wake the task when the descriptor is ready */
  FD_ALWAYS,  /* the descriptor is always ready: the task need not wait */
  FD_REFUSED  /* errno says why; ENOMEM: no memory */
} fd_answer;

typedef struct loop_backend {
  /* Returns nanoseconds since an arbitrary start; never goes back. */
  int64_t (*now)(const struct runtime *rt);
  /*
  ** Sets the timer `t` to the deadline. Its number is TIMER_IDLE before, and another one until the
  ** timer fires or is stopped. Returns false, and changes nothing, if there is no memory. When the
  ** timer is due, set the number to TIMER_IDLE, then call loop_timer_fired.
  */
  bool (*timer_set)(struct runtime *rt, timer *t, int64_t deadline_ns);
  /* Stops a timer that is set, and sets its number to TIMER_IDLE. */
  void (*timer_stop)(struct runtime *rt, timer *t);
  /*
  ** Registers the task, which is about to park, to be woken when `fd` is ready in one of the
  ** directions `asked` (POLLER_READ, ...).
  */
  fd_answer (*fd_wait)(struct runtime *rt, struct task *t, int fd, unsigned asked);
  /* Takes the task out of the queue of its descriptor. Harmless if the task has been woken. */
  void (*fd_stop)(struct runtime *rt, struct task *t);
  /* Called if a task becomes ready between two steps: tell the host to step soon. */
  void (*notify)(struct runtime *rt);
} loop_backend;

#pragma GCC visibility pop

#endif
