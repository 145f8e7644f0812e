/*
** co.trace.use: chooses the generator of trace ids.
*/
#ifndef CP_LUA_LIB_TRACE_USE_H
#define CP_LUA_LIB_TRACE_USE_H

#include "compat.h"

#pragma GCC visibility push(hidden)

/* Adds `use` to co.trace, on top of the stack. The runtime is upvalue 1.   [-0, +0, m] */
void lib_trace_use_open(lua_State *L);

#pragma GCC visibility pop

#endif
