#include "telemetry/intern.h"

#include <string.h>

#include "core/fnv.h"

/* Every key and value begins at a multiple of this. */
#define ALIGNMENT 8u

#define FIRST_ENTRIES 64u
#define FIRST_BYTES 4096u

void intern_init(intern_table *t, const allocator *memory, uint32_t value_size, uint32_t count_max,
                 size_t bytes_max) {
  cp_assert(value_size % ALIGNMENT == 0);
  *t = (intern_table){
      .memory = memory, .value_size = value_size, .count_max = count_max, .bytes_max = bytes_max};
}

void intern_free(intern_table *t) {
  mem_free(t->memory, t->bytes, t->room);
  mem_free(t->memory, t->entries, t->entries_room * sizeof(intern_entry));
  mem_free(t->memory, t->buckets, t->bucket_count * sizeof(uint32_t));
  t->bytes = NULL;
  t->entries = NULL;
  t->buckets = NULL;
  t->used = t->room = 0;
  t->count = t->entries_room = t->bucket_count = 0;
}

static uint32_t hash_of(const void *key, size_t length) {
  const uint8_t *bytes = key;
  uint64_t hash = FNV_OFFSET;
  for (size_t i = 0; i < length; i++) hash = fnv_byte(hash, bytes[i]);
  return (uint32_t)(hash ^ (hash >> 32));
}

/* Returns the bucket of the key, or the free one where it belongs. There must be a free one. */
static uint32_t *find(const intern_table *t, uint32_t hash, const void *key, size_t length) {
  for (uint32_t i = hash;; i++) {
    uint32_t *bucket = &t->buckets[i & (t->bucket_count - 1)];
    if (*bucket == 0) return bucket;
    const intern_entry *e = &t->entries[*bucket - 1];
    bool is_same = e->hash == hash && e->length == length;
    if (is_same && memcmp(intern_key(t, *bucket), key, length) == 0) return bucket;
  }
}

/* Makes room for one more entry: there are twice as many buckets as entries. */
static bool grow_entries(intern_table *t) {
  if (t->count < t->entries_room) return true;
  size_t room = t->entries_room == 0 ? FIRST_ENTRIES : 2 * (size_t)t->entries_room;
  uint32_t *buckets = mem_new(t->memory, 2 * room * sizeof(uint32_t));
  if (buckets == NULL) return false;
  intern_entry *entries = mem_resize(t->memory, t->entries, t->entries_room * sizeof(intern_entry),
                                     room * sizeof(intern_entry));
  if (entries == NULL) {
    mem_free(t->memory, buckets, 2 * room * sizeof(uint32_t));
    return false;
  }
  mem_free(t->memory, t->buckets, t->bucket_count * sizeof(uint32_t));
  t->entries = entries;
  t->entries_room = (uint32_t)room;
  t->buckets = buckets;
  t->bucket_count = (uint32_t)(2 * room);
  memset(buckets, 0, t->bucket_count * sizeof(uint32_t));
  for (uint32_t n = 1; n <= t->count; n++) {
    uint32_t i = entries[n - 1].hash;
    while (buckets[i & (t->bucket_count - 1)] != 0) i++;
    buckets[i & (t->bucket_count - 1)] = n;
  }
  return true;
}

static bool grow_bytes(intern_table *t, size_t size) {
  if (t->room - t->used >= size) return true;
  size_t room = t->room == 0 ? FIRST_BYTES : 2 * t->room;
  while (room - t->used < size) room *= 2;
  char *bytes = mem_resize(t->memory, t->bytes, t->room, room);
  if (bytes == NULL) return false;
  t->bytes = bytes;
  t->room = room;
  return true;
}

uint32_t intern_add(intern_table *t, const void *key, size_t length) {
  uint32_t hash = hash_of(key, length);
  if (t->count > 0) {
    uint32_t number = *find(t, hash, key, length);
    if (number != 0) return number;
  }
  size_t size = t->value_size + (length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  if (t->count == t->count_max || size > t->bytes_max - t->used) return 0;
  if (!grow_entries(t) || !grow_bytes(t, size)) return 0;
  memset(t->bytes + t->used, 0, size);
  memcpy(t->bytes + t->used + t->value_size, key, length);
  t->entries[t->count++] =
      (intern_entry){.hash = hash, .at = (uint32_t)t->used, .length = (uint32_t)length};
  t->used += size;
  *find(t, hash, key, length) = t->count;
  return t->count;
}
