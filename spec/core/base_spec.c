#include "core/base.h"

#include "harness.h"
#include "memory.h"

typedef struct pair {
  int first;
  int second;
} pair;

static void container_of_finds_the_struct_of_a_member(void) {
  pair p = {1, 2};
  check_pointer(container_of(&p.second, pair, second), &p);
  check_pointer(container_of(&p.first, pair, first), &p);
}

static void memory_is_allocated_resized_and_freed_by_the_host(void) {
  test_memory memory;
  test_memory_init(&memory);
  char *bytes = mem_new(&memory.allocator, 10);
  check_int(memory.bytes, 10);
  bytes[9] = 'x';
  bytes = mem_resize(&memory.allocator, bytes, 10, 20);
  check_int(memory.bytes, 20);
  check_int(bytes[9], 'x');
  mem_free(&memory.allocator, bytes, 20);
  check_int(memory.bytes, 0);
  check_int(memory.mismatches, 0);
}

static void a_refused_resize_leaves_the_block_alone(void) {
  test_memory memory;
  test_memory_init(&memory);
  char *bytes = mem_new(&memory.allocator, 10);
  bytes[0] = 'x';
  memory.fail_after = 0;
  check_pointer(mem_resize(&memory.allocator, bytes, 10, 20), NULL);
  check_int(bytes[0], 'x');
  mem_free(&memory.allocator, bytes, 10);
  check_int(memory.bytes, 0);
}

static void *note_call(void *ud, void *pointer, size_t old_size, size_t new_size) {
  (void)pointer;
  (void)old_size;
  (void)new_size;
  *(bool *)ud = true;
  return NULL;
}

static void freeing_nothing_does_not_ask_the_host(void) {
  bool called = false;
  allocator a = {note_call, &called};
  mem_free(&a, NULL, 0);
  check(!called);
  mem_free(&a, &called, sizeof called);
  check(called);
}

static const test tests[] = {
    TEST(container_of_finds_the_struct_of_a_member),
    TEST(memory_is_allocated_resized_and_freed_by_the_host),
    TEST(a_refused_resize_leaves_the_block_alone),
    TEST(freeing_nothing_does_not_ask_the_host),
};

SUITE(base);
