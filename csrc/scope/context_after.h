/*
** What a context calls when it ends: functions, each in a task of its own that goes on with the trace
** of the code that asked for it.
*/
#ifndef CP_SCOPE_CONTEXT_AFTER_H
#define CP_SCOPE_CONTEXT_AFTER_H

#include <stdbool.h>

#include "compat.h"
#include "scope/context.h"

#pragma GCC visibility push(hidden)

#define AFTER_TYPE "coropanic.after"

/* Makes the metatable.   [-0, +0, m] */
void context_after_open(runtime *rt, lua_State *L);

/*
** Pushes a callback of the context at `index`: the function on top of the stack, to be started when
** it ends; at once, if it has ended.   [-1, +1, m]
*/
void context_after_add(runtime *rt, lua_State *L, int index);

/*
** Keeps the callback at `index`, absolute, from being started. False: it was started or stopped
** already.   [-0, +0, -]
*/
bool context_after_stop(runtime *rt, lua_State *L, int index);

#pragma GCC visibility pop

#endif
