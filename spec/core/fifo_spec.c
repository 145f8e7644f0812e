#include "core/fifo.h"

#include "harness.h"
#include "memory.h"

enum { LETTERS = 26 };

static test_memory memory;
static fifo queue;
static char letters[LETTERS + 1] = "abcdefghijklmnopqrstuvwxyz";

static void set_up(size_t room) {
  test_memory_init(&memory);
  queue = (fifo){0};
  check(fifo_reserve(&queue, &memory.allocator, room));
}

static void tear_down(void) {
  mem_free(&memory.allocator, queue.elements, queue.capacity * sizeof(void *));
  check_int(memory.bytes, 0);
  check_int(memory.mismatches, 0);
}

static void add(const char *names) {
  for (; *names != '\0'; names++) fifo_add(&queue, &letters[*names - 'a']);
}

static char name_of(const void *element) { return *(const char *)element; }

static void check_ring(const char *expected) {
  char names[LETTERS];
  size_t count = fifo_count(&queue);
  for (size_t i = 0; i < count; i++) names[i] = name_of(fifo_at(&queue, i));
  check_text(names, count, expected);
}

/* Moves the front on, so that what is added then goes round the end of the array. */
static void turn_to(size_t position) {
  while ((queue.taken & (queue.capacity - 1)) != position) {
    fifo_add(&queue, letters);
    fifo_take(&queue);
  }
}

static void a_queue_without_room_is_empty_and_owns_no_memory(void) {
  set_up(0);
  check_int(fifo_count(&queue), 0);
  check(!fifo_remove(&queue, letters));
  check_int(memory.bytes, 0);
  tear_down();
}

static void elements_come_out_in_the_order_in_which_they_were_added(void) {
  set_up(3);
  add("abc");
  check_int(name_of(fifo_take(&queue)), 'a');
  add("d");
  check_int(name_of(fifo_take(&queue)), 'b');
  check_int(name_of(fifo_take(&queue)), 'c');
  check_int(name_of(fifo_take(&queue)), 'd');
  check_int(fifo_count(&queue), 0);
  tear_down();
}

static void the_order_holds_wherever_the_array_ends(void) {
  set_up(LETTERS);
  for (size_t position = 0; position < queue.capacity; position++) {
    note("front at %zu", position);
    turn_to(position);
    add(letters);
    check_ring(letters);
    for (int i = 0; i < LETTERS; i++) check_int(name_of(fifo_take(&queue)), letters[i]);
  }
  tear_down();
}

static void the_order_holds_when_the_counts_overflow(void) {
  set_up(5);
  queue.taken = queue.added = SIZE_MAX - 1;
  add("abcde");
  check_ring("abcde");
  check(fifo_remove(&queue, &letters[1]));
  check(fifo_reserve(&queue, &memory.allocator, queue.capacity + 1));
  check_ring("acde");
  check_int(name_of(fifo_take_at(&queue, 2)), 'd');
  check_ring("ace");
  tear_down();
}

static void a_queue_that_grows_keeps_its_elements_in_order(void) {
  set_up(LETTERS);
  size_t before = queue.capacity;
  turn_to(before - 3);
  add("abcdef");
  check(fifo_reserve(&queue, &memory.allocator, before + 1));
  check(queue.capacity > before);
  check_ring("abcdef");
  tear_down();
}

static void there_is_as_much_room_as_was_reserved(void) {
  enum { ROOM = 1000 };
  set_up(ROOM);
  for (int i = 0; i < ROOM; i++) fifo_add(&queue, &letters[i % LETTERS]);
  for (int i = 0; i < ROOM; i++) check_pointer(fifo_take(&queue), &letters[i % LETTERS]);
  tear_down();
}

static void to_reserve_less_than_there_is_changes_nothing(void) {
  set_up(100);
  size_t bytes = memory.bytes;
  check(fifo_reserve(&queue, &memory.allocator, 3));
  check_int(memory.bytes, bytes);
  tear_down();
}

static void where_there_is_no_memory_to_grow_nothing_changes(void) {
  set_up(LETTERS);
  add("abc");
  memory.fail_after = 0;
  check(!fifo_reserve(&queue, &memory.allocator, 1000));
  check_ring("abc");
  check(!fifo_reserve(&queue, &memory.allocator, SIZE_MAX));
  check_ring("abc");
  tear_down();
}

static void an_element_is_taken_from_any_place(void) {
  static const char *const rest[] = {"bcdef", "acdef", "abdef", "abcef", "abcdf", "abcde"};
  for (size_t position = 0; position < 64; position++) {
    for (size_t i = 0; i < 6; i++) {
      note("%zu of a queue with its front at %zu", i, position);
      set_up(6);
      turn_to(position);
      add("abcdef");
      check_int(name_of(fifo_take_at(&queue, i)), letters[i]);
      check_ring(rest[i]);
      tear_down();
    }
  }
}

static void an_element_is_removed_from_any_place(void) {
  static const char *const rest[] = {"bcde", "acde", "abde", "abce", "abcd"};
  for (size_t i = 0; i < 5; i++) {
    note("%zu", i);
    set_up(5);
    add("abcde");
    check(fifo_remove(&queue, &letters[i]));
    check(!fifo_remove(&queue, &letters[i]));
    check_ring(rest[i]);
    add("z");
    check_int(name_of(fifo_at(&queue, 4)), 'z');
    tear_down();
  }
}

static void all_elements_are_removed_from_the_front_and_from_the_end(void) {
  set_up(LETTERS);
  add(letters);
  for (int i = 0; i < LETTERS / 2; i++) check(fifo_remove(&queue, &letters[i]));
  for (int i = LETTERS - 1; i >= LETTERS / 2; i--) check(fifo_remove(&queue, &letters[i]));
  check_int(fifo_count(&queue), 0);
  tear_down();
}

static const test tests[] = {
    TEST(a_queue_without_room_is_empty_and_owns_no_memory),
    TEST(elements_come_out_in_the_order_in_which_they_were_added),
    TEST(the_order_holds_wherever_the_array_ends),
    TEST(the_order_holds_when_the_counts_overflow),
    TEST(a_queue_that_grows_keeps_its_elements_in_order),
    TEST(there_is_as_much_room_as_was_reserved),
    TEST(to_reserve_less_than_there_is_changes_nothing),
    TEST(where_there_is_no_memory_to_grow_nothing_changes),
    TEST(an_element_is_taken_from_any_place),
    TEST(an_element_is_removed_from_any_place),
    TEST(all_elements_are_removed_from_the_front_and_from_the_end),
};

SUITE(fifo);
