/*
** A stack's hash: see stack_hash.h.
*/
#include "core/stack_hash.h"

#include <string.h>

#include "core/fnv.h"

static uint64_t feed_char(uint64_t hash, char c) { return fnv_byte(hash, (uint8_t)c); }

static uint64_t feed(uint64_t hash, const char *text) {
  for (; *text != '\0'; text++) hash = feed_char(hash, *text);
  return hash;
}

/* ASCII only, and not tolower: the hash must not depend on the locale. */
static uint64_t feed_lower(uint64_t hash, const char *text) {
  for (; *text != '\0'; text++) {
    bool is_upper = *text >= 'A' && *text <= 'Z';
    hash = feed_char(hash, is_upper ? (char)(*text - 'A' + 'a') : *text);
  }
  return hash;
}

/*
** Accepts both separators on every system, so that a file has the same hash wherever it was loaded.
*/
static const char *base_name(const char *path) {
  const char *base = path;
  for (; *path != '\0'; path++) {
    if (*path == '/' || *path == '\\') base = path + 1;
  }
  return base;
}

static uint64_t feed_frame(uint64_t hash, const char *source, const char *identity) {
  bool is_text = *source != '@' && *source != '=';
  hash = feed_lower(hash, is_text ? "[string]" : base_name(source + 1));
  hash = feed_char(hash, ':');
  hash = feed(hash, identity != NULL ? identity : "?");
  return feed_char(hash, '\n');
}

void stack_hash_init(stack_hash *hash) {
  hash->value = FNV_OFFSET;
  hash->last_frame = 0;
  hash->any = false;
}

void stack_hash_add(stack_hash *hash, const char *source, const char *identity) {
  uint64_t frame = feed_frame(FNV_OFFSET, source, identity);
  if (hash->any && frame == hash->last_frame) return;
  hash->value = feed_frame(hash->value, source, identity);
  hash->last_frame = frame;
  hash->any = true;
}

const char *stack_hash_identity(int version, const char *what, const char *name,
                                const char *fingerprint) {
  if (version == 1) return name;
  if (strcmp(what, "main") == 0) return what;
  return fingerprint != NULL ? fingerprint : name;
}
