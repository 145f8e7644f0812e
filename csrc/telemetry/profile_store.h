/*
** What a profile has found, in memory: samples with equal stacks and labels are one. Nothing here is
** Lua's. The memory is bounded: what has no room is counted as dropped.
*/
#ifndef CP_TELEMETRY_PROFILE_STORE_H
#define CP_TELEMETRY_PROFILE_STORE_H

#include <stdbool.h>

#include "telemetry/intern.h"

#pragma GCC visibility push(hidden)

/* The most functions, and the most bytes of samples; as many again for texts, and for locations. */
#define PROFILE_FUNCTIONS_MAX 8192
#define PROFILE_BYTES_MAX (4u << 20)

/* The most activations of a stack, the innermost ones, and a native leaf; and the most labels. */
#define PROFILE_FRAMES_MAX 64
#define PROFILE_LABELS_MAX 16

/* Every sample has two values. */
#define PROFILE_VALUES 2

typedef struct profile_store {
  allocator memory;
  intern_table texts;
  intern_table functions; /* key: profile_function_key, value: profile_function */
  intern_table locations; /* key: profile_location */
  intern_table samples;   /* key: the words of a profile_key, value: int64_t[PROFILE_VALUES] */
  uint64_t dropped;       /* the first values of the samples for which there was no room */
} profile_store;

typedef struct profile_function_key {
  uint32_t file; /* number of a text */
  int32_t line;  /* where the function begins; 0: it is none of Lua's */
  uint32_t name; /* number of a text; 0: the place says which function it is */
} profile_function_key;

typedef struct profile_function {
  uint32_t name; /* number of a text: the first name that it was called by; 0: none yet */
  uint32_t unused;
} profile_function;

typedef struct profile_location {
  uint32_t function;
  int32_t line; /* 0: not known */
} profile_location;

/* A label, as it stands in a key. */
typedef struct profile_label {
  uint32_t name; /* number of a text */
  uint32_t text; /* number of a text; 0: the label is a number */
  uint32_t low, high;
} profile_label;

/*
** A stack with labels, while it is put together. If there was no room for a part of it, `lost` is set,
** and profile_store_add drops the sample.
*/
typedef struct profile_key {
  bool lost;
  uint32_t frames;
  uint32_t labels;
  uint32_t locations[PROFILE_FRAMES_MAX + 1]; /* the innermost first */
  profile_label label[PROFILE_LABELS_MAX];
} profile_key;

void profile_store_init(profile_store *s, allocator memory);
void profile_store_free(profile_store *s);

static inline void profile_key_begin(profile_key *k) {
  k->lost = false;
  k->frames = 0;
  k->labels = 0;
}

/*
** Add a frame, further out than those before; there must be room. The texts are copied.
**   name  NULL: not known
*/
void profile_add_lua_frame(profile_store *s, profile_key *k, const char *file, int begins,
                           const char *name, int line);
void profile_add_frame(profile_store *s, profile_key *k, const char *file, const char *name);

/* Add a label; there must be room. */
void profile_add_text(profile_store *s, profile_key *k, const char *name, const char *text,
                      size_t length);
void profile_add_number(profile_store *s, profile_key *k, const char *name, int64_t number);

/*
** Adds to the values of the sample with this key, which is made if it is new. Returns its values, valid
** until the next one is added; NULL: it was dropped.
*/
int64_t *profile_store_add(profile_store *s, const profile_key *k, int64_t first, int64_t second);

#pragma GCC visibility pop

#endif
