/*
** A ticker calls a function in a signal handler, in the thread in which it was opened, when a time is
** over, by the clock or of the processor's: a POSIX timer sends SIGURG to that thread. Programs ignore SIGURG by default. If the program
** has a handler of its own, ours calls it for every SIGURG that no ticker has caused, and puts it
** back when the last ticker is closed. A program that installs a handler later must call the one
** that it replaces. The kernel queues a timer's signal beside others of its number, so a tick is lost
** only while SIGURG is ignored, because the program has taken our handler away.
**
** A signal may still come when its ticker is stopped or closed, in a thread that has blocked it
** meanwhile. So the handler looks only at memory that is never freed, and calls a ticker once for
** each time that it was set. This memory, the handler that was there before, and a lock for both are
** the state of the process that tickers need; otherwise those of different threads are apart.
**
** Only Linux has timers that signal a thread. Elsewhere ticker_open says ENOTSUP.
*/
#ifndef CP_CORE_TICKER_H
#define CP_CORE_TICKER_H

#include <stdbool.h>

#include "core/base.h"

#pragma GCC visibility push(hidden)

struct ticker_slot;

typedef struct ticker {
  struct ticker_slot *slot; /* NULL: it is closed */
  bool
      counts_cpu; /* its time is the processor's that the thread uses, by the system's coarse ticks */
  /*
  ** Called in the signal handler. May call ticker_set, and otherwise only what a signal handler may.
  **   pc  the address of the instruction that the signal has interrupted; 0: not known
  */
  void (*tick)(struct ticker *self, uintptr_t pc);
} ticker;

/*
** Opens the ticker, which is closed and has `tick` and `counts_cpu` set, for the calling thread. Returns 0 or the
** errno: ENOTSUP if the system has no such timers, EINVAL if the thread blocks SIGURG, EAGAIN or
** ENOMEM for want of resources.
*/
int ticker_open(ticker *t);

/* Returns a message for an errno of ticker_open. */
const char *ticker_why(int refusal);

/* Whether it was opened in the calling thread of this process, and so ticks here. */
bool ticker_is_here(const ticker *t);

/*
** Lets the ticker, which is open, tick once after `delay_ns`, at least 1, instead of any time that
** was set before; 0: not at all. Call it in the ticker's thread; a signal handler may. Does nothing in
** a forked child, which has no ticks.
*/
void ticker_set(ticker *t, int64_t delay_ns);

/* Closes the ticker if it is open. In its thread, or in another one once it was stopped there. */
void ticker_close(ticker *t);

#pragma GCC visibility pop

#endif
