/*
** Headers as scripts pass them: a table that maps names, in any case, to a value or an array of
** values; a list of {name, value} or {name = name, value = value}; both at once; or an object that
** behaves like one through its metamethods. HTTP servers differ, and a trace must get through. The
** metamethods of an object may raise, and must not suspend.
*/
#ifndef CP_LUA_CARRIER_H
#define CP_LUA_CARRIER_H

#include <stdbool.h>

#include "compat.h"

#pragma GCC visibility push(hidden)

/*
** Raises unless the argument can be read as headers: a table, or a userdata with __pairs or
** __index.   [-0, +0, e]
*/
void carrier_check_readable(lua_State *L, int arg, const char *function);

/* Whether the value is an empty table without a metatable.   [-0, +0, -] */
bool carrier_is_empty(lua_State *L, int headers);

/*
** Raises unless headers can be set in the argument: a table, or a userdata with __newindex, or with
** the methods `upsert` and `delete`.   [-0, +0, e]
*/
void carrier_check_writable(lua_State *L, int arg, const char *function);

/*
** Pushes all values of the header, joined by ",", and returns their number. Pushes "" for none.
** [-0, +1, e]
**   name  in lower case
** Values from the list come before those of named keys. The list's are in its order; those of names
** that differ only in case are in the order of the names' bytes. A number counts as its text; other
** types count as no value.
*/
int carrier_push(lua_State *L, int headers, const char *name);

/*
** Pops a string, or nil, and sets the header to it, or removes it. Removes the header under any
** other spelling. In a list the new entry takes the place of the header's first one, or the last
** place. Raises if the headers can be read and do not have the header afterwards.   [-1, +0, e]
*/
void carrier_set(lua_State *L, int headers, const char *name);

#pragma GCC visibility pop

#endif
