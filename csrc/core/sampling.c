/* Sampling: see sampling.h. */
#include "core/sampling.h"

#define RANDOM_BITS 56

uint64_t sampling_threshold(double ratio) {
  cp_assert(ratio >= 0 && ratio <= 1);
  return (uint64_t)((1 - ratio) * (double)(UINT64_C(1) << RANDOM_BITS));
}

static uint64_t randomness_of(const uint8_t trace_id[16]) {
  uint64_t r = 0;
  for (int i = 16 - RANDOM_BITS / 8; i < 16; i++) r = r << 8 | trace_id[i];
  return r;
}

static bool decide(const sampler *s, sampling_kind kind, const uint8_t trace_id[16]) {
  if (kind == SAMPLING_RATIO) return randomness_of(trace_id) >= s->threshold;
  return kind == SAMPLING_ALWAYS;
}

bool sampling_decide_root(const sampler *s, const uint8_t trace_id[16]) {
  return decide(s, s->kind == SAMPLING_PARENT ? s->root : s->kind, trace_id);
}

bool sampling_decide(const sampler *s, const uint8_t trace_id[16], bool was_sampled) {
  return s->kind == SAMPLING_PARENT ? was_sampled : decide(s, s->kind, trace_id);
}
