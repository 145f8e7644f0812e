/*
** What the kernel asks of the loop under it: six functions. Ours are in csrc/loop/loop.c; a host with timers and a
** poller of its own may put others in their place before the first task is spawned.
** The functions with which it answers are in loop/loop.h.
**
** None of them may raise, or call anything of Lua: `timer_set`, `fd_wait` and `notify` are called in the middle of
** what scripts must not see. All are called in the thread that the runtime runs in.
*/
#ifndef CP_KERNEL_BACKEND_H
#define CP_KERNEL_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "core/timer.h"

#pragma GCC visibility push(hidden)

struct runtime;
struct task;

/* What comes of fd_wait. */
typedef enum fd_answer {
  FD_WAITING, /* the task is woken by loop_fd_ready when the descriptor is ready */
  FD_ALWAYS,  /* the descriptor is ready, and will always be: nothing is to be waited for */
  FD_REFUSED  /* errno says why; ENOMEM: no memory */
} fd_answer;

typedef struct loop_backend {
  /* Nanoseconds since an arbitrary start; never goes back. */
  int64_t (*now)(const struct runtime *rt);
  /*
  ** Lets `t`, whose number is TIMER_IDLE, fire at the deadline, and gives it another number until then. False: there
  ** is no memory, and nothing has changed. Firing: sets the number to TIMER_IDLE, then calls loop_timer_fired.
  */
  bool (*timer_set)(struct runtime *rt, timer *t, int64_t deadline_ns);
  /* Takes a timer that is set back, and makes its number TIMER_IDLE. */
  void (*timer_stop)(struct runtime *rt, timer *t);
  /* Lets the task, which is about to park, wait until `fd` is ready for something of `asked` (POLLER_READ, ...). */
  fd_answer (*fd_wait)(struct runtime *rt, struct task *t, int fd, unsigned asked);
  /* The task waits for its descriptor no longer. Harmless if it has been woken. */
  void (*fd_stop)(struct runtime *rt, struct task *t);
  /* Work has arrived between two steps: the host is to step soon. */
  void (*notify)(struct runtime *rt);
} loop_backend;

#pragma GCC visibility pop

#endif
