/* A part of another text. It is not a C string: it has no terminator. */
#ifndef CP_CORE_SLICE_H
#define CP_CORE_SLICE_H

#include <stddef.h>

typedef struct slice {
  const char *start;
  size_t length;
} slice;

/* Returns the text without the blanks around it: spaces and tabs (OWS of HTTP). */
static inline slice slice_trim(slice text) {
  const char *end = text.start + text.length;
  while (text.start < end && (*text.start == ' ' || *text.start == '\t')) text.start++;
  while (text.start < end && (end[-1] == ' ' || end[-1] == '\t')) end--;
  return (slice){text.start, (size_t)(end - text.start)};
}

#endif
