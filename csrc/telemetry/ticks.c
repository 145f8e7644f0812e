#define _DEFAULT_SOURCE 1 /* the clocks of time.h */

#include "telemetry/ticks.h"

#include "core/clock.h"

#define NS_SCALE (UINT64_C(1) << 32)

uint64_t ticks_monotonic_ns(void) {
  static const task_clock monotonic = {.is_virtual = false};
  return (uint64_t)clock_now_ns(&monotonic);
}

uint64_t ticks_from_ns(const tick_clock *c, uint64_t ns) {
  double ticks = (double)ns * ((double)NS_SCALE / (double)c->scale);
  return ticks >= 9e18 ? UINT64_MAX : (uint64_t)ticks;
}

#if defined(__x86_64__)

#include <cpuid.h>
#include <stdio.h>
#include <string.h>

/* So long the speed is measured: the two clocks are read within 50 ns of each other, an error of 1/4000. */
#define MEASURED_NS 400000

static bool is_invariant(void) {
  unsigned eax;
  unsigned ebx;
  unsigned ecx;
  unsigned edx = 0;
  return __get_cpuid(0x80000007, &eax, &ebx, &ecx, &edx) != 0 && (edx & (1U << 8)) != 0;
}

static bool is_kernels_clock(void) {
  char name[16] = "";
  FILE *file = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");
  if (file == NULL) return false;
  bool is_tsc = fgets(name, sizeof(name), file) != NULL && strcmp(name, "tsc\n") == 0;
  fclose(file);
  return is_tsc;
}

void ticks_open(tick_clock *c) {
  *c = (tick_clock){.source = TICKS_NS, .scale = NS_SCALE};
  if (!is_invariant() || !is_kernels_clock()) return;
  c->source = TICKS_TSC;
  uint64_t began_ns = ticks_monotonic_ns();
  uint64_t began = ticks_read(c);
  uint64_t ns;
  do {
    ns = ticks_monotonic_ns() - began_ns;
  } while (ns < MEASURED_NS);
  uint64_t ticks = ticks_read(c) - began;
  c->scale = (uint64_t)((double)ns * ((double)NS_SCALE / (double)ticks));
}

#elif defined(__aarch64__)

void ticks_open(tick_clock *c) {
  uint64_t per_second;
  __asm__ volatile("mrs %0, cntfrq_el0" : "=r"(per_second));
  *c = (tick_clock){.source = TICKS_NS, .scale = NS_SCALE};
  if (per_second == 0) return;
  c->source = TICKS_CNTVCT;
  c->scale = (uint64_t)((double)NS_PER_SECOND / (double)per_second * (double)NS_SCALE);
}

#else

void ticks_open(tick_clock *c) { *c = (tick_clock){.source = TICKS_NS, .scale = NS_SCALE}; }

#endif
