/*
** Writes what is recorded as a file of the format coropanic-events/1 (docs/recorder.md). Calls nothing of Lua that
** allocates or runs scripts, so that it is one moment of the program, and may be called wherever events are told.
*/
#ifndef CP_TELEMETRY_DUMP_H
#define CP_TELEMETRY_DUMP_H

#include <stdbool.h>
#include <stddef.h>

#include "telemetry/telemetry.h"

#pragma GCC visibility push(hidden)

/* Bounds of the two tables behind the events, in bytes. What does not fit is left out. */
#define DUMP_MAX_STRINGS 524288
#define DUMP_MAX_TASKS 520000

/* Where the bytes go. */
typedef struct dump_output {
  /* Returns false, with errno set, if they could not be written. */
  bool (*write)(struct dump_output *self, const void *bytes, size_t length);
} dump_output;

/* Whether anything is recorded. */
static inline bool dump_is_possible(const runtime *rt) {
  return rt->telemetry != NULL && rt->telemetry->ring != NULL;
}

/* Returns the size of the file that dump_write would write now. */
size_t dump_size(runtime *rt);

/* Writes it. Returns false, with errno set, if the output failed or there is no memory. */
bool dump_write(runtime *rt, dump_output *output);

/* Writes it to the file at `path`, which is made, or emptied. A file that can not be written is left empty. */
bool dump_to_file(runtime *rt, const char *path);

#pragma GCC visibility pop

#endif
