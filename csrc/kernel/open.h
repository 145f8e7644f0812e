/*
** Makes the runtime, of which every file of the kernel has a part, and closes it with its universe.
*/
#ifndef CP_KERNEL_OPEN_H
#define CP_KERNEL_OPEN_H

#include "compat.h"
#include "kernel/runtime.h"

#pragma GCC visibility push(hidden)

/*
** Makes the universe's runtime. The universe must not have one yet.   [-0, +0, m]
**   report  see the field of runtime
*/
runtime *open_runtime(lua_State *L, void (*report)(lua_State *L, int index));

#pragma GCC visibility pop

#endif
