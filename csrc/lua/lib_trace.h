/* co.trace: the trace of the running code, and reading and writing headers. */
#ifndef CP_LUA_LIB_TRACE_H
#define CP_LUA_LIB_TRACE_H

#include "compat.h"

#pragma GCC visibility push(hidden)

/* Pushes the table co.trace. The runtime is upvalue 1.   [-0, +1, m] */
int lib_trace_open(lua_State *L);

#pragma GCC visibility pop

#endif
