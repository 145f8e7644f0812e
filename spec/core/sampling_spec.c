#include "core/sampling.h"

#include <string.h>

#include "core/random.h"
#include "harness.h"

static void make_id(uint8_t id[16], uint64_t randomness) {
  memset(id, 0xab, 16);
  for (int i = 0; i < 7; i++) id[15 - i] = (uint8_t)(randomness >> (8 * i));
}

static sampler of_ratio(double ratio) {
  return (sampler){.kind = SAMPLING_RATIO, .threshold = sampling_threshold(ratio)};
}

static void always_and_never_do_not_look_at_the_id(void) {
  static const uint64_t values[] = {0, 1, UINT64_C(1) << 55, (UINT64_C(1) << 56) - 1};
  sampler always = {.kind = SAMPLING_ALWAYS};
  sampler never = {.kind = SAMPLING_NEVER};
  for (int i = 0; i < 4; i++) {
    uint8_t id[16];
    make_id(id, values[i]);
    for (int was = 0; was < 2; was++) {
      check(sampling_decide_root(&always, id) && sampling_decide(&always, id, was));
      check(!sampling_decide_root(&never, id) && !sampling_decide(&never, id, was));
    }
  }
}

static void a_ratio_is_a_threshold_of_56_bits(void) {
  static const struct {
    double ratio;
    uint64_t threshold;
  } rows[] = {
      {0, UINT64_C(1) << 56},     {1, 0}, {0.5, UINT64_C(1) << 55}, {0.25, UINT64_C(3) << 54},
      {0.125, UINT64_C(7) << 53},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    note("ratio %g", rows[i].ratio);
    sampler s = of_ratio(rows[i].ratio);
    uint8_t id[16];
    check_hex(s.threshold, rows[i].threshold);
    if (rows[i].threshold < UINT64_C(1) << 56) {
      make_id(id, rows[i].threshold);
      check(sampling_decide_root(&s, id));
    }
    if (rows[i].threshold > 0) {
      make_id(id, rows[i].threshold - 1);
      check(!sampling_decide_root(&s, id));
    }
  }
}

static void a_lower_ratio_samples_a_subset(void) {
  static const double ratios[] = {1, 0.9, 0.5, 0.1, 0.01, 0};
  rng r;
  rng_seed(&r, 3);
  for (int i = 0; i < 10000; i++) {
    uint8_t id[16];
    make_id(id, rng_next(&r));
    bool before = true;
    for (size_t k = 0; k < sizeof ratios / sizeof ratios[0]; k++) {
      sampler s = of_ratio(ratios[k]);
      bool now = sampling_decide(&s, id, false);
      check(before || !now);
      before = now;
    }
  }
}

static void the_upper_half_of_an_id_does_not_count(void) {
  sampler s = of_ratio(0.5);
  uint8_t id[16];
  make_id(id, UINT64_C(1) << 55);
  memset(id, 0, 9);
  check(sampling_decide_root(&s, id));
  make_id(id, 0);
  memset(id, 0xff, 9);
  check(!sampling_decide_root(&s, id));
}

static void a_parents_decision_stands(void) {
  uint8_t id[16];
  make_id(id, 0);
  for (uint8_t root = SAMPLING_ALWAYS; root <= SAMPLING_RATIO; root++) {
    sampler s = {.kind = SAMPLING_PARENT, .root = root, .threshold = UINT64_C(1) << 55};
    check(sampling_decide(&s, id, true));
    check(!sampling_decide(&s, id, false));
    check_int(sampling_decide_root(&s, id), root == SAMPLING_ALWAYS);
  }
}

static const test tests[] = {
    TEST(always_and_never_do_not_look_at_the_id),
    TEST(a_ratio_is_a_threshold_of_56_bits),
    TEST(a_lower_ratio_samples_a_subset),
    TEST(the_upper_half_of_an_id_does_not_count),
    TEST(a_parents_decision_stands),
};

SUITE(sampling);
