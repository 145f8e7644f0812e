/*
** A carrier as a plain table. Most are one; of objects, which are what their metamethods say, what they have of one
** header is copied.
*/
#ifndef CP_LUA_CARRIER_VIEW_H
#define CP_LUA_CARRIER_VIEW_H

#include <stdbool.h>

#include "compat.h"

#pragma GCC visibility push(hidden)

/* Whether the value's metatable has the field.   [-0, +0, m] */
bool carrier_has_metafield(lua_State *L, int index, const char *field);

/* What an item of a list is. */
typedef enum entry_form {
  ENTRY_NONE,
  ENTRY_PAIR,  /* {name, value} */
  ENTRY_FIELDS /* {name = name, value = value} */
} entry_form;

/* Reads the item on top of the stack; `same` says whether it is of this name.   [-0, +0, e] */
entry_form entry_read(lua_State *L, const char *name, bool *same);

/* Pushes the value of the item on top of the stack.   [-0, +1, e] */
void entry_push_value(lua_State *L, entry_form form);

/*
** Pushes a plain table that has the header of this name as the carrier has it, and the entries of its list: the
** carrier itself, or a copy. Returns whether it is the copy of an object: one that can be read, and not only be
** set.   [-0, +1, e]
*/
bool carrier_view(lua_State *L, int headers, const char *name);

/* Whether the key at `index` is an integer that is not 1 to `border`. */
bool carrier_is_stray(lua_State *L, int index, lua_Integer border);

/*
** Pushes what holds the integer keys of the plain table at the absolute index that are not 1 to `border`, in order,
** and returns them.   [-0, +1, m]
*/
const lua_Integer *carrier_push_strays(lua_State *L, int table, lua_Integer border, size_t *count);

/* The length that an array says it has; a proxy without __len may have more.   [-0, +0, e] */
lua_Integer carrier_length(lua_State *L, int array);

/*
** Appends the value on top of the stack to the plain array at `array`: a string, the text of a number, or those that
** are in an array.   [-1, +0, e]
*/
void carrier_append(lua_State *L, int array);

#pragma GCC visibility pop

#endif
