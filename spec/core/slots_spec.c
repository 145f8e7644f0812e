#include "core/slots.h"

#include "harness.h"
#include "memory.h"

enum { MANY = 1000 };

typedef struct fixture {
  test_memory memory;
  slot_table slots;
} fixture;

static char objects[MANY][16];

static void set_up(fixture *f) {
  test_memory_init(&f->memory);
  slots_init(&f->slots);
}

static void tear_down(fixture *f) {
  mem_free(&f->memory.allocator, f->slots.at, f->slots.capacity * sizeof(slot_entry));
  mem_free(&f->memory.allocator, f->slots.buckets, f->slots.capacity * sizeof(uint32_t));
  check_int(f->memory.bytes, 0);
  check_int(f->memory.mismatches, 0);
}

static uint32_t add(fixture *f, void *address) {
  uint32_t number = slots_reserve(&f->slots, &f->memory.allocator);
  if (number != 0) slots_add(&f->slots, address);
  return number;
}

static void an_empty_one_finds_nothing(void) {
  fixture f;
  set_up(&f);
  check_int(slots_find(&f.slots, objects[0]), 0);
  tear_down(&f);
}

static void the_numbers_count_from_1_and_each_address_is_found_by_its_own(void) {
  fixture f;
  set_up(&f);
  for (uint32_t i = 0; i < MANY; i++) {
    note("object %u", i);
    check_int(add(&f, objects[i]), i + 1);
  }
  for (uint32_t i = 0; i < MANY; i++) {
    note("object %u", i);
    check_int(slots_find(&f.slots, objects[i]), i + 1);
    check_pointer(f.slots.at[i + 1].address, objects[i]);
  }
  check_int(slots_find(&f.slots, &f), 0);
  tear_down(&f);
}

static void a_reserved_slot_that_is_not_used_is_reserved_again(void) {
  fixture f;
  set_up(&f);
  check_int(slots_reserve(&f.slots, &f.memory.allocator), 1);
  check_int(slots_reserve(&f.slots, &f.memory.allocator), 1);
  check_int(add(&f, objects[0]), 1);
  tear_down(&f);
}

static void freed_slots_are_used_again_the_last_one_first(void) {
  fixture f;
  set_up(&f);
  for (uint32_t i = 0; i < MANY; i++) add(&f, objects[i]);
  slots_remove(&f.slots, 3);
  slots_remove(&f.slots, 7);
  check_int(slots_find(&f.slots, objects[2]), 0);
  check_int(slots_find(&f.slots, objects[6]), 0);
  check_int(add(&f, objects[2]), 7);
  check_int(add(&f, objects[6]), 3);
  check_int(slots_find(&f.slots, objects[2]), 7);
  check_int(slots_find(&f.slots, objects[6]), 3);
  check_int(slots_reserve(&f.slots, &f.memory.allocator), MANY + 1);
  tear_down(&f);
}

static void removing_leaves_the_others(void) {
  fixture f;
  set_up(&f);
  for (uint32_t i = 0; i < MANY; i++) add(&f, objects[i]);
  for (uint32_t i = 0; i < MANY; i += 2) slots_remove(&f.slots, i + 1);
  for (uint32_t i = 0; i < MANY; i++) {
    note("object %u", i);
    check_int(slots_find(&f.slots, objects[i]), i % 2 == 0 ? 0 : i + 1);
  }
  tear_down(&f);
}

static void a_list_of_the_owners_outlives_the_growth(void) {
  fixture f;
  set_up(&f);
  uint32_t head = 0;
  for (uint32_t i = 0; i < MANY; i++) {
    uint32_t number = add(&f, objects[i]);
    f.slots.at[number].next = head;
    head = number;
  }
  for (uint32_t i = MANY; i > 0; i--) {
    check_int(head, i);
    head = f.slots.at[head].next;
  }
  check_int(head, 0);
  tear_down(&f);
}

static void without_memory_nothing_changes(void) {
  fixture f;
  set_up(&f);
  f.memory.fail_after = 0;
  check_int(slots_reserve(&f.slots, &f.memory.allocator), 0);
  f.memory.fail_after = -1;
  uint32_t count = 0;
  while (f.slots.count < 16) add(&f, objects[count++]);
  for (int64_t good = 0; good < 2; good++) {
    f.memory.fail_after = good;
    check_int(slots_reserve(&f.slots, &f.memory.allocator), 0);
    check_int(slots_find(&f.slots, objects[0]), 1);
  }
  f.memory.fail_after = -1;
  check_int(add(&f, objects[count]), count + 1);
  check_int(slots_find(&f.slots, objects[0]), 1);
  tear_down(&f);
}

static const test tests[] = {
    TEST(an_empty_one_finds_nothing),
    TEST(the_numbers_count_from_1_and_each_address_is_found_by_its_own),
    TEST(a_reserved_slot_that_is_not_used_is_reserved_again),
    TEST(freed_slots_are_used_again_the_last_one_first),
    TEST(removing_leaves_the_others),
    TEST(a_list_of_the_owners_outlives_the_growth),
    TEST(without_memory_nothing_changes),
};

SUITE(slots);
