/*
** A table of byte strings without duplicates, numbered from 1 in the order in which they came, each
** with room for a value behind it. Its memory is bounded.
*/
#ifndef CP_TELEMETRY_INTERN_H
#define CP_TELEMETRY_INTERN_H

#include <stdbool.h>

#include "core/base.h"

#pragma GCC visibility push(hidden)

typedef struct intern_entry {
  uint32_t hash;
  uint32_t at; /* offset of the value in `bytes`; the key is behind it */
  uint32_t length;
} intern_entry;

typedef struct intern_table {
  const allocator *memory;
  uint32_t value_size; /* of every entry */
  uint32_t count_max;
  size_t bytes_max; /* of values and keys */

  char *bytes;
  size_t used, room;
  intern_entry *entries;
  uint32_t count, entries_room;
  uint32_t *buckets; /* numbers of entries, 0: free */
  uint32_t bucket_count;
} intern_table;

/*
** Begins an empty table, which has no memory yet.
**   value_size  bytes of each entry's value, a multiple of 8
**   count_max   the most entries
**   bytes_max   the most bytes of all keys and values
*/
void intern_init(intern_table *t, const allocator *memory, uint32_t value_size, uint32_t count_max,
                 size_t bytes_max);

void intern_free(intern_table *t);

/* Returns the number of the key, which is added, with a value of zeros, if it is new; 0: no room. */
uint32_t intern_add(intern_table *t, const void *key, size_t length);

/* Returns the value of entry `number`. Valid until the next intern_add. */
static inline void *intern_value(const intern_table *t, uint32_t number) {
  return t->bytes + t->entries[number - 1].at;
}

/* Returns the key of entry `number`, aligned for 8 bytes. Valid until the next intern_add. */
static inline const void *intern_key(const intern_table *t, uint32_t number) {
  return t->bytes + t->entries[number - 1].at + t->value_size;
}

static inline size_t intern_length(const intern_table *t, uint32_t number) {
  return t->entries[number - 1].length;
}

#pragma GCC visibility pop

#endif
