/*
** Time. A task_clock is either the system's monotonic clock or a virtual one, which moves only when
** the loop sets it. Under the virtual clock programs that sleep are deterministic.
*/
#ifndef CP_CORE_CLOCK_H
#define CP_CORE_CLOCK_H

#include <stdbool.h>

#include "core/base.h"

#pragma GCC visibility push(hidden)

typedef struct task_clock {
  bool is_virtual;
  int64_t virtual_now_ns; /* meaningful only when is_virtual */
} task_clock;

/* Nanoseconds since an arbitrary start; never goes back (CLOCK_MONOTONIC, or the virtual time). */
int64_t clock_now_ns(const task_clock *clock);

/*
** The same by the system's clock, but this one also goes on while the machine is suspended
** (CLOCK_BOOTTIME; the monotonic clock where there is none). Use it for times that were promised to
** other machines.
*/
int64_t clock_boot_ns(void);

/*
** Returns the time by the clock of such promises: clock_boot_ns, or the virtual clock, so that a
** lease lasts as long as the sleeps of the task that renews it. clock NULL: clock_boot_ns.
*/
int64_t clock_lease_ns(const task_clock *clock);

/* Nanoseconds of the processor's time that the calling thread has used. */
int64_t clock_thread_ns(void);

/* Nanoseconds since 1970-01-01T00:00:00Z by the system's wall clock; it may jump. */
int64_t clock_wall_ns(void);

/*
** Returns `now + seconds` as a deadline, at most TIME_FOREVER. `seconds` must be >= 0 and not NaN;
** infinity gives TIME_FOREVER. Rounds fractions of a nanosecond up, so that no sleep is too short.
*/
int64_t clock_deadline_ns(int64_t now_ns, double seconds);

#pragma GCC visibility pop

#endif
