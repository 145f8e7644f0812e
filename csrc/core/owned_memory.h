/*
** An allocator on top of the host's that keeps its blocks in a list and can free all of them at
** once. The runtime frees its memory so when it ends, also blocks whose users were never told to
** free them.
*/
#ifndef CP_CORE_OWNED_MEMORY_H
#define CP_CORE_OWNED_MEMORY_H

#include <stdbool.h>

#include "core/base.h"
#include "core/list.h"

#pragma GCC visibility push(hidden)

typedef struct owned_memory {
  allocator host;
  list blocks;
  bool freed; /* nothing is allocated any more, and to free a block does nothing */
} owned_memory;

void owned_memory_init(owned_memory *memory, allocator host);

/* Returns the allocator. `memory` must outlive its use and stay at its address. */
allocator owned_memory_allocator(owned_memory *memory);

/* Frees every block. The allocator gives no memory afterwards. */
void owned_memory_free_all(owned_memory *memory);

#pragma GCC visibility pop

#endif
