#include "core/timer.h"

#include <stdlib.h>

#include "core/random.h"
#include "harness.h"
#include "memory.h"

static test_memory memory;
static timer_heap heap;
static timer a, b, c;

static void set_up(void) {
  test_memory_init(&memory);
  timer_heap_init(&heap, &memory.allocator);
  a.number = b.number = c.number = TIMER_IDLE;
}

static void tear_down(void) {
  timer_heap_free(&heap);
  check_int(memory.bytes, 0);
  check_int(memory.mismatches, 0);
}

static void an_empty_heap_has_nothing_due_and_no_memory(void) {
  set_up();
  check_int(timer_heap_next_deadline(&heap), TIME_FOREVER);
  check_pointer(timer_heap_take_due(&heap, INT64_MAX), NULL);
  check_int(memory.bytes, 0);
  tear_down();
}

static void a_timer_is_due_at_its_deadline_and_not_before(void) {
  set_up();
  check(timer_heap_add(&heap, &a, 10));
  check_int(timer_heap_next_deadline(&heap), 10);
  check_pointer(timer_heap_take_due(&heap, 9), NULL);
  check_pointer(timer_heap_take_due(&heap, 10), &a);
  check_pointer(timer_heap_take_due(&heap, 10), NULL);
  check_int(timer_heap_next_deadline(&heap), TIME_FOREVER);
  tear_down();
}

static void the_earliest_timer_comes_first(void) {
  set_up();
  timer_heap_add(&heap, &a, 30);
  timer_heap_add(&heap, &b, 10);
  timer_heap_add(&heap, &c, 20);
  check_pointer(timer_heap_take_due(&heap, 100), &b);
  check_pointer(timer_heap_take_due(&heap, 100), &c);
  check_pointer(timer_heap_take_due(&heap, 100), &a);
  tear_down();
}

static void timers_of_one_deadline_fire_in_the_order_of_their_adding(void) {
  enum { COUNT = 1000 };
  static timer timers[COUNT];
  set_up();
  for (int i = 0; i < COUNT; i++) {
    timers[i].number = TIMER_IDLE;
    check(timer_heap_add(&heap, &timers[i], 5));
  }
  for (int i = 0; i < COUNT; i++) check_pointer(timer_heap_take_due(&heap, 5), &timers[i]);
  tear_down();
}

static void a_timer_that_is_added_again_queues_behind_its_equals(void) {
  set_up();
  timer_heap_add(&heap, &a, 5);
  timer_heap_add(&heap, &b, 5);
  timer_heap_remove(&heap, &a);
  timer_heap_add(&heap, &a, 5);
  check_pointer(timer_heap_take_due(&heap, 5), &b);
  check_pointer(timer_heap_take_due(&heap, 5), &a);
  tear_down();
}

static void a_removed_timer_is_idle_and_never_fires(void) {
  set_up();
  timer_heap_add(&heap, &a, 1);
  timer_heap_add(&heap, &b, 2);
  timer_heap_remove(&heap, &a);
  check_hex(a.number, TIMER_IDLE);
  check_pointer(timer_heap_take_due(&heap, 10), &b);
  check_hex(b.number, TIMER_IDLE);
  check_pointer(timer_heap_take_due(&heap, 10), NULL);
  tear_down();
}

static void removing_an_idle_timer_is_harmless(void) {
  set_up();
  timer_heap_add(&heap, &a, 1);
  timer_heap_remove(&heap, &b);
  check_int(heap.count, 1);
  check_pointer(timer_heap_take_due(&heap, 1), &a);
  timer_heap_remove(&heap, &a);
  check_int(heap.count, 0);
  tear_down();
}

static void a_timer_knows_its_deadline(void) {
  set_up();
  timer_heap_add(&heap, &a, 30);
  timer_heap_add(&heap, &b, 10);
  check_int(timer_heap_deadline_of(&heap, &a), 30);
  check_int(timer_heap_deadline_of(&heap, &b), 10);
  tear_down();
}

static void deadlines_may_be_anywhere_in_time(void) {
  set_up();
  timer_heap_add(&heap, &a, TIME_FOREVER);
  timer_heap_add(&heap, &b, INT64_MIN);
  timer_heap_add(&heap, &c, 0);
  check_pointer(timer_heap_take_due(&heap, INT64_MIN), &b);
  check_pointer(timer_heap_take_due(&heap, TIME_FOREVER - 1), &c);
  check_pointer(timer_heap_take_due(&heap, TIME_FOREVER - 1), NULL);
  check_int(timer_heap_next_deadline(&heap), TIME_FOREVER);
  tear_down();
}

static void a_freed_heap_may_be_used_again(void) {
  set_up();
  timer_heap_add(&heap, &a, 1);
  timer_heap_free(&heap);
  check_int(memory.bytes, 0);
  check(timer_heap_add(&heap, &b, 2));
  check_int(timer_heap_next_deadline(&heap), 2);
  tear_down();
}

/* Adds timers until the n-th allocation failed: it must say so, and lose none of those before. */
static void check_failing_allocation(int64_t succeeding) {
  enum { COUNT = 200 };
  static timer timers[COUNT];
  int added = 0;
  set_up();
  memory.fail_after = succeeding;
  for (int i = 0; i < COUNT; i++) timers[i].number = TIMER_IDLE;
  while (added < COUNT && timer_heap_add(&heap, &timers[added], COUNT - added)) added++;
  check(added < COUNT);
  check_hex(timers[added].number, TIMER_IDLE);
  check_int(heap.count, added);
  memory.fail_after = -1;
  check(timer_heap_add(&heap, &timers[added], COUNT - added));
  for (int i = added; i >= 0; i--) check_pointer(timer_heap_take_due(&heap, COUNT), &timers[i]);
  check_pointer(timer_heap_take_due(&heap, COUNT), NULL);
  tear_down();
}

static void nothing_is_lost_when_there_is_no_memory(void) {
  for (int64_t succeeding = 0; succeeding < 4; succeeding++) {
    note("after %d allocations", (int)succeeding);
    check_failing_allocation(succeeding);
  }
}

/*
** The model: the same timers in a list that is kept sorted, equals in the order of their adding.
*/
enum { MODEL_TIMERS = 60, MODEL_SEEDS = 300, MODEL_STEPS = 400 };

typedef struct model_entry {
  int64_t deadline_ns;
  timer *timer;
} model_entry;

static timer model_timers[MODEL_TIMERS];
static model_entry model[MODEL_TIMERS];
static int model_count;

static int model_find(const timer *t) {
  int i = 0;
  while (i < model_count && model[i].timer != t) i++;
  return i;
}

static void model_add(timer *t, int64_t deadline_ns) {
  int i = model_count++;
  for (; i > 0 && model[i - 1].deadline_ns > deadline_ns; i--) model[i] = model[i - 1];
  model[i] = (model_entry){deadline_ns, t};
}

static void model_remove(const timer *t) {
  int i = model_find(t);
  if (i == model_count) return;
  model_count--;
  for (; i < model_count; i++) model[i] = model[i + 1];
}

static timer *model_take_due(int64_t now_ns) {
  if (model_count == 0 || model[0].deadline_ns > now_ns) return NULL;
  timer *t = model[0].timer;
  model_remove(t);
  return t;
}

static void check_against_model(void) {
  check_int(heap.count, model_count);
  check_int(timer_heap_next_deadline(&heap), model_count > 0 ? model[0].deadline_ns : TIME_FOREVER);
  for (int i = 0; i < model_count; i++) {
    check(model[i].timer->number < heap.capacity);
    check_int(timer_heap_deadline_of(&heap, model[i].timer), model[i].deadline_ns);
  }
  for (int i = 0; i < MODEL_TIMERS; i++) {
    bool is_idle = model_timers[i].number == TIMER_IDLE;
    check_int(is_idle, model_find(&model_timers[i]) == model_count);
  }
}

/* Deadlines from a small range, so that many are equal. */
static void take_model_step(rng *r) {
  timer *t = &model_timers[rng_below(r, MODEL_TIMERS)];
  int64_t time_ns = (int64_t)rng_below(r, 25);
  uint64_t choice = rng_below(r, 10);
  if (choice < 6 && t->number == TIMER_IDLE) {
    check(timer_heap_add(&heap, t, time_ns));
    model_add(t, time_ns);
  } else if (choice < 8) {
    timer_heap_remove(&heap, t);
    model_remove(t);
  } else {
    check_pointer(timer_heap_take_due(&heap, time_ns), model_take_due(time_ns));
  }
}

static void any_sequence_of_calls_does_what_a_sorted_list_does(void) {
  for (uint64_t seed = 0; seed < MODEL_SEEDS; seed++) {
    rng r;
    rng_seed(&r, seed);
    set_up();
    model_count = 0;
    for (int i = 0; i < MODEL_TIMERS; i++) model_timers[i].number = TIMER_IDLE;
    for (int step = 0; step < MODEL_STEPS; step++) {
      note("seed %d, step %d", (int)seed, step);
      take_model_step(&r);
      check_against_model();
    }
    tear_down();
  }
}

static void a_million_timers_fire_in_order(void) {
  enum { COUNT = 1000000 };
  timer *timers = malloc(COUNT * sizeof *timers);
  rng r;
  rng_seed(&r, 1);
  set_up();
  for (int i = 0; i < COUNT; i++) {
    timers[i].number = TIMER_IDLE;
    check(timer_heap_add(&heap, &timers[i], (int64_t)rng_below(&r, COUNT)));
  }
  for (int i = 0; i < COUNT; i += 2) timer_heap_remove(&heap, &timers[i]);
  int64_t last = 0;
  for (int taken = 0; taken < COUNT / 2; taken++) {
    int64_t next = timer_heap_next_deadline(&heap);
    timer *t = timer_heap_take_due(&heap, next);
    check(next >= last);
    check((t - timers) % 2 == 1);
    last = next;
  }
  check_int(heap.count, 0);
  tear_down();
  free(timers);
}

static const test tests[] = {
    TEST(an_empty_heap_has_nothing_due_and_no_memory),
    TEST(a_timer_is_due_at_its_deadline_and_not_before),
    TEST(the_earliest_timer_comes_first),
    TEST(timers_of_one_deadline_fire_in_the_order_of_their_adding),
    TEST(a_timer_that_is_added_again_queues_behind_its_equals),
    TEST(a_removed_timer_is_idle_and_never_fires),
    TEST(removing_an_idle_timer_is_harmless),
    TEST(a_timer_knows_its_deadline),
    TEST(deadlines_may_be_anywhere_in_time),
    TEST(a_freed_heap_may_be_used_again),
    TEST(nothing_is_lost_when_there_is_no_memory),
    TEST(any_sequence_of_calls_does_what_a_sorted_list_does),
    TEST(a_million_timers_fire_in_order),
};

SUITE(timer);
