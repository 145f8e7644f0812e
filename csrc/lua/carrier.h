/*
** Headers as scripts have them: a table that maps names, in any case, to a value or an array of
** values, or a list of {name, value} or {name = name, value = value}, or both at once; or an object
** that looks like one through its metamethods. HTTP servers differ; a trace must get through.
** The metamethods of an object are called: they may raise, and must not suspend.
*/
#ifndef CP_LUA_CARRIER_H
#define CP_LUA_CARRIER_H

#include <stdbool.h>

#include "compat.h"

#pragma GCC visibility push(hidden)

/*
** Raises unless the argument can be read as headers: a table, or a userdata with __pairs or __index.
** [-0, +0, e]
*/
void carrier_check_readable(lua_State *L, int arg, const char *function);

/* Whether it is a plain table with nothing in it.   [-0, +0, -] */
bool carrier_is_empty(lua_State *L, int headers);

/*
** Raises unless headers can be set in the argument: a table, or a userdata with __newindex, or with the
** methods `upsert` and `delete`.   [-0, +0, e]
*/
void carrier_check_writable(lua_State *L, int arg, const char *function);

/*
** Pushes all values of the header, joined by ",", and returns how many there were; pushes "" for
** none. [-0, +1, e]
**   name  in lower case
** Those of the list come before named ones, both in their order; names that differ in case alone are in the
** order of their bytes. A number is its text, anything else no value.
*/
int carrier_push(lua_State *L, int headers, const char *name);

/*
** Sets the header to the string on top of the stack, or removes it if that is nil, and removes it
** under any other spelling.   [-1, +0, e] In a list it takes the place of the first one that was there, or
** the last. Raises if the headers can be read and the header is not in them then.
*/
void carrier_set(lua_State *L, int headers, const char *name);

#pragma GCC visibility pop

#endif
