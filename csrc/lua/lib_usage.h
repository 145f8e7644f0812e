/* co.trace.usage */
#ifndef CP_LUA_LIB_USAGE_H
#define CP_LUA_LIB_USAGE_H

#include "compat.h"

#pragma GCC visibility push(hidden)

/* Adds its function to the table co.trace on top of the stack. The runtime is upvalue 1.   [-0, +0, m] */
void lib_usage_open(lua_State *L);

#pragma GCC visibility pop

#endif
