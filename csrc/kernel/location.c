#include "kernel/location.h"

#include <stdio.h>
#include <string.h>

static const location unknown_location = {.text = "?"};

void location_table_init(location_table *table, const allocator *memory) {
  *table = (location_table){.memory = memory};
}

void location_table_free(location_table *table) {
  for (uint32_t i = 0; i < table->bucket_count; i++) {
    location *s = table->buckets[i];
    while (s != NULL) {
      location *next = s->next_in_bucket;
      mem_free(table->memory, s, sizeof(location));
      s = next;
    }
  }
  mem_free(table->memory, table->buckets, table->bucket_count * sizeof(location *));
  location_table_init(table, table->memory);
}

static uint32_t bucket_of(const char *source, int line, uint32_t bucket_count) {
  uint64_t h = ((uint64_t)(uintptr_t)source >> 4) * UINT64_C(0x9E3779B97F4A7C15) + (uint64_t)line;
  h *= UINT64_C(0x9E3779B97F4A7C15);
  return (uint32_t)(h >> 32) & (bucket_count - 1);
}

/* Doubles the buckets. Without memory they stay: lookups are then slower, not wrong. */
static void grow(location_table *table) {
  uint32_t count = table->bucket_count == 0 ? 16 : table->bucket_count * 2;
  location **buckets = mem_new(table->memory, count * sizeof(location *));
  if (buckets == NULL) return;
  memset(buckets, 0, count * sizeof(location *));
  for (uint32_t i = 0; i < table->bucket_count; i++) {
    location *s = table->buckets[i];
    while (s != NULL) {
      location *next = s->next_in_bucket;
      uint32_t b = bucket_of(s->source, s->line, count);
      s->next_in_bucket = buckets[b];
      buckets[b] = s;
      s = next;
    }
  }
  mem_free(table->memory, table->buckets, table->bucket_count * sizeof(location *));
  table->buckets = buckets;
  table->bucket_count = count;
}

/* The chunk may be gone, and the address of its name reused: so the text is compared too. */
static bool is_same(const location *s, const lua_Debug *ar) {
  if (s->source != ar->source || s->line != ar->currentline) return false;
  return memcmp(s->text, ar->short_src, s->source_length) == 0 &&
         ar->short_src[s->source_length] == '\0';
}

const location *location_intern(location_table *table, const lua_Debug *ar) {
  if (ar == NULL) return &unknown_location;
  if (table->count >= table->bucket_count) grow(table);
  if (table->bucket_count == 0) return &unknown_location;
  uint32_t b = bucket_of(ar->source, ar->currentline, table->bucket_count);
  for (location *s = table->buckets[b]; s != NULL; s = s->next_in_bucket) {
    if (is_same(s, ar)) return s;
  }
  if (table->count >= LOCATION_MAX) return &unknown_location;
  location *s = mem_new(table->memory, sizeof(location));
  if (s == NULL) return &unknown_location;
  s->source = ar->source;
  s->source_length = strlen(ar->short_src);
  s->line = ar->currentline;
  snprintf(s->text, sizeof(s->text), "%s:%d", ar->short_src, ar->currentline);
  s->next_in_bucket = table->buckets[b];
  table->buckets[b] = s;
  table->count++;
  return s;
}
