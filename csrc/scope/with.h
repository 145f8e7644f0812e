/*
** co.with: a body that runs under a given context, and is cancelled when that ends. It waits for no
** task: tasks that are spawned in it belong to the scope around it.
*/
#ifndef CP_SCOPE_WITH_H
#define CP_SCOPE_WITH_H

#include "scope/body.h"

#pragma GCC visibility push(hidden)

#define WITH_TYPE "coropanic.with"

/* The type of the function's frame, whose value is the body. */
extern const frame_type frame_with;

/* Opens a co.with under the context at `context`, and pushes it.   [-0, +1, m] */
body *with_open(runtime *rt, lua_State *L, int context);

#pragma GCC visibility pop

#endif
