/*
** Checks how deep C calls can still nest (Lua allows 200). Lua does not tell the depth, so these
** functions try it.
*/
#ifndef CP_KERNEL_C_STACK_H
#define CP_KERNEL_C_STACK_H

#include "compat.h"

#pragma GCC visibility push(hidden)

/*
** Raises Lua's "C stack overflow" unless `levels` more C functions could call one another.
** [-0, +0, e]
*/
void c_stack_check(lua_State *L, int levels);

/* The same, for an L that seldom is as deep: cheap if its stack is short.   [-0, +0, e] */
void c_stack_check_host(lua_State *L, int levels);

#pragma GCC visibility pop

#endif
