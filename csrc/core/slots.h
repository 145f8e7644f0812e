/*
** Numbered slots, from 1, for addresses that come and go: each address has a slot, by which other
** tables are indexed, and the slot is found by the address. Freed slots are used again, so that the
** numbers stay as few as the addresses that were there at once.
*/
#ifndef CP_CORE_SLOTS_H
#define CP_CORE_SLOTS_H

#include "core/base.h"

#pragma GCC visibility push(hidden)

typedef struct slot_entry {
  void *address;           /* NULL: the slot is free */
  uint32_t next_in_bucket; /* 0: it is the last */
  /* the next free slot, or, of a slot in use, one of a list of its owner's; 0: none */
  uint32_t next;
} slot_entry;

typedef struct slot_table {
  slot_entry *at;    /* the first is not used, because 0 stands for none */
  uint32_t *buckets; /* a slot each; by the hash of the address */
  uint32_t capacity; /* of both; a power of two, or 0 */
  uint32_t count;    /* slots that were ever used, plus one */
  uint32_t free;     /* the first free one */
} slot_table;

/* Begins with no slots and no memory. */
void slots_init(slot_table *s);

/*
** Makes sure that there is memory for one more address. Returns the slot that slots_add will give
** it; 0: there is no memory.
*/
uint32_t slots_reserve(slot_table *s, const allocator *memory);

/* Gives the address, which has none, the reserved slot. */
void slots_add(slot_table *s, void *address);

/* Frees the slot. */
void slots_remove(slot_table *s, uint32_t number);

/* Returns the slot of the address; 0: it has none. */
uint32_t slots_find(const slot_table *s, const void *address);

#pragma GCC visibility pop

#endif
