/*
** co.trace.baggage, set_baggage.
*/
#ifndef CP_LUA_LIB_BAGGAGE_H
#define CP_LUA_LIB_BAGGAGE_H

#include "compat.h"

#pragma GCC visibility push(hidden)

/* Adds them to co.trace, on top of the stack. The runtime is upvalue 1.   [-0, +0, m] */
void lib_baggage_open(lua_State *L);

#pragma GCC visibility pop

#endif
