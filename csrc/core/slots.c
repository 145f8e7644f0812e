#include "core/slots.h"

#include <stdbool.h>
#include <string.h>

#define FIRST_CAPACITY 16

/* About that of the objects at the addresses. */
#define OBJECT_SIZE 256

void slots_init(slot_table *s) { *s = (slot_table){.count = 1}; }

/*
** What is made one after another lies side by side in memory, mostly, and so do its buckets, which
** makes adding many twice as fast as with scattered ones. Addresses that are the whole table apart
** are in the next bucket each, so that no distance between the objects fills few buckets only.
*/
static uint32_t *bucket_of(const slot_table *s, const void *address) {
  uintptr_t hash = (uintptr_t)address / OBJECT_SIZE;
  return &s->buckets[(hash + hash / s->capacity) & (s->capacity - 1)];
}

static void link_in(slot_table *s, uint32_t number) {
  uint32_t *bucket = bucket_of(s, s->at[number].address);
  s->at[number].next_in_bucket = *bucket;
  *bucket = number;
}

static bool grow(slot_table *s, const allocator *memory) {
  uint32_t before = s->capacity;
  uint32_t capacity = before == 0 ? FIRST_CAPACITY : before * 2;
  if (capacity > UINT32_MAX / 2) return false;
  uint32_t *buckets = mem_new(memory, capacity * sizeof(uint32_t));
  if (buckets == NULL) return false;
  slot_entry *grown =
      mem_resize(memory, s->at, before * sizeof(slot_entry), capacity * sizeof(slot_entry));
  if (grown == NULL) {
    mem_free(memory, buckets, capacity * sizeof(uint32_t));
    return false;
  }
  mem_free(memory, s->buckets, before * sizeof(uint32_t));
  memset(buckets, 0, capacity * sizeof(uint32_t));
  s->at = grown;
  s->buckets = buckets;
  s->capacity = capacity;
  for (uint32_t i = 1; i < s->count; i++) {
    if (s->at[i].address != NULL) link_in(s, i);
  }
  return true;
}

uint32_t slots_reserve(slot_table *s, const allocator *memory) {
  if (s->free != 0) return s->free;
  if (s->count >= s->capacity && !grow(s, memory)) return 0;
  return s->count;
}

void slots_add(slot_table *s, void *address) {
  uint32_t number = s->free;
  if (number == 0) {
    number = s->count++;
  } else {
    s->free = s->at[number].next;
  }
  s->at[number] = (slot_entry){.address = address};
  link_in(s, number);
}

void slots_remove(slot_table *s, uint32_t number) {
  slot_entry *removed = &s->at[number];
  uint32_t *place = bucket_of(s, removed->address);
  while (*place != number) place = &s->at[*place].next_in_bucket;
  *place = removed->next_in_bucket;
  *removed = (slot_entry){.next = s->free};
  s->free = number;
}

uint32_t slots_find(const slot_table *s, const void *address) {
  if (s->capacity == 0) return 0;
  uint32_t number = *bucket_of(s, address);
  while (number != 0 && s->at[number].address != address) {
    number = s->at[number].next_in_bucket;
  }
  return number;
}
