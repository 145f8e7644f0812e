/*
** An allocator for tests: counts what is out, checks the sizes it is told, fails when asked to.
*/
#ifndef SPEC_CORE_MEMORY_H
#define SPEC_CORE_MEMORY_H

#include "core/base.h"

typedef struct test_memory {
  allocator allocator; /* pass &memory.allocator */
  size_t bytes;        /* allocated and not freed */
  int64_t fail_after;  /* that many allocations succeed before one fails; < 0: none fails */
  int mismatches;      /* of an old size with what was allocated */
} test_memory;

void test_memory_init(test_memory *memory);

#endif
