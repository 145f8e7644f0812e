/*
** What the Trace Explorer asks the recorder for: recorder:lanes and recorder:last.
*/
#ifndef CP_LUA_LIB_LANES_H
#define CP_LUA_LIB_LANES_H

#include "compat.h"
#include "kernel/runtime.h"

#pragma GCC visibility push(hidden)

/* Makes the type of lanes.   [-0, +0, m] */
void lib_lanes_init(lua_State *L, runtime *rt);

/* (recorder, seconds) → lanes; something is recorded.   [-0, +1, e] */
int lib_lanes_push(lua_State *L, runtime *rt);

/* (recorder, id, count) → the last events of a task; something is recorded.   [-0, +1, e] */
int lib_lanes_push_last(lua_State *L, runtime *rt);

#pragma GCC visibility pop

#endif
