/*
** Small numbers for what events name: the types of waits, and the names of events and spans that code has
** marked. Both tables only grow, up to a bound; what comes after that has the number 0, which reads "?".
*/
#ifndef CP_TELEMETRY_NAMES_H
#define CP_TELEMETRY_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "core/base.h"
#include "kernel/wait.h"

#pragma GCC visibility push(hidden)

/* Room for the types of waits, of which the module has about 25. A power of two. */
#define WAIT_NAMES 64

/* Indexed by a hash of the address; the index is the number. The first is not used. */
typedef struct wait_names {
  const wait_type *at[WAIT_NAMES];
} wait_names;

/* Returns the number of a wait type that is not where its hash says; 0: the table is full. */
uint16_t wait_names_search(wait_names *names, const wait_type *type);

/* Returns the number of a wait type that is where its hash says; 0: it is elsewhere, or new. */
static inline uint16_t wait_names_known(const wait_names *names, const wait_type *type) {
  uint16_t hash = (uint16_t)(((uintptr_t)type >> 5) % WAIT_NAMES);
  return names->at[hash] == type ? hash : 0;
}

static inline uint16_t wait_names_number(wait_names *names, const wait_type *type) {
  uint16_t known = wait_names_known(names, type);
  return known != 0 ? known : wait_names_search(names, type);
}

/* Bounds of the marked texts. A longer one is cut. */
#define TEXT_NAMES 1024
#define TEXT_BUCKETS 2048
#define TEXT_NAMES_BYTES 32768
#define TEXT_NAME_LENGTH 64

typedef struct text_name {
  uint16_t offset;
  uint16_t length;
} text_name;

typedef struct text_names {
  uint32_t count; /* the numbers are from 1 */
  uint32_t bytes;
  uint16_t buckets[TEXT_BUCKETS]; /* numbers, by a hash of the text; 0: free */
  text_name at[TEXT_NAMES + 1];
  char text[TEXT_NAMES_BYTES];
} text_names;

/* Returns the number of the text, which it gets now if it has none. */
uint16_t text_names_number(text_names *names, const char *text, size_t length);

#pragma GCC visibility pop

#endif
