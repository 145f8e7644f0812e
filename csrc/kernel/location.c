#include "kernel/location.h"

#include <stdio.h>
#include <string.h>

static const location unknown_location = {.text = "?"};

void location_table_init(location_table *table, const allocator *memory) {
  *table = (location_table){.memory = memory};
}

/* Returns the bytes of the two arrays. They are one block of memory. */
static size_t size_of_arrays(uint32_t bucket_count) {
  return (size_t)bucket_count * 2 * sizeof(location *);
}

void location_table_free(location_table *table) {
  for (uint32_t i = 0; i < table->count; i++) {
    mem_free(table->memory, table->numbered[i], sizeof(location));
  }
  mem_free(table->memory, table->buckets, size_of_arrays(table->bucket_count));
  mem_free(table->memory, (void *)table->library, table->library_length);
  location_table_init(table, table->memory);
}

void location_table_set_library(location_table *table, const char *prefix, size_t length) {
  char *copy = mem_new(table->memory, length);
  if (copy == NULL) return;
  memcpy(copy, prefix, length);
  mem_free(table->memory, (void *)table->library, table->library_length);
  table->library = copy;
  table->library_length = length;
}

static bool is_of_library(const location_table *table, const lua_Debug *ar) {
  size_t length = table->library_length;
  return length > 0 && ar->srclen >= length && memcmp(ar->source, table->library, length) == 0;
}

static uint32_t bucket_of(const char *source, int line, uint32_t bucket_count) {
  uint64_t h = ((uint64_t)(uintptr_t)source >> 4) * UINT64_C(0x9E3779B97F4A7C15) + (uint64_t)line;
  h *= UINT64_C(0x9E3779B97F4A7C15);
  return (uint32_t)(h >> 32) & (bucket_count - 1);
}

static void add_to_bucket(location_table *table, location *s) {
  uint32_t b = bucket_of(s->source, s->line, table->bucket_count);
  s->next_in_bucket = table->buckets[b];
  table->buckets[b] = s;
}

/* Doubles the arrays. False: there is no memory. */
static bool grow(location_table *table) {
  location_table old = *table;
  uint32_t count = old.bucket_count == 0 ? 16 : old.bucket_count * 2;
  location **arrays = mem_new(table->memory, size_of_arrays(count));
  if (arrays == NULL) return false;
  memset(arrays, 0, size_of_arrays(count));
  table->buckets = arrays;
  table->numbered = arrays + count;
  table->bucket_count = count;
  for (uint32_t i = 0; i < old.count; i++) {
    table->numbered[i] = old.numbered[i];
    add_to_bucket(table, old.numbered[i]);
  }
  mem_free(table->memory, old.buckets, size_of_arrays(old.bucket_count));
  return true;
}

/* The chunk may be gone, and the address of its name reused: so the text is compared too. */
static bool is_same(const location *s, const lua_Debug *ar) {
  if (s->source != ar->source || s->line != ar->currentline) return false;
  return memcmp(s->text, ar->short_src, s->source_length) == 0 &&
         ar->short_src[s->source_length] == '\0';
}

/* Returns the location of the activation if it is known; else NULL. */
static const location *find(const location_table *table, const lua_Debug *ar) {
  if (table->bucket_count == 0) return NULL;
  uint32_t b = bucket_of(ar->source, ar->currentline, table->bucket_count);
  const location *s = table->buckets[b];
  while (s != NULL && !is_same(s, ar)) s = s->next_in_bucket;
  return s;
}

const location *location_intern(location_table *table, const lua_Debug *ar) {
  const location *known = ar == NULL ? &unknown_location : find(table, ar);
  if (known != NULL) return known;
  if (table->count >= LOCATION_MAX) return &unknown_location;
  if (table->count == table->bucket_count && !grow(table)) return &unknown_location;
  location *s = mem_new(table->memory, sizeof(location));
  if (s == NULL) return &unknown_location;
  s->source = ar->source;
  s->source_length = strlen(ar->short_src);
  s->line = ar->currentline;
  s->is_library = is_of_library(table, ar);
  snprintf(s->text, sizeof(s->text), "%s:%d", ar->short_src, ar->currentline);
  table->numbered[table->count++] = s;
  s->number = (uint16_t)table->count;
  add_to_bucket(table, s);
  return s;
}

const location *location_numbered(const location_table *table, uint16_t number) {
  return number == 0 || number > table->count ? &unknown_location : table->numbered[number - 1];
}
