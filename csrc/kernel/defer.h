/* Deferring calls in running code, for co.defer and for hosts. */
#ifndef CP_KERNEL_DEFER_H
#define CP_KERNEL_DEFER_H

#include "compat.h"
#include "kernel/runtime.h"

#pragma GCC visibility push(hidden)

/*
** Returns the frame stack of the code that runs on L. Raises unless a call can be deferred in it: a
** frame is open.   [-0, +0, e]
**   name  the API function
*/
frame_stack *defer_check_frame(runtime *rt, lua_State *L, const char *name);

/*
** Moves a function and its arguments, the top `count` values, to the innermost frame of that frame
** stack, as a deferred call. Returns its serial. Raises if there is no memory, or are too many.
** [-count, +0, e]
*/
uint64_t defer_call(runtime *rt, lua_State *L, frame_stack *s, int count);

#pragma GCC visibility pop

#endif
