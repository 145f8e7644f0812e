/*
** The text of a value that was raised. The value is the user's and its __tostring may do anything;
** what is below catches that, and does without memory for whatever has its text in it already.
*/
#ifndef CP_KERNEL_VALUE_TEXT_H
#define CP_KERNEL_VALUE_TEXT_H

#include <stdbool.h>

#include "kernel/record.h"

#pragma GCC visibility push(hidden)

/* Free stack slots that the functions below want of their caller. */
#define VALUE_TEXT_SLOTS 8

typedef struct value_text {
  const char *text; /* lives as long as the value that was pushed with it, or is in `buffer` */
  size_t length;    /* at most RECORD_MAX_TEXT, and a note of what was left out */
  size_t left_out;  /* bytes after that */
  bool failed;      /* __tostring failed, and the text is why */
  char buffer[COMPAT_NUMBER_SIZE];
} value_text;

/* What `failed` texts are to begin with, as Go has it. */
#define VALUE_TEXT_FAILED "panic while printing panic value: "

/*
** Finds the text of the value at `index`, and pushes what keeps it alive. Never raises. [-0, +1, -]
** `out` stays where it is for as long as the text is used.
*/
void value_text_find(lua_State *L, int index, value_text *out);

/* The same for the message of the record at `index`. A failed text has its beginning already. */
void value_text_find_message(lua_State *L, int index, value_text *out);

/*
** Pushes the message of the record at `index`: its value's text, which the record keeps.   [-0, +1, m]
** False: the value's __tostring failed, and the message says why.
*/
bool value_text_push_message(lua_State *L, int index);

/*
** Pushes the table of what has been computed of the record at `index`.   [-0, +1, m]
** Its fields are those of the record, and "message_failed".
*/
void value_text_push_cache(lua_State *L, int index);

/*
** The type of the value at `index` as a person would name it: its metatable's __name, or Lua's.
** Lives as long as the value. Allocates nothing that was there before: protected, or where "m" is
** allowed.
*/
const char *value_text_type(lua_State *L, int index);

/*
** Pushes what the table at the absolute `index` has in the field, if that is a number, not NaN, or a string that is
** not empty; no metamethods.   [-0, +(0|1), m]
*/
bool value_text_push_field(lua_State *L, int index, const char *name);

#pragma GCC visibility pop

#endif
