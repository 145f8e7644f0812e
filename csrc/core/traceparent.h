/*
** W3C Trace Context, level 2: parses and writes its two headers. Allocates no memory. Source:
** https://www.w3.org/TR/trace-context-2/ sections 3.2 (traceparent) and 3.3 (tracestate).
*/
#ifndef CP_CORE_TRACEPARENT_H
#define CP_CORE_TRACEPARENT_H

#include <stdbool.h>

#include "core/base.h"

#pragma GCC visibility push(hidden)

#define TRACEPARENT_LENGTH 55 /* of version 00, which is what we send */
#define TRACE_FLAG_SAMPLED 0x01u
#define TRACE_FLAG_RANDOM 0x02u
#define TRACESTATE_MAX_MEMBERS 32
/* The length that a participant must at least propagate; we carry no more. */
#define TRACESTATE_MAX_LENGTH 512

typedef struct traceparent {
  uint8_t trace_id[16]; /* not all zero */
  uint64_t span_id;     /* the header's parent-id, big-endian; not zero */
  uint8_t flags;        /* unknown bits cleared */
} traceparent;

/*
** Parses a header value; ignores spaces and tabs around it. False if it is invalid: `out` is then
** unspecified, and the caller starts a new trace and drops tracestate. Version ff is invalid. Of a
** version above 00 the first four fields are read, as section 3.2.4 (versioning) says.
*/
bool traceparent_parse(traceparent *out, const char *value, size_t length);

/* Writes TRACEPARENT_LENGTH characters of version 00, no terminator. */
void traceparent_format(char *out, const traceparent *parent);

/*
** A tracestate as we carry it: members byte for byte and in order, separated by "," alone. Empty
** members are dropped, as the grammar allows.
*/
typedef struct tracestate {
  char text[TRACESTATE_MAX_LENGTH];
  size_t length; /* of the kept text; 0 when invalid */
  int members;   /* in the header, kept or not; empty ones do not count; 0 when invalid */
  bool invalid;  /* a member broke the grammar, or there were more than 32 */
} tracestate;

/*
** Reads the whole header into `state` and overwrites its former content. If the header came more
** than once, the caller joins the values with "," first. An invalid header leaves nothing to carry;
** the traceparent stays valid. Of a header of more than 512 characters whole members are left out,
** no more than needed: first those longer than 128 characters, then any, the last one first
** (section 3.3.1.5). Keys are those of level 2: a digit may come first, and "@" may stand at any
** other place. A key that comes twice is kept: level 2 allows to drop one, and only forbids to add
** it.
*/
void tracestate_parse(tracestate *state, const char *value, size_t length);

#pragma GCC visibility pop

#endif
