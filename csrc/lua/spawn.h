/*
** Spawning with options, for co.spawn_with and for scopes.
*/
#ifndef CP_LUA_SPAWN_H
#define CP_LUA_SPAWN_H

#include "compat.h"

#pragma GCC visibility push(hidden)

struct scope;

/*
** Expects (options, function, arguments...) on the stack; pushes the task. Return its result from a
** C function that lib_register_spawners has registered.
**   scope  the scope of the task; NULL: the innermost one
*/
int spawn_with(lua_State *L, struct scope *scope);

#pragma GCC visibility pop

#endif
