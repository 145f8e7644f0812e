/*
** A descriptor that turns readable when wakeup_signal is called. By it a polling host learns that
** the runtime has work. It is an eventfd on Linux, a pipe elsewhere; both ends are non-blocking and
** close-on-exec.
**
** A forked child inherits the numbers, but what they name is its parent's too: each would take the
** other's signals. So the child calls wakeup_renew.
*/
#ifndef CP_CORE_WAKEUP_H
#define CP_CORE_WAKEUP_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/base.h"

#pragma GCC visibility push(hidden)

typedef struct wakeup {
  int read_fd; /* -1 while closed; what the host polls for reading */
  int write_fd;
  pid_t process; /* that has opened it */
} wakeup;

void wakeup_init(wakeup *w);

/*
** Opens the descriptor. False, with errno set, if the system has none left. Harmless if it is open
** already.
*/
bool wakeup_open(wakeup *w);
void wakeup_close(wakeup *w);

/* Whether it is not shared with the process that this one was forked from. True while closed. */
bool wakeup_is_own(const wakeup *w);

/*
** Puts a new descriptor, readable, under the number of the open one, which its parent process keeps.
** False, and changes nothing, if the system has none left. Other threads may signal meanwhile.
*/
bool wakeup_renew(wakeup *w);

/* Makes the descriptor readable. Async-signal-safe and thread-safe; a no-op while closed. */
void wakeup_signal(const wakeup *w);

/* Makes it unreadable again. */
void wakeup_drain(const wakeup *w);

/*
** Blocks until it is readable or `timeout_ns` has passed (< 0: for ever). If it is closed, waits
** for the whole time. A signal may end the wait early.
*/
void wakeup_wait(const wakeup *w, int64_t timeout_ns);

#pragma GCC visibility pop

#endif
