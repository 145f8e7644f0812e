/*
** The environment variable COROPANIC_DEBUG: words that make the runtime tell of itself on stderr, as
** Go's GODEBUG.
**
**   schedtrace=N  a line about tasks and loop each N milliseconds (telemetry/schedtrace.h)
**   gctrace=1     a line for each cycle of Lua's collector
**   order=1       turns on co.order: warnings of deadlocks that can happen
*/
#ifndef CP_LUA_DEBUG_VARIABLE_H
#define CP_LUA_DEBUG_VARIABLE_H

#include "compat.h"
#include "kernel/runtime.h"

#pragma GCC visibility push(hidden)

/*
** Reads the variable and does what it says, for as long as the runtime lives. Words that it does not know
** are one line on stderr.   [-0, +0, m]
*/
void debug_variable_apply(lua_State *L, runtime *rt);

#pragma GCC visibility pop

#endif
