/*
** Time: see clock.h.
*/
#define _DEFAULT_SOURCE 1 /* clock_gettime */

#include "core/clock.h"

#include <float.h>
#include <time.h>

static int64_t read_clock(clockid_t id) {
  struct timespec now;
  clock_gettime(id, &now);
  return (int64_t)now.tv_sec * NS_PER_SECOND + (int64_t)now.tv_nsec;
}

int64_t clock_now_ns(const task_clock *clock) {
  return clock->is_virtual ? clock->virtual_now_ns : read_clock(CLOCK_MONOTONIC);
}

int64_t clock_boot_ns(void) {
#if defined(CLOCK_BOOTTIME)
  return read_clock(CLOCK_BOOTTIME);
#else
  return read_clock(CLOCK_MONOTONIC);
#endif
}

int64_t clock_lease_ns(const task_clock *clock) {
  bool is_virtual = clock != NULL && clock->is_virtual;
  return is_virtual ? clock->virtual_now_ns : clock_boot_ns();
}

int64_t clock_thread_ns(void) { return read_clock(CLOCK_THREAD_CPUTIME_ID); }

int64_t clock_wall_ns(void) { return read_clock(CLOCK_REALTIME); }

/*
** The product has rounding errors of its own: 3e-9 * 1e9 is 3.0000000000000004 and means 3. A
** fraction smaller than such an error is therefore not rounded up.
*/
static int64_t round_up(double ns) {
  int64_t whole = (int64_t)ns;
  bool has_fraction = ns - (double)whole > ns * 2 * DBL_EPSILON;
  return has_fraction ? whole + 1 : whole;
}

int64_t clock_deadline_ns(int64_t now_ns, double seconds) {
  cp_assert(seconds >= 0);
  double ns = seconds * (double)NS_PER_SECOND;
  if (ns >= (double)TIME_FOREVER) return TIME_FOREVER;
  int64_t delay = round_up(ns);
  if (now_ns > TIME_FOREVER - delay) return TIME_FOREVER;
  return now_ns + delay;
}
