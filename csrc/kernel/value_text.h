/*
** The text of a raised value. The value is the user's, and its __tostring may do anything; these
** functions catch that. A value that has its text in it already needs no memory.
*/
#ifndef CP_KERNEL_VALUE_TEXT_H
#define CP_KERNEL_VALUE_TEXT_H

#include <stdbool.h>

#include "kernel/record.h"

#pragma GCC visibility push(hidden)

/* The free stack slots that the functions below need. */
#define VALUE_TEXT_SLOTS 8

typedef struct value_text {
  const char *text; /* lives as long as the value pushed with it, or is in `buffer` */
  size_t length;    /* at most RECORD_MAX_TEXT */
  size_t left_out;  /* further bytes that were left out */
  bool failed;      /* __tostring failed, and the text says why */
  char buffer[COMPAT_NUMBER_SIZE];
} value_text;

/* The caller writes this in front of a `failed` text, as Go does. */
#define VALUE_TEXT_FAILED "panic while printing panic value: "

/*
** Finds the text of the value at `index`, and pushes a value that keeps the text alive. Never
** raises. `out` must stay at its address as long as the text is used.   [-0, +1, -]
*/
void value_text_find(lua_State *L, int index, value_text *out);

/*
** The same for the message of the record at `index`. A failed text begins with VALUE_TEXT_FAILED
** already.   [-0, +1, -]
*/
void value_text_find_message(lua_State *L, int index, value_text *out);

/*
** Pushes the message of the record at `index`, the text of its value; the record caches it. Returns
** false if the value's __tostring failed; the message then says why.   [-0, +1, m]
*/
bool value_text_push_message(lua_State *L, int index);

/*
** Returns the type of the value at `index` for people: its metatable's __name, or Lua's type. The
** text lives as long as the value. It may need memory: call it protected, or where "m" is allowed.
** [-0, +0, m]
*/
const char *value_text_type(lua_State *L, int index);

/*
** Pushes the field of the table at the absolute `index` if its value is a number that is not NaN,
** or a string that is not empty. Otherwise pushes nothing and returns false. Calls no metamethods.
** [-0, +(0|1), m]
*/
bool value_text_push_field(lua_State *L, int index, const char *name);

#pragma GCC visibility pop

#endif
