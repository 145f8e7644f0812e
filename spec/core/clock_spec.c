#define _DEFAULT_SOURCE 1 /* clock_gettime */

#include "core/clock.h"

#include <math.h>
#include <time.h>

#include "harness.h"
#include "suspend.h"

static int64_t system_monotonic_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

static void a_real_clock_reads_the_monotonic_clock(void) {
  task_clock clock = {.is_virtual = false, .virtual_now_ns = 7};
  int64_t before = system_monotonic_ns();
  int64_t now = clock_now_ns(&clock);
  int64_t after = system_monotonic_ns();
  check(before <= now && now <= after);
}

static void a_real_clock_never_goes_back(void) {
  task_clock clock = {.is_virtual = false};
  int64_t last = clock_now_ns(&clock);
  for (int i = 0; i < 10000; i++) {
    int64_t now = clock_now_ns(&clock);
    check(now >= last);
    last = now;
  }
}

static void a_virtual_clock_stands_still_until_it_is_moved(void) {
  task_clock clock = {.is_virtual = true, .virtual_now_ns = 100};
  check_int(clock_now_ns(&clock), 100);
  check_int(clock_now_ns(&clock), 100);
  clock.virtual_now_ns = 250;
  check_int(clock_now_ns(&clock), 250);
}

static void what_is_promised_to_others_is_timed_through_suspensions(void) {
  task_clock clock = {.is_virtual = false};
  int64_t before = clock_boot_ns();
  int64_t monotonic_before = clock_now_ns(&clock);
  suspend_machine(3600);
  check(clock_boot_ns() - before >= 3600 * NS_PER_SECOND);
  check(clock_now_ns(&clock) - monotonic_before < 3600 * NS_PER_SECOND);
}

static void the_wall_clock_counts_from_1970(void) {
  int64_t start_of_2020 = INT64_C(1577836800) * NS_PER_SECOND;
  int64_t start_of_2200 = INT64_C(7258118400) * NS_PER_SECOND;
  check(clock_wall_ns() > start_of_2020);
  check(clock_wall_ns() < start_of_2200);
}

typedef struct delay {
  double seconds;
  int64_t ns;
} delay;

static void a_deadline_is_now_plus_the_seconds(void) {
  static const delay delays[] = {
      {0, 0},          {1, NS_PER_SECOND}, {0.1, 100000000}, {1.1, 1100000000},
      {1e-3, 1000000}, {0.000123, 123000}, {1e-9, 1},        {3600, 3600 * NS_PER_SECOND},
  };
  for (size_t i = 0; i < sizeof delays / sizeof delays[0]; i++) {
    note("%.17g s", delays[i].seconds);
    check_int(clock_deadline_ns(1000, delays[i].seconds), 1000 + delays[i].ns);
  }
}

static void each_whole_number_of_nanoseconds_stays_what_it_is(void) {
  for (int ns = 0; ns < 100000; ns++) {
    note("%d ns", ns);
    check_int(clock_deadline_ns(0, ns * 1e-9), ns);
    check_int(clock_deadline_ns(0, ns / 1e9), ns);
  }
}

static void a_fraction_of_a_nanosecond_is_rounded_up(void) {
  check_int(clock_deadline_ns(0, 1e-10), 1);
  check_int(clock_deadline_ns(0, 1.5e-9), 2);
  check_int(clock_deadline_ns(0, 2.001e-9), 3);
  check_int(clock_deadline_ns(0, 1e-300), 1);
  check_int(clock_deadline_ns(0, 5e-324), 1);
}

static void a_deadline_out_of_range_never_comes(void) {
  check_int(clock_deadline_ns(0, INFINITY), TIME_FOREVER);
  check_int(clock_deadline_ns(0, 1e300), TIME_FOREVER);
  check_int(clock_deadline_ns(0, 9223372036.854775807), TIME_FOREVER);
  check_int(clock_deadline_ns(TIME_FOREVER - 4, 5e-9), TIME_FOREVER);
  check_int(clock_deadline_ns(TIME_FOREVER, 0), TIME_FOREVER);
}

static void a_deadline_just_in_range_is_exact(void) {
  check_int(clock_deadline_ns(TIME_FOREVER - 6, 5e-9), TIME_FOREVER - 1);
  check_int(clock_deadline_ns(0, 9e9), 9000000000 * NS_PER_SECOND);
  check_int(clock_deadline_ns(INT64_MIN, 9e9), INT64_MIN + 9000000000 * NS_PER_SECOND);
}

static const test tests[] = {
    TEST(a_real_clock_reads_the_monotonic_clock),
    TEST(a_real_clock_never_goes_back),
    TEST(a_virtual_clock_stands_still_until_it_is_moved),
    TEST(what_is_promised_to_others_is_timed_through_suspensions),
    TEST(the_wall_clock_counts_from_1970),
    TEST(a_deadline_is_now_plus_the_seconds),
    TEST(each_whole_number_of_nanoseconds_stays_what_it_is),
    TEST(a_fraction_of_a_nanosecond_is_rounded_up),
    TEST(a_deadline_out_of_range_never_comes),
    TEST(a_deadline_just_in_range_is_exact),
};

SUITE(clock);
