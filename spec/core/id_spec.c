#define _DEFAULT_SOURCE 1 /* fork */

#include "core/id.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "harness.h"
#include "suspend.h"

/* --- a clock that a test moves --- */

typedef struct test_clock {
  int64_t now_ms;
  int64_t paused_ms; /* in all */
  bool frozen;       /* pausing does not make it go on */
} test_clock;

static test_clock machine_clock;

static int64_t test_now_ms(void *ud) { return ((const test_clock *)ud)->now_ms; }

static void test_pause(void *ud, int64_t ms) {
  test_clock *c = ud;
  c->paused_ms += ms;
  if (!c->frozen) c->now_ms += ms;
}

static const wall_clock fake_clock = {
    .now_ms = test_now_ms, .pause = test_pause, .ud = &machine_clock};

static id_source *source;

static void set_up(int64_t now_ms) {
  machine_clock = (test_clock){.now_ms = now_ms};
  source = id_source_open();
}

static void tear_down(void) { id_source_close(source); }

/* Of a test with a snowflake, whose machine id others will want. */
static void give_back_and_tear_down(id_generator *g) {
  id_give_back(g, source);
  tear_down();
}

static bool is_before(id128 a, id128 b) {
  return a.high != b.high ? a.high < b.high : a.low < b.low;
}

#define NOW 1700000000123
#define HOUR 3600000

/*
** Moves the clock as nobody should: mostly a little on, or not at all; at times it is set back by up to an
** hour or forward by up to `forward`, and right again.
*/
static void move_clock(rng *r, int64_t *right_ms, int64_t forward) {
  *right_ms += (int64_t)rng_below(r, 2);
  switch (rng_below(r, 64)) {
    case 0: machine_clock.now_ms = *right_ms - (int64_t)rng_below(r, HOUR); break;
    case 1: machine_clock.now_ms = *right_ms + (int64_t)rng_below(r, (uint64_t)forward); break;
    case 2: machine_clock.now_ms = *right_ms; break;
    default: machine_clock.now_ms += (int64_t)rng_below(r, 2);
  }
}

/* --- any generator --- */

enum { MOVES = 200000 };

static void check_order(id_generator *g, int64_t forward) {
  rng r;
  rng_seed(&r, 7);
  int64_t right_ms = machine_clock.now_ms;
  id128 last = {0};
  int made = 0;
  for (int i = 0; i < MOVES; i++) {
    id128 id;
    note("id %d", i);
    move_clock(&r, &right_ms, forward);
    id_status status = id_next(g, source, &fake_clock, &id);
    if (status == ID_CLOCK_BACK) continue;
    check_int(status, ID_OK);
    check(is_before(last, id));
    last = id;
    made++;
  }
  check(made > MOVES / 10);
}

static void uuid7_ids_are_in_order_whatever_the_clock_does(void) {
  id_generator g = {0};
  set_up(NOW);
  id_use_uuid7(&g);
  check_order(&g, HOUR);
  tear_down();
}

static void hlc_ids_are_in_order_whatever_the_clock_does(void) {
  id_generator g = {0};
  set_up(NOW);
  id_use_hlc(&g, 500);
  check_order(&g, HOUR);
  tear_down();
}

static void snowflake_ids_are_in_order_whatever_the_clock_does(void) {
  static const snowflake_policy policies[] = {SNOWFLAKE_WAIT, SNOWFLAKE_BORROW, SNOWFLAKE_ERROR};
  for (int i = 0; i < 3; i++) {
    id_generator g = {0};
    note("policy %d", i);
    set_up(NOW);
    check_int(id_use_snowflake(&g, source, (uint16_t)(10 + i), 0, policies[i], 5000), MACHINE_OK);
    check_order(&g, 50);
    give_back_and_tear_down(&g);
  }
}

static void random_ids_differ(void) {
  id_generator g = {0};
  id128 a;
  id128 b;
  set_up(NOW);
  id_use_random(&g);
  check_int(id_next(&g, source, &fake_clock, &a), ID_OK);
  check_int(id_next(&g, source, &fake_clock, &b), ID_OK);
  check(a.high != b.high && a.low != b.low && a.high != a.low);
  tear_down();
}

static void an_id_is_stored_with_its_highest_byte_first(void) {
  uint8_t bytes[16];
  id_store(bytes, (id128){.high = 0x0102030405060708, .low = 0x090a0b0c0d0e0f10});
  for (int i = 0; i < 16; i++) check_int(bytes[i], i + 1);
}

/* The right-most 56 bits of ids that are made at one moment, as a W3C trace id's random flag promises. */
static void the_lower_half_is_random(void) {
  for (int kind = 0; kind < 4; kind++) {
    id_generator g = {0};
    note("kind %d", kind);
    set_up(NOW);
    if (kind == 1) id_use_uuid7(&g);
    if (kind == 2) id_use_hlc(&g, 500);
    if (kind == 3) {
      check_int(id_use_snowflake(&g, source, 20, 0, SNOWFLAKE_BORROW, 5000), MACHINE_OK);
    }
    int ones[56] = {0};
    for (int i = 0; i < 4096; i++) {
      id128 id;
      check_int(id_next(&g, source, &fake_clock, &id), ID_OK);
      for (int bit = 0; bit < 56; bit++) ones[bit] += (int)(id.low >> bit & 1);
    }
    /* 2,048 expected, 32 the standard deviation: nine of them are out of the question. */
    for (int bit = 0; bit < 56; bit++) check(ones[bit] > 2048 - 288 && ones[bit] < 2048 + 288);
    give_back_and_tear_down(&g);
  }
}

/* --- uuid7 --- */

static void a_uuid7_has_the_fields_of_rfc_9562(void) {
  id_generator g = {0};
  id128 id;
  set_up(0x017F22E279B0); /* the example of its appendix A.6 */
  id_use_uuid7(&g);
  check_int(id_next(&g, source, &fake_clock, &id), ID_OK);
  check_hex(id.high >> 16, 0x017F22E279B0);
  check_hex(id.high >> 12 & 0xf, 7);
  check_hex(id.low >> 62, 2);
  tear_down();
}

static uint32_t counter_of(id128 id) {
  return (uint32_t)((id.high & 0xfff) << 6 | (id.low >> 56 & 0x3f));
}

static void uuid7s_of_one_millisecond_count(void) {
  id_generator g = {0};
  id128 first;
  id128 second;
  set_up(NOW);
  id_use_uuid7(&g);
  id_next(&g, source, &fake_clock, &first);
  id_next(&g, source, &fake_clock, &second);
  check(counter_of(first) < 1u << 17);
  check_int(counter_of(second), counter_of(first) + 1);
  check_hex(second.high >> 16, NOW);
  tear_down();
}

static void a_full_uuid7_counter_goes_on_in_the_next_millisecond(void) {
  id_generator g = {0};
  id128 id;
  set_up(NOW);
  id_use_uuid7(&g);
  id_next(&g, source, &fake_clock, &id);
  uint32_t left = (1u << 18) - 1 - counter_of(id);
  for (uint32_t i = 0; i < left; i++) id_next(&g, source, &fake_clock, &id);
  check_hex(counter_of(id), 0x3ffff);
  check_hex(id.high >> 16, NOW);
  id_next(&g, source, &fake_clock, &id);
  check_hex(id.high >> 16, NOW + 1);
  check(counter_of(id) < 1u << 17);
  tear_down();
}

static void a_uuid7_ends_with_its_48_bits(void) {
  id_generator g = {0};
  id128 id;
  set_up((INT64_C(1) << 48) - 1);
  id_use_uuid7(&g);
  check_int(id_next(&g, source, &fake_clock, &id), ID_OK);
  machine_clock.now_ms++;
  check_int(id_next(&g, source, &fake_clock, &id), ID_CLOCK_OUT);
  tear_down();
}

/* --- snowflake --- */

#define TWITTER_EPOCH 1288834974657

static snowflake make_snowflake(uint16_t machine, snowflake_policy policy, int64_t tolerance_ms) {
  return (snowflake){.epoch_ms = TWITTER_EPOCH,
                     .tolerance_ms = tolerance_ms,
                     .last_ms = NO_SNOWFLAKE,
                     .machine = machine,
                     .policy = (uint8_t)policy};
}

static void check_snowflake(snowflake *s, uint64_t expected) {
  uint64_t id;
  check_int(snowflake_next(s, &fake_clock, &id), ID_OK);
  check_int(id, expected);
}

static void check_no_snowflake(snowflake *s, id_status expected) {
  uint64_t id;
  check_int(snowflake_next(s, &fake_clock, &id), expected);
}

/* IdWorkerSpec of twitter/snowflake, snowflake-2010. */
static void a_snowflake_is_twitters(void) {
  snowflake s = make_snowflake(0, SNOWFLAKE_ERROR, 0);
  set_up(TWITTER_EPOCH + 1);
  check_snowflake(&s, 4194304);
  check_snowflake(&s, 4194305);
  machine_clock.now_ms--;
  check_no_snowflake(&s, ID_CLOCK_BACK);
  machine_clock.now_ms++;
  check_snowflake(&s, 4194306);
  tear_down();
}

/* An id that Twitter gave out on 2022-06-28T16:07:40.105Z. */
static void a_snowflake_has_milliseconds_machine_and_sequence(void) {
  snowflake s = make_snowflake(378, SNOWFLAKE_WAIT, 0);
  set_up(TWITTER_EPOCH + 367597485448);
  check_snowflake(&s, 1541815603606036480);
  tear_down();
}

static void fill_millisecond(snowflake *s) {
  uint64_t id;
  for (int i = 0; i < 4096; i++) check_int(snowflake_next(s, &fake_clock, &id), ID_OK);
}

static void a_full_millisecond_waits_for_the_next(void) {
  static const snowflake_policy policies[] = {SNOWFLAKE_WAIT, SNOWFLAKE_ERROR};
  for (int i = 0; i < 2; i++) {
    note("policy %d", i);
    snowflake s = make_snowflake(0, policies[i], 100);
    set_up(TWITTER_EPOCH + 1);
    fill_millisecond(&s);
    check_int(machine_clock.paused_ms, 0);
    check_snowflake(&s, 2 << 22);
    check_int(machine_clock.paused_ms, 1);
    tear_down();
  }
}

static void a_full_millisecond_borrows_from_the_next(void) {
  snowflake s = make_snowflake(0, SNOWFLAKE_BORROW, 2);
  set_up(TWITTER_EPOCH + 1);
  for (int i = 0; i < 3; i++) fill_millisecond(&s);
  check_no_snowflake(&s, ID_CLOCK_BACK); /* two ahead, and no more */
  machine_clock.now_ms++;
  check_snowflake(&s, 4 << 22);
  check_int(machine_clock.paused_ms, 0);
  tear_down();
}

static void a_clock_that_stands_still_is_not_waited_for_for_ever(void) {
  snowflake s = make_snowflake(0, SNOWFLAKE_WAIT, 20);
  set_up(TWITTER_EPOCH + 1);
  fill_millisecond(&s);
  machine_clock.frozen = true;
  check_no_snowflake(&s, ID_CLOCK_BACK);
  check_int(machine_clock.paused_ms, 20);
  machine_clock.frozen = false;
  check_snowflake(&s, 2 << 22);
  tear_down();
}

static void a_clock_set_back_is_ridden_out_as_the_policy_says(void) {
  static const struct {
    snowflake_policy policy;
    int64_t back_ms;
    id_status status;
    int64_t paused_ms;
    uint64_t id; /* after that of millisecond 10,000,000 */
  } rows[] = {
      {SNOWFLAKE_WAIT, 1, ID_OK, 1, (UINT64_C(10000000) << 22) + 1},
      {SNOWFLAKE_WAIT, 5000, ID_OK, 5000, (UINT64_C(10000000) << 22) + 1},
      {SNOWFLAKE_WAIT, 5001, ID_CLOCK_BACK, 0, 0},
      {SNOWFLAKE_WAIT, 3600000, ID_CLOCK_BACK, 0, 0},
      {SNOWFLAKE_BORROW, 1, ID_OK, 0, (UINT64_C(10000000) << 22) + 1},
      {SNOWFLAKE_BORROW, 5000, ID_OK, 0, (UINT64_C(10000000) << 22) + 1},
      {SNOWFLAKE_BORROW, 5001, ID_CLOCK_BACK, 0, 0},
      {SNOWFLAKE_BORROW, 3600000, ID_CLOCK_BACK, 0, 0},
      {SNOWFLAKE_ERROR, 1, ID_CLOCK_BACK, 0, 0},
      {SNOWFLAKE_ERROR, 3600000, ID_CLOCK_BACK, 0, 0},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    note("row %d", (int)i);
    snowflake s = make_snowflake(0, rows[i].policy, 5000);
    set_up(TWITTER_EPOCH + 10000000);
    check_snowflake(&s, UINT64_C(10000000) << 22);
    machine_clock.now_ms -= rows[i].back_ms;
    if (rows[i].status == ID_OK) {
      check_snowflake(&s, rows[i].id);
    } else {
      check_no_snowflake(&s, rows[i].status);
      machine_clock.now_ms += rows[i].back_ms;
      check_snowflake(&s, (UINT64_C(10000000) << 22) + 1); /* nothing was lost meanwhile */
    }
    check_int(machine_clock.paused_ms, rows[i].paused_ms);
    tear_down();
  }
}

static volatile sig_atomic_t signals;

static void count_signal(int number) {
  (void)number;
  signals++;
}

/* Otherwise signals would use up the patience, which counts what was paused for. */
static void a_pause_lasts_through_signals(void) {
  static const struct itimerval often = {.it_interval.tv_usec = 1000, .it_value.tv_usec = 1000};
  static const struct itimerval never = {.it_value.tv_usec = 0};
  static const task_clock monotonic = {.is_virtual = false};
  struct sigaction counting = {.sa_handler = count_signal};
  signals = 0;
  sigaction(SIGALRM, &counting, NULL); /* which stays: one more may be on its way */
  setitimer(ITIMER_REAL, &often, NULL);
  int64_t begin_ns = clock_now_ns(&monotonic);
  system_wall_clock.pause(NULL, 50);
  int64_t end_ns = clock_now_ns(&monotonic);
  setitimer(ITIMER_REAL, &never, NULL);
  check(signals > 0);
  check(end_ns - begin_ns >= 50000000);
}

static void a_snowflake_has_69_years(void) {
  snowflake s = make_snowflake(0, SNOWFLAKE_WAIT, 0);
  set_up(TWITTER_EPOCH - 1);
  check_no_snowflake(&s, ID_CLOCK_OUT);
  machine_clock.now_ms = TWITTER_EPOCH + SNOWFLAKE_MAX_MS;
  check_snowflake(&s, (uint64_t)SNOWFLAKE_MAX_MS << 22);
  machine_clock.now_ms++;
  check_no_snowflake(&s, ID_CLOCK_OUT);
  tear_down();
}

static void a_lease_that_has_run_out_makes_no_ids(void) {
  id_generator g = {0};
  id128 id;
  set_up(NOW);
  check_int(id_use_snowflake(&g, source, 5, 0, SNOWFLAKE_WAIT, 100), MACHINE_OK);
  g.leased_until_ns = 0; /* the monotonic clock has passed that */
  check_int(id_next(&g, source, &fake_clock, &id), ID_NOT_LEASED);
  g.leased_until_ns = INT64_MAX - 1;
  check_int(id_next(&g, source, &fake_clock, &id), ID_OK);
  check_hex(id.high >> 12 & 0x3ff, 5);
  give_back_and_tear_down(&g);
}

static void a_lease_runs_out_while_the_machine_is_suspended(void) {
  id_generator g = {0};
  id128 id;
  set_up(NOW);
  check_int(id_use_snowflake(&g, source, 7, 0, SNOWFLAKE_WAIT, 100), MACHINE_OK);
  g.leased_until_ns = clock_boot_ns() + 1000 * NS_PER_SECOND;
  check_int(id_next(&g, source, &fake_clock, &id), ID_OK);
  suspend_machine(1000);
  check_int(id_next(&g, source, &fake_clock, &id), ID_NOT_LEASED);
  give_back_and_tear_down(&g);
}

static void a_lease_runs_out_by_the_virtual_clock_under_that(void) {
  task_clock clock = {.is_virtual = true, .virtual_now_ns = 5};
  id_generator g = {.lease_clock = &clock};
  id128 id;
  set_up(NOW);
  check_int(id_use_snowflake(&g, source, 8, 0, SNOWFLAKE_WAIT, 100), MACHINE_OK);
  g.leased_until_ns = 6;
  check_int(id_next(&g, source, &fake_clock, &id), ID_OK);
  clock.virtual_now_ns = 6;
  check_int(id_next(&g, source, &fake_clock, &id), ID_NOT_LEASED);
  clock.is_virtual = false;
  g.leased_until_ns = clock_boot_ns() + 1000 * NS_PER_SECOND;
  check_int(id_next(&g, source, &fake_clock, &id), ID_OK);
  give_back_and_tear_down(&g);
}

static id_generator *ends_in_pause;

static void pause_beyond_the_lease(void *ud, int64_t ms) {
  test_pause(ud, ms);
  ends_in_pause->leased_until_ns = 0;
}

static void a_lease_that_ends_while_the_clock_is_waited_for_makes_no_id(void) {
  static const wall_clock slow_clock = {
      .now_ms = test_now_ms, .pause = pause_beyond_the_lease, .ud = &machine_clock};
  id_generator g = {0};
  id128 id;
  set_up(NOW);
  check_int(id_use_snowflake(&g, source, 6, 0, SNOWFLAKE_WAIT, 100), MACHINE_OK);
  g.leased_until_ns = INT64_MAX - 1;
  check_int(id_next(&g, source, &slow_clock, &id), ID_OK);
  machine_clock.now_ms -= 10;
  ends_in_pause = &g;
  check_int(id_next(&g, source, &slow_clock, &id), ID_NOT_LEASED);
  check_int(machine_clock.paused_ms, 10);
  give_back_and_tear_down(&g);
}

static void no_id_is_later_than_its_lease_reaches(void) {
  static const snowflake_policy policies[] = {SNOWFLAKE_WAIT, SNOWFLAKE_BORROW, SNOWFLAKE_ERROR};
  for (int i = 0; i < 3; i++) {
    id_generator g = {0};
    id128 id;
    note("policy %d", i);
    set_up(NOW);
    check_int(id_use_snowflake(&g, source, (uint16_t)(40 + i), 1000, policies[i], 100), MACHINE_OK);
    g.leased_to_ms = NOW;
    for (int n = 0; n < 4096; n++) check_int(id_next(&g, source, &fake_clock, &id), ID_OK);
    check_int(id_next(&g, source, &fake_clock, &id), ID_AHEAD_OF_LEASE);
    machine_clock.now_ms = NOW + HOUR;
    check_int(id_next(&g, source, &fake_clock, &id), ID_AHEAD_OF_LEASE);
    check_int(id_last_unix_ms(&g), NOW);
    g.leased_to_ms = NOW + HOUR;
    check_int(id_next(&g, source, &fake_clock, &id), ID_OK);
    check_hex(id.high >> 22, NOW + HOUR - 1000);
    give_back_and_tear_down(&g);
  }
}

static bool take_machine(id_generator *g, uint16_t machine) {
  return id_use_snowflake(g, source, machine, 0, SNOWFLAKE_WAIT, 100) == MACHINE_OK;
}

static void a_machine_id_has_one_user(void) {
  id_generator mine = {0};
  id_generator other = {0};
  set_up(NOW);
  check(take_machine(&mine, 30));
  check(!take_machine(&other, 30));
  check_int(other.kind, ID_RANDOM);
  check(take_machine(&other, 31));
  check(!take_machine(&other, 30)); /* and keeps what it has */
  check(!take_machine(&mine, 31));
  check(take_machine(&mine, 30)); /* its own, with other options */
  id_give_back(&mine, source);
  check(take_machine(&other, 30)); /* and gives the other one back */
  check(take_machine(&mine, 31));
  id_give_back(&other, source);
  give_back_and_tear_down(&mine);
}

static void a_machine_id_that_changes_hands_goes_on(void) {
  id_generator first = {0};
  id_generator second = {0};
  id128 id;
  set_up(NOW);
  check(take_machine(&first, 32));
  check_int(id_next(&first, source, &fake_clock, &id), ID_OK);
  check_hex(id.high, (uint64_t)NOW << 22 | 32 << 12);
  id_give_back(&first, source);
  check(take_machine(&second, 32));
  check_int(id_next(&second, source, &fake_clock, &id), ID_OK);
  check_hex(id.high, (uint64_t)NOW << 22 | 32 << 12 | 1);
  give_back_and_tear_down(&second);
}

static void a_machine_id_that_was_used_elsewhere_goes_on_behind_that(void) {
  id_generator g = {0};
  id128 id;
  set_up(NOW);
  check_int(id_use_snowflake(&g, source, 35, 1000, SNOWFLAKE_BORROW, 100), MACHINE_OK);
  check_int(id_last_unix_ms(&g), NO_SNOWFLAKE);
  snowflake_start_behind(&g.snowflake, NOW + 5);
  check_int(id_next(&g, source, &fake_clock, &id), ID_OK);
  check_hex(id.high, (uint64_t)(NOW + 6 - 1000) << 22 | 35 << 12);
  snowflake_start_behind(&g.snowflake, NOW + 5); /* it is by now */
  check_int(id_next(&g, source, &fake_clock, &id), ID_OK);
  check_hex(id.high, (uint64_t)(NOW + 6 - 1000) << 22 | 35 << 12 | 1);
  snowflake_start_behind(&g.snowflake, NOW + 6);
  check_int(id_next(&g, source, &fake_clock, &id), ID_OK);
  check_hex(id.high, (uint64_t)(NOW + 7 - 1000) << 22 | 35 << 12);
  give_back_and_tear_down(&g);
}

static void what_was_used_before_the_epoch_does_not_count(void) {
  id_generator g = {0};
  id128 id;
  set_up(NOW - 1);
  check_int(id_use_snowflake(&g, source, 36, NOW, SNOWFLAKE_BORROW, 100), MACHINE_OK);
  snowflake_start_behind(&g.snowflake, NOW - 1);
  check_int(id_next(&g, source, &fake_clock, &id), ID_CLOCK_OUT);
  machine_clock.now_ms++;
  check_int(id_next(&g, source, &fake_clock, &id), ID_OK);
  check_hex(id.high, 36 << 12);
  give_back_and_tear_down(&g);
}

static machine_status take_since(id_generator *g, uint16_t machine, int64_t epoch_ms) {
  return id_use_snowflake(g, source, machine, epoch_ms, SNOWFLAKE_WAIT, 100);
}

/* Ids since a later epoch would be smaller than those before. */
static void a_machine_id_keeps_the_epoch_of_its_ids(void) {
  id_generator first = {0};
  id_generator second = {0};
  id128 id;
  set_up(NOW);
  check_int(take_since(&first, 37, 0), MACHINE_OK);
  check_int(take_since(&first, 37, HOUR), MACHINE_OK); /* there are none yet */
  check_int(id_next(&first, source, &fake_clock, &id), ID_OK);
  check_int(take_since(&first, 37, 0), MACHINE_OTHER_EPOCH);
  check_int(id_next(&first, source, &fake_clock, &id), ID_OK);
  check_hex(id.high, (uint64_t)(NOW - HOUR) << 22 | 37 << 12 | 1);
  id_give_back(&first, source);
  check_int(take_since(&second, 37, NOW + HOUR), MACHINE_OTHER_EPOCH);
  check_int(second.kind, ID_RANDOM);
  check_int(take_since(&second, 37, HOUR), MACHINE_OK);
  check_int(id_next(&second, source, &fake_clock, &id), ID_OK);
  check_hex(id.high, (uint64_t)(NOW - HOUR) << 22 | 37 << 12 | 2);
  give_back_and_tear_down(&second);
}

static void a_machine_id_that_was_given_back_makes_no_ids(void) {
  id_generator g = {0};
  id128 id;
  set_up(NOW);
  check(take_machine(&g, 38));
  id_give_back(&g, source);
  check_int(id_next(&g, source, &fake_clock, &id), ID_NOT_LEASED);
  tear_down();
}

static atomic_bool thief_has_begun;
static atomic_bool thief_may_end;

/* Takes what it can get; returns whether it got it. */
static void *steal_machine(void *ud) {
  id_generator g = {0};
  bool *stolen = ud;
  id_source *own = id_source_open();
  do {
    *stolen = id_use_snowflake(&g, own, 39, 0, SNOWFLAKE_WAIT, 100) == MACHINE_OK;
    atomic_store(&thief_has_begun, true);
  } while (!*stolen && !atomic_load(&thief_may_end));
  id_give_back(&g, own);
  id_source_close(own);
  return NULL;
}

static void a_machine_id_that_is_used_again_is_not_free_meanwhile(void) {
  enum { TIMES = 300000 };
  id_generator g = {0};
  pthread_t thief;
  bool stolen = false;
  set_up(NOW);
  check(take_machine(&g, 39));
  check_int(pthread_create(&thief, NULL, steal_machine, &stolen), 0);
  while (!atomic_load(&thief_has_begun)) continue;
  for (int i = 0; i < TIMES; i++) take_machine(&g, 39);
  atomic_store(&thief_may_end, true);
  pthread_join(thief, NULL);
  check(!stolen);
  give_back_and_tear_down(&g);
}

static void a_machine_id_that_is_used_again_goes_on_in_its_millisecond(void) {
  id_generator g = {0};
  id128 before;
  id128 after;
  set_up(NOW);
  check(take_machine(&g, 977));
  check_int(id_next(&g, source, &fake_clock, &before), ID_OK);
  check_int(id_next(&g, source, &fake_clock, &before), ID_OK);
  check(take_machine(&g, 977));
  check_int(id_next(&g, source, &fake_clock, &after), ID_OK);
  check(before.high < after.high);
  give_back_and_tear_down(&g);
}

/*
** What a forked child finds: bit 0: it makes no ids; 1: nor can it take the parent's; 2: another it can;
** 3: it makes no ids either once it has marked the source. */
static int try_in_child(id_generator *g) {
  id128 id;
  pid_t child = fork();
  if (child == 0) {
    id_generator own = {0};
    int found = id_next(g, source, &fake_clock, &id) == ID_FORKED ? 1 : 0;
    id_source_mark(source); /* which does not make the machine id the child's */
    if (id_next(g, source, &fake_clock, &id) == ID_FORKED) found |= 8;
    if (!take_machine(g, 33) && !take_machine(&own, 33)) found |= 2;
    if (take_machine(g, 34) && id_next(g, source, &fake_clock, &id) == ID_OK) found |= 4;
    _exit(found);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

static void a_forked_child_does_not_have_its_parents_machine_id(void) {
  id_generator g = {0};
  id128 id;
  set_up(NOW);
  check(take_machine(&g, 33));
  check_int(id_next(&g, source, &fake_clock, &id), ID_OK);
  check_int(try_in_child(&g), 15);
  check_int(id_next(&g, source, &fake_clock, &id), ID_OK);
  give_back_and_tear_down(&g);
}

static void a_generator_that_is_used_again_goes_on(void) {
  id_generator g = {0};
  id128 before;
  id128 after;
  set_up(NOW);
  id_use_uuid7(&g);
  check_int(id_next(&g, source, &fake_clock, &before), ID_OK);
  id_use_random(&g);
  check_int(id_next(&g, source, &fake_clock, &after), ID_OK);
  id_use_uuid7(&g);
  check_int(id_next(&g, source, &fake_clock, &after), ID_OK);
  check_int(counter_of(after), counter_of(before) + 1);
  tear_down();
}

/* --- the hybrid logical clock --- */

/* TestHLClock of cockroachdb's first version (pkg/util/hlc), whose bound on drift is a second there. */
static void an_hlc_does_what_the_paper_says(void) {
  enum { SEND, RECEIVE };
  static const struct {
    int64_t now;
    int what;
    int64_t remote_physical;
    uint32_t remote_logical;
    int64_t physical;
    uint32_t logical;
  } rows[] = {
      {5, SEND, 0, 0, 5, 0},        {6, SEND, 0, 0, 6, 0},      {10, RECEIVE, 10, 5, 10, 6},
      {7, SEND, 0, 0, 10, 7},       {8, RECEIVE, 10, 4, 10, 8}, {10, RECEIVE, 10, 99, 10, 100},
      {11, RECEIVE, 10, 31, 11, 0}, {11, SEND, 0, 0, 11, 1},
  };
  hlc h = {.max_drift_ms = 1000};
  set_up(0);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    note("row %d", (int)i);
    machine_clock.now_ms = rows[i].now;
    uint64_t remote = (uint64_t)rows[i].remote_physical << 16 | rows[i].remote_logical;
    uint64_t timestamp;
    if (rows[i].what == SEND) {
      check_int(hlc_tick(&h, &fake_clock, &timestamp), ID_OK);
      check_hex(timestamp, (uint64_t)rows[i].physical << 16 | rows[i].logical);
    } else {
      check(hlc_merge(&h, &fake_clock, remote));
    }
    check_int(h.physical_ms, rows[i].physical);
    check_int(h.logical, rows[i].logical);
  }
  tear_down();
}

static void an_absurd_remote_clock_does_not_drag_ours(void) {
  hlc h = {.max_drift_ms = 500};
  set_up(NOW);
  check(hlc_merge(&h, &fake_clock, (uint64_t)(NOW + 500) << 16 | 3));
  check_int(h.physical_ms, NOW + 500);
  check_int(h.logical, 4);
  check(!hlc_merge(&h, &fake_clock, (uint64_t)(NOW + 501) << 16));
  check(!hlc_merge(&h, &fake_clock, UINT64_MAX));
  check_int(h.rejected, 2);
  check(!hlc_believes(&h, &fake_clock, (uint64_t)(NOW + 500) << 16 | 0xffff)); /* it would carry */
  check(hlc_believes(&h, &fake_clock, (uint64_t)(NOW + 500) << 16 | 0xfffe));
  check_int(h.physical_ms, NOW + 500);
  check_int(h.logical, 6); /* the receipts are events of ours */
  tear_down();
}

/* After the machine's clock was set back by more than the drift, our own time comes back to us. */
static void what_an_hlc_has_shown_itself_is_believed(void) {
  hlc h = {.max_drift_ms = 500};
  uint64_t sent, after;
  set_up(NOW);
  check_int(hlc_tick(&h, &fake_clock, &sent), ID_OK);
  machine_clock.now_ms = NOW - 60000;
  check(hlc_believes(&h, &fake_clock, sent));
  check(hlc_merge(&h, &fake_clock, sent));
  check_int(hlc_tick(&h, &fake_clock, &after), ID_OK);
  check(after > sent);
  /* But nobody else's, be it by a logical part alone: that would carry on and on. */
  check(!hlc_believes(&h, &fake_clock, (uint64_t)NOW << 16 | 0xffff));
  check(!hlc_merge(&h, &fake_clock, (uint64_t)NOW << 16 | 0xffff));
  check_int(h.physical_ms, NOW);
  check_int(h.rejected, 1);
  tear_down();
}

static void a_full_logical_part_carries(void) {
  hlc h = {.max_drift_ms = 500, .physical_ms = NOW, .logical = 0xffff};
  uint64_t timestamp;
  set_up(NOW);
  check_int(hlc_tick(&h, &fake_clock, &timestamp), ID_OK);
  check_hex(timestamp, (uint64_t)(NOW + 1) << 16);
  check(hlc_merge(&h, &fake_clock, (uint64_t)(NOW + 1) << 16 | 0xffff));
  check_int(h.physical_ms, NOW + 2);
  check_int(h.logical, 0);
  h.physical_ms = (INT64_C(1) << 48) - 1;
  h.logical = 0xffff;
  check_int(hlc_tick(&h, &fake_clock, &timestamp), ID_CLOCK_OUT);
  tear_down();
}

/*
** Nodes with skewed clocks, which are set back and forward now and then, send each other messages, which get
** lost and overtake each other. Each carries the timestamp of its sending; its receipt must be later in order. Clocks tick at each
** event, as in the paper's model, so that the logical part stays below N * (skew + 1).
*/
static void cause_comes_before_effect_on_any_node(void) {
  enum { NODES = 8, EVENTS = 100000, MESSAGES = 64, SKEW = 20 };
  static hlc nodes[NODES];
  int64_t skews[NODES];
  uint64_t in_flight[MESSAGES];
  int waiting = 0;
  uint32_t most = 0;
  rng r;
  rng_seed(&r, 11);
  set_up(0);
  for (int i = 0; i < NODES; i++) {
    nodes[i] = (hlc){.max_drift_ms = 2 * SKEW};
    skews[i] = i * SKEW / NODES;
  }
  for (int event = 0; event < EVENTS; event++) {
    int n = (int)rng_below(&r, NODES);
    hlc *h = &nodes[n];
    uint64_t before = (uint64_t)h->physical_ms << 16 | h->logical;
    uint64_t after;
    note("event %d on node %d", event, n);
    if (rng_below(&r, 50) == 0) skews[n] = (int64_t)rng_below(&r, SKEW + 1);
    machine_clock.now_ms = NOW + event + skews[n];
    bool receives = waiting > 0 && rng_below(&r, 2) == 0;
    if (receives) {
      int which = (int)rng_below(&r, (uint64_t)waiting);
      uint64_t remote = in_flight[which];
      in_flight[which] = in_flight[--waiting];
      if (rng_below(&r, 10) == 0) continue; /* lost */
      check(hlc_merge(h, &fake_clock, remote));
      after = (uint64_t)h->physical_ms << 16 | h->logical;
      check(remote < after);
    } else {
      check_int(hlc_tick(h, &fake_clock, &after), ID_OK);
      if (waiting < MESSAGES) in_flight[waiting++] = after;
    }
    check(before < after);
    check(h->physical_ms >= machine_clock.now_ms);
    check(h->physical_ms - machine_clock.now_ms <= SKEW);
    if (h->logical > most) most = h->logical;
  }
  check(most > 0);
  check(most < NODES * (SKEW + 1));
  tear_down();
}

static const test tests[] = {
    TEST(uuid7_ids_are_in_order_whatever_the_clock_does),
    TEST(hlc_ids_are_in_order_whatever_the_clock_does),
    TEST(snowflake_ids_are_in_order_whatever_the_clock_does),
    TEST(random_ids_differ),
    TEST(an_id_is_stored_with_its_highest_byte_first),
    TEST(the_lower_half_is_random),
    TEST(a_uuid7_has_the_fields_of_rfc_9562),
    TEST(uuid7s_of_one_millisecond_count),
    TEST(a_full_uuid7_counter_goes_on_in_the_next_millisecond),
    TEST(a_uuid7_ends_with_its_48_bits),
    TEST(a_snowflake_is_twitters),
    TEST(a_snowflake_has_milliseconds_machine_and_sequence),
    TEST(a_full_millisecond_waits_for_the_next),
    TEST(a_full_millisecond_borrows_from_the_next),
    TEST(a_clock_that_stands_still_is_not_waited_for_for_ever),
    TEST(a_clock_set_back_is_ridden_out_as_the_policy_says),
    TEST(a_snowflake_has_69_years),
    TEST(a_pause_lasts_through_signals),
    TEST(a_lease_that_has_run_out_makes_no_ids),
    TEST(a_lease_runs_out_while_the_machine_is_suspended),
    TEST(a_lease_runs_out_by_the_virtual_clock_under_that),
    TEST(a_lease_that_ends_while_the_clock_is_waited_for_makes_no_id),
    TEST(no_id_is_later_than_its_lease_reaches),
    TEST(a_machine_id_has_one_user),
    TEST(a_machine_id_that_changes_hands_goes_on),
    TEST(a_machine_id_that_was_used_elsewhere_goes_on_behind_that),
    TEST(what_was_used_before_the_epoch_does_not_count),
    TEST(a_machine_id_keeps_the_epoch_of_its_ids),
    TEST(a_machine_id_that_was_given_back_makes_no_ids),
    TEST(a_machine_id_that_is_used_again_is_not_free_meanwhile),
    TEST(a_machine_id_that_is_used_again_goes_on_in_its_millisecond),
    TEST(a_forked_child_does_not_have_its_parents_machine_id),
    TEST(a_generator_that_is_used_again_goes_on),
    TEST(an_hlc_does_what_the_paper_says),
    TEST(what_an_hlc_has_shown_itself_is_believed),
    TEST(an_absurd_remote_clock_does_not_drag_ours),
    TEST(a_full_logical_part_carries),
    TEST(cause_comes_before_effect_on_any_node),
};

SUITE(id);
