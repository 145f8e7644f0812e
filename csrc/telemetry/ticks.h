/*
** The time of events, in ticks: of the processor's counter where that is a clock, else nanoseconds of the
** monotonic clock. Under the virtual clock a tick is a nanosecond of that, so that events are the same in
** every run.
**
** On x86 the counter is a clock if it goes on at one speed in all states of the processor (invariant TSC)
** and the kernel keeps its own time by it, as it does only where all processors' counters agree. On arm64
** it always is one.
*/
#ifndef CP_TELEMETRY_TICKS_H
#define CP_TELEMETRY_TICKS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base.h"

#pragma GCC visibility push(hidden)

/* As the header of coropanic-events/1 has it. */
typedef enum tick_source { TICKS_NS, TICKS_TSC, TICKS_CNTVCT } tick_source;

typedef struct tick_clock {
  tick_source source;
  uint64_t scale; /* nanoseconds in 2^32 ticks */
} tick_clock;

/* Finds the best source, and measures its speed for less than a millisecond. */
void ticks_open(tick_clock *c);

/* Returns the time by the monotonic clock, in nanoseconds. */
uint64_t ticks_monotonic_ns(void);

/* The processor's own counter, which is read without a call; TICKS_NS: it has none that is used. */
#if defined(__x86_64__)
#define TICKS_COUNTER TICKS_TSC
#elif defined(__aarch64__)
#define TICKS_COUNTER TICKS_CNTVCT
#else
#define TICKS_COUNTER TICKS_NS
#endif

static inline uint64_t ticks_read(const tick_clock *c) {
#if defined(__x86_64__)
  if (c->source == TICKS_TSC) return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
  if (c->source == TICKS_CNTVCT) {
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
  }
#else
  (void)c;
#endif
  return ticks_monotonic_ns();
}

/* Returns a duration in nanoseconds. Exact for ticks that are nanoseconds. */
static inline uint64_t ticks_to_ns(const tick_clock *c, uint64_t ticks) {
  uint64_t high = ticks >> 32;
  uint64_t low = ticks & UINT32_MAX;
  return high * c->scale + (low * (c->scale >> 32) + ((low * (c->scale & UINT32_MAX)) >> 32));
}

/* Returns a duration in ticks; UINT64_MAX if it is beyond all time. */
uint64_t ticks_from_ns(const tick_clock *c, uint64_t ns);

#pragma GCC visibility pop

#endif
