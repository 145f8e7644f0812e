#include "core/owned_memory.h"

#include <stdalign.h>

/* Stands in front of each block. Its size is a multiple of the strictest alignment. */
typedef struct header {
  alignas(max_align_t) list link;
  size_t size; /* of the block with its header */
} header;

static header *header_of(void *block) { return (header *)block - 1; }

static void *host_resize(const owned_memory *memory, void *pointer, size_t old_size,
                         size_t new_size) {
  return memory->host.fn(memory->host.ud, pointer, old_size, new_size);
}

static void *keep(owned_memory *memory, header *h, size_t size) {
  h->size = size;
  list_init(&h->link);
  list_append(&memory->blocks, &h->link);
  return h + 1;
}

static void free_block(owned_memory *memory, header *h) {
  list_remove(&h->link);
  (void)host_resize(memory, h, h->size, 0);
}

/* Contract: allocator, in base.h. */
static void *allocate(void *ud, void *pointer, size_t old_size, size_t new_size) {
  owned_memory *memory = ud;
  (void)old_size;
  if (memory->freed) return NULL;
  header *h = pointer == NULL ? NULL : header_of(pointer);
  if (new_size == 0) {
    if (h != NULL) free_block(memory, h);
    return NULL;
  }
  if (new_size > SIZE_MAX - sizeof(header)) return NULL;
  size_t size = sizeof(header) + new_size;
  size_t before = h == NULL ? 0 : h->size;
  if (h != NULL) list_remove(&h->link);
  header *moved = host_resize(memory, h, before, size);
  if (moved != NULL) return keep(memory, moved, size);
  if (h != NULL) list_append(&memory->blocks, &h->link);
  return NULL;
}

void owned_memory_init(owned_memory *memory, allocator host) {
  *memory = (owned_memory){.host = host};
  list_init(&memory->blocks);
}

allocator owned_memory_allocator(owned_memory *memory) {
  return (allocator){.fn = allocate, .ud = memory};
}

void owned_memory_free_all(owned_memory *memory) {
  while (!list_empty(&memory->blocks)) {
    free_block(memory, container_of(memory->blocks.next, header, link));
  }
  memory->freed = true;
}
