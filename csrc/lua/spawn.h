/*
** Spawning with options, for co.spawn_with and for scopes.
*/
#ifndef CP_LUA_SPAWN_H
#define CP_LUA_SPAWN_H

#include "compat.h"

#pragma GCC visibility push(hidden)

struct region;

/*
** (options, function, arguments...) on the stack → the task. To be returned from a C function.
**   scope  that the task joins; NULL: the innermost one
*/
int spawn_with(lua_State *L, struct region *scope);

#pragma GCC visibility pop

#endif
