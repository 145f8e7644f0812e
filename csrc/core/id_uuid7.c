/* UUID version 7: see id.h. */
#include "core/id.h"

#define MAX_MS ((INT64_C(1) << 48) - 1)
#define COUNTER_BITS 18
#define COUNTER_LOW_BITS 6 /* of these, the bits behind the variant */
#define RANDOM_BITS 56

/* The counter's top bit starts as 0: the guard against rollover of RFC 9562, section 6.2. */
static uint32_t seed_counter(id_source *source) {
  return (uint32_t)(id_source_next(source) >> (64 - (COUNTER_BITS - 1)));
}

static void advance(uuid7 *u, id_source *source, int64_t now_ms) {
  if (now_ms > u->last_ms) {
    u->last_ms = now_ms;
    u->counter = seed_counter(source);
  } else if (++u->counter >> COUNTER_BITS != 0) {
    u->last_ms++;
    u->counter = seed_counter(source);
  }
}

id_status uuid7_next(uuid7 *u, id_source *source, const wall_clock *clock, id128 *id) {
  uuid7 next = *u;
  advance(&next, source, clock->now_ms(clock->ud));
  if (next.last_ms > MAX_MS) return ID_CLOCK_OUT;
  *u = next;
  uint64_t upper = next.counter >> COUNTER_LOW_BITS;
  uint64_t lower = next.counter & ((1u << COUNTER_LOW_BITS) - 1);
  id->high = (uint64_t)next.last_ms << 16 | UINT64_C(7) << 12 | upper;
  id->low = UINT64_C(2) << 62 | lower << RANDOM_BITS | id_source_next(source) >> (64 - RANDOM_BITS);
  return ID_OK;
}
