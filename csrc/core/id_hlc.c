/* The hybrid logical clock: see id.h. */
#include "core/id.h"

#define LOGICAL_BITS 16
#define MAX_MS ((INT64_C(1) << 48) - 1)

/* Sets the clock. A full logical part carries into the physical part; false if that is full too. */
static bool set(hlc *h, int64_t physical_ms, uint32_t logical) {
  if (logical >> LOGICAL_BITS != 0) {
    physical_ms++;
    logical = 0;
  }
  if (physical_ms > MAX_MS) return false;
  h->physical_ms = physical_ms;
  h->logical = logical;
  return true;
}

id_status hlc_tick(hlc *h, const wall_clock *clock, uint64_t *timestamp) {
  int64_t now_ms = clock->now_ms(clock->ud);
  bool in_range =
      now_ms > h->physical_ms ? set(h, now_ms, 0) : set(h, h->physical_ms, h->logical + 1);
  if (!in_range) return ID_CLOCK_OUT;
  *timestamp = (uint64_t)h->physical_ms << LOGICAL_BITS | h->logical;
  return ID_OK;
}

/*
** A timestamp that our own clock has shown already is believed: the machine's clock may have been
** set back since, and a message of ours may have come back.
*/
static bool is_believed(const hlc *h, int64_t now_ms, uint64_t remote) {
  if (remote <= ((uint64_t)h->physical_ms << LOGICAL_BITS | h->logical)) return true;
  /* The drift of the next timestamp counts: a full logical part carries. */
  int64_t carry = (~remote & ((1u << LOGICAL_BITS) - 1)) == 0 ? 1 : 0;
  return (int64_t)(remote >> LOGICAL_BITS) + carry - now_ms <= h->max_drift_ms;
}

bool hlc_believes(const hlc *h, const wall_clock *clock, uint64_t remote) {
  return is_believed(h, clock->now_ms(clock->ud), remote);
}

bool hlc_merge(hlc *h, const wall_clock *clock, uint64_t remote) {
  int64_t now_ms = clock->now_ms(clock->ud);
  int64_t remote_ms = (int64_t)(remote >> LOGICAL_BITS);
  uint32_t remote_logical = (uint32_t)(remote & ((1u << LOGICAL_BITS) - 1));
  if (!is_believed(h, now_ms, remote)) {
    h->rejected++;
    uint64_t ignored;
    hlc_tick(h, clock, &ignored);
    return false;
  }
  if (now_ms > h->physical_ms && now_ms > remote_ms) return set(h, now_ms, 0);
  if (remote_ms > h->physical_ms) return set(h, remote_ms, remote_logical + 1);
  uint32_t logical = h->logical;
  if (remote_ms == h->physical_ms && remote_logical > logical) logical = remote_logical;
  return set(h, h->physical_ms, logical + 1);
}
