/*
** Reads and writes our own member of a tracestate. It writes the member to the left of the others,
** as W3C Trace Context requires after a change (section 3.3.1.4 of level 2). Allocates no memory.
*/
#ifndef CP_CORE_TRACESTATE_MEMBER_H
#define CP_CORE_TRACESTATE_MEMBER_H

#include "core/traceparent.h"

#pragma GCC visibility push(hidden)

/* The longest member that tracestate_put accepts: its key and value together. */
#define TRACESTATE_MEMBER_MAX 128

/*
** Finds the next member `key` in a header's value, which may contain anything else. Returns its
** value and sets `value_length`; NULL if there is none. Looks from `*at` on, 0 at first, and moves
** it behind the member.
*/
const char *tracestate_find(const char *text, size_t length, const char *key, size_t *at,
                            size_t *value_length);

/*
** Puts "key=value" in front and removes the former members of `key`. If there is no room, leaves
** out other members as tracestate_parse does; it also leaves out a 33rd.
*/
void tracestate_put(tracestate *state, const char *key, const char *value);

#pragma GCC visibility pop

#endif
