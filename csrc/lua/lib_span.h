/*
** co.trace.span, event, set, on_span, sampler, fields.
*/
#ifndef CP_LUA_LIB_SPAN_H
#define CP_LUA_LIB_SPAN_H

#include "compat.h"

#pragma GCC visibility push(hidden)

/* Adds them to co.trace, on top of the stack. The runtime is upvalue 1.   [-0, +0, m] */
void lib_span_open(lua_State *L);

#pragma GCC visibility pop

#endif
