/*
** The last events of a panic record as Lua values.
*/
#ifndef CP_LUA_RECORD_EVENTS_H
#define CP_LUA_RECORD_EVENTS_H

#include "compat.h"

#pragma GCC visibility push(hidden)

/* Pushes an array of the last events of the record at `index`, or nil if it has none.   [-0, +1, m] */
void record_events_push(lua_State *L, int index);

#pragma GCC visibility pop

#endif
