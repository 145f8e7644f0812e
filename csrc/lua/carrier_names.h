/* The name of a header in its spellings, which differ in the case of letters alone. */
#ifndef CP_LUA_CARRIER_NAMES_H
#define CP_LUA_CARRIER_NAMES_H

#include "compat.h"
#include "core/base.h"

#pragma GCC visibility push(hidden)

#define SPELLING_MAX_LETTERS 11 /* "traceparent" */

/*
** A spelling is a number: a bit for each letter, the first one's the highest, which is set for lower case. So
** numbers have the order that the spellings have by their bytes.
*/
typedef struct spellings {
  int count;
  int first; /* of those that were added; there is hardly ever another one */
  uint64_t words[1 << (SPELLING_MAX_LETTERS - 6)]; /* a bit for each, once there are two */
} spellings;

/* The spelling of the name that the text is, or -1: it is another name. */
int spelling_of_text(const char *text, size_t length, const char *name);

/* The spelling of the name at `index`, or -1: it is another name, or no string.   [-0, +0, -] */
int spelling_of(lua_State *L, int index, const char *name);

/* The spelling in lower case. */
int spelling_lower(const char *name);

/* Pushes the name as it is spelled.   [-0, +1, m] */
void spelling_push(lua_State *L, const char *name, int spelling);

/* Puts a spelling into a set that it is not in; `count` is 0 in an empty one. */
void spellings_add(spellings *set, int spelling);

/* The first one in the set from `spelling` on, or -1. */
int spellings_next(const spellings *set, int spelling);

#pragma GCC visibility pop

#endif
