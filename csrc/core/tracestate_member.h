/*
** Our own member of a tracestate: reading it, and putting it to the left of the others, as W3C Trace
** Context wants of whoever changes one (section 3.3.1.4 of level 2). No memory is allocated.
*/
#ifndef CP_CORE_TRACESTATE_MEMBER_H
#define CP_CORE_TRACESTATE_MEMBER_H

#include "core/traceparent.h"

#pragma GCC visibility push(hidden)

/* Of a member that is put: its key and value together. */
#define TRACESTATE_MEMBER_MAX 128

/*
** The value of the next member of `key` in a header's value, whatever else that has, and its length. Looks
** from `*at` on, 0 at first, which moves on behind it. NULL: there is none.
*/
const char *tracestate_find(const char *text, size_t length, const char *key, size_t *at,
                            size_t *value_length);

/*
** Puts "key=value" in front and takes out what `key` had before. Others are left out as tracestate_parse
** says when there is no room; a 33rd is, too.
*/
void tracestate_put(tracestate *state, const char *key, const char *value);

#pragma GCC visibility pop

#endif
