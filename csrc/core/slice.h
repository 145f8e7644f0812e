/* A part of somebody else's text, which is no string: it has no terminator. */
#ifndef CP_CORE_SLICE_H
#define CP_CORE_SLICE_H

#include <stddef.h>

typedef struct slice {
  const char *start;
  size_t length;
} slice;

/* Without the blanks around it: spaces and tabs, as HTTP has them (OWS). */
static inline slice slice_trim(slice text) {
  const char *end = text.start + text.length;
  while (text.start < end && (*text.start == ' ' || *text.start == '\t')) text.start++;
  while (text.start < end && (end[-1] == ' ' || end[-1] == '\t')) end--;
  return (slice){text.start, (size_t)(end - text.start)};
}

#endif
