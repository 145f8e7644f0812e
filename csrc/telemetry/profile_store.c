#include "telemetry/profile_store.h"

#include <string.h>

void profile_store_init(profile_store *s, allocator memory) {
  *s = (profile_store){.memory = memory};
  intern_init(&s->texts, &s->memory, 0, UINT32_MAX, PROFILE_BYTES_MAX);
  intern_init(&s->functions, &s->memory, sizeof(profile_function), PROFILE_FUNCTIONS_MAX, SIZE_MAX);
  intern_init(&s->locations, &s->memory, 0, UINT32_MAX, PROFILE_BYTES_MAX);
  intern_init(&s->samples, &s->memory, PROFILE_VALUES * sizeof(int64_t), UINT32_MAX,
              PROFILE_BYTES_MAX);
}

void profile_store_free(profile_store *s) {
  intern_free(&s->texts);
  intern_free(&s->functions);
  intern_free(&s->locations);
  intern_free(&s->samples);
}

/* Returns the number of the text; notes if there is no room for it. */
static uint32_t text_of(profile_store *s, profile_key *k, const char *text, size_t length) {
  uint32_t number = intern_add(&s->texts, text, length);
  if (number == 0) k->lost = true;
  return number;
}

/* --- frames --- */

/* Adds the function if it is new, and the location in it, to the stack. */
static void add_location(profile_store *s, profile_key *k, const profile_function_key *function,
                         uint32_t name, int line) {
  cp_assert(k->frames <= PROFILE_FRAMES_MAX);
  if (k->lost) return;
  uint32_t number = intern_add(&s->functions, function, sizeof(*function));
  profile_location place = {.function = number, .line = line};
  uint32_t location = number == 0 ? 0 : intern_add(&s->locations, &place, sizeof(place));
  if (location == 0) {
    k->lost = true;
    return;
  }
  profile_function *f = intern_value(&s->functions, number);
  if (f->name == 0) f->name = name;
  k->locations[k->frames++] = location;
}

void profile_add_lua_frame(profile_store *s, profile_key *k, const char *file, int begins,
                           const char *name, int line) {
  profile_function_key function = {.file = text_of(s, k, file, strlen(file)), .line = begins};
  uint32_t text = name == NULL ? 0 : text_of(s, k, name, strlen(name));
  add_location(s, k, &function, text, line > 0 ? line : 0);
}

void profile_add_frame(profile_store *s, profile_key *k, const char *file, const char *name) {
  uint32_t text = text_of(s, k, name, strlen(name));
  profile_function_key function = {.file = text_of(s, k, file, strlen(file)), .name = text};
  add_location(s, k, &function, text, 0);
}

/* --- labels --- */

static profile_label *add_label(profile_store *s, profile_key *k, const char *name) {
  cp_assert(k->labels < PROFILE_LABELS_MAX);
  profile_label *label = &k->label[k->labels++];
  *label = (profile_label){.name = text_of(s, k, name, strlen(name))};
  return label;
}

void profile_add_text(profile_store *s, profile_key *k, const char *name, const char *text,
                      size_t length) {
  add_label(s, k, name)->text = text_of(s, k, text, length);
}

void profile_add_number(profile_store *s, profile_key *k, const char *name, int64_t number) {
  profile_label *label = add_label(s, k, name);
  label->low = (uint32_t)number;
  label->high = (uint32_t)((uint64_t)number >> 32);
}

/* --- samples --- */

int64_t *profile_store_add(profile_store *s, const profile_key *k, int64_t first, int64_t second) {
  enum { WORDS = sizeof(profile_label) / sizeof(uint32_t) };
  uint32_t words[1 + PROFILE_FRAMES_MAX + 1 + PROFILE_LABELS_MAX * WORDS];
  words[0] = k->frames;
  memcpy(words + 1, k->locations, k->frames * sizeof(uint32_t));
  memcpy(words + 1 + k->frames, k->label, k->labels * sizeof(profile_label));
  size_t count = 1 + k->frames + k->labels * WORDS;
  uint32_t number = k->lost ? 0 : intern_add(&s->samples, words, count * sizeof(uint32_t));
  if (number == 0) {
    s->dropped += (uint64_t)first;
    return NULL;
  }
  int64_t *values = intern_value(&s->samples, number);
  values[0] += first;
  values[1] += second;
  return values;
}
