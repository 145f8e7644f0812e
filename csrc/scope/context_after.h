/*
** The callbacks of ctx:after: functions that a context starts when it ends, each in a task of its
** own that goes on in the trace of the code that registered it.
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
** Pops a function and pushes a callback of the context at `index`. The function is started when the
** context ends; at once if it has ended.   [-1, +1, m]
*/
void context_after_add(runtime *rt, lua_State *L, int index);

/*
** Stops the callback at the absolute `index` from being started. Returns false if it was started or
** stopped already.   [-0, +0, -]
*/
bool context_after_stop(runtime *rt, lua_State *L, int index);

#pragma GCC visibility pop

#endif
