/*
** Reads headers that are an object, or contain objects: the Lua module coropanic.headers asks their
** metamethods.
*/
#ifndef CP_LUA_CARRIER_OBJECT_H
#define CP_LUA_CARRIER_OBJECT_H

#include <stdbool.h>

#include "compat.h"

#pragma GCC visibility push(hidden)

/* Whether the value's metatable has the field.   [-0, +0, m] */
bool carrier_has_metafield(lua_State *L, int index, const char *field);

/* Whether the value answers by __pairs or __index.   [-0, +0, m] */
bool carrier_is_object(lua_State *L, int index);

/*
** Pushes a plain table with the header as the value at `headers` has it, and with the entries of
** its list, in their forms.   [-0, +1, e]
*/
void carrier_push_plain(lua_State *L, int headers, const char *name);

#pragma GCC visibility pop

#endif
