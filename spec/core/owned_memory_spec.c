#include "core/owned_memory.h"

#include <string.h>

#include "harness.h"
#include "memory.h"

static test_memory host;
static owned_memory owned;
static allocator memory;

static void set_up(void) {
  test_memory_init(&host);
  owned_memory_init(&owned, host.allocator);
  memory = owned_memory_allocator(&owned);
}

static void all_that_was_not_freed_is_freed_at_once(void) {
  set_up();
  char *a = mem_new(&memory, 10);
  char *b = mem_new(&memory, 20);
  char *c = mem_new(&memory, 30);
  memset(a, 'a', 10);
  memset(c, 'c', 30);
  mem_free(&memory, b, 20);
  check(host.bytes >= 40);
  owned_memory_free_all(&owned);
  check_int(host.bytes, 0);
  check_int(host.mismatches, 0);
}

static void a_block_that_grows_keeps_what_is_in_it_and_its_place_among_the_others(void) {
  set_up();
  char *before = mem_new(&memory, 8);
  char *block = mem_new(&memory, 4);
  memcpy(block, "abc", 4);
  block = mem_resize(&memory, block, 4, 4000);
  check(block != NULL);
  check_text(block, 3, "abc");
  mem_free(&memory, before, 8);
  owned_memory_free_all(&owned);
  check_int(host.bytes, 0);
  check_int(host.mismatches, 0);
}

static void where_the_host_has_no_memory_nothing_changes(void) {
  set_up();
  char *block = mem_new(&memory, 4);
  memcpy(block, "abc", 4);
  host.fail_after = 0;
  check_pointer(mem_new(&memory, 10), NULL);
  host.fail_after = 0;
  check_pointer(mem_resize(&memory, block, 4, 100), NULL);
  check_text(block, 3, "abc");
  check_pointer(mem_new(&memory, SIZE_MAX - 8), NULL);
  owned_memory_free_all(&owned);
  check_int(host.bytes, 0);
}

static void after_the_end_there_is_no_memory_and_freeing_does_nothing(void) {
  set_up();
  char *block = mem_new(&memory, 4);
  owned_memory_free_all(&owned);
  mem_free(&memory, block, 4);
  check_pointer(mem_new(&memory, 4), NULL);
  check_int(host.bytes, 0);
}

static void blocks_are_aligned_for_everything(void) {
  set_up();
  for (size_t size = 1; size < 40; size++) {
    check_int((uintptr_t)mem_new(&memory, size) % _Alignof(max_align_t), 0);
  }
  owned_memory_free_all(&owned);
}

static const test tests[] = {
    TEST(all_that_was_not_freed_is_freed_at_once),
    TEST(a_block_that_grows_keeps_what_is_in_it_and_its_place_among_the_others),
    TEST(where_the_host_has_no_memory_nothing_changes),
    TEST(after_the_end_there_is_no_memory_and_freeing_does_nothing),
    TEST(blocks_are_aligned_for_everything),
};

SUITE(owned_memory);
