#include "memory.h"

#include <stdlib.h>
#include <string.h>

/* Before each block, its size: what the caller says of it later can then be checked. */
#define HEADER 16

static size_t size_of(const char *block) {
  size_t size;
  memcpy(&size, block - HEADER, sizeof size);
  return size;
}

static void release(test_memory *memory, char *block) {
  memory->bytes -= size_of(block);
  free(block - HEADER);
}

static char *obtain(test_memory *memory, size_t size) {
  if (memory->fail_after == 0) return NULL;
  if (memory->fail_after > 0) memory->fail_after--;
  char *start = malloc(HEADER + size);
  if (start == NULL) return NULL;
  memcpy(start, &size, sizeof size);
  memory->bytes += size;
  return start + HEADER;
}

/* Always moves a block that is resized, so that stale pointers show under the sanitizers. */
static void *allocate(void *ud, void *pointer, size_t old_size, size_t new_size) {
  test_memory *memory = ud;
  char *old = pointer;
  if (old != NULL && size_of(old) != old_size) memory->mismatches++;
  char *block = NULL;
  if (new_size > 0) {
    block = obtain(memory, new_size);
    if (block == NULL) return NULL;
    if (old != NULL) memcpy(block, old, old_size < new_size ? old_size : new_size);
  }
  if (old != NULL) release(memory, old);
  return block;
}

void test_memory_init(test_memory *memory) {
  *memory = (test_memory){.allocator = {allocate, memory}, .fail_after = -1};
}
