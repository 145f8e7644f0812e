/*
** Whether this is a Lua that the module can run in. The headers that it was compiled with do not
** tell: all releases of 5.4 say 504, and load the same modules.
*/
#ifndef CP_LUA_VERSION_H
#define CP_LUA_VERSION_H

#include "compat.h"

#pragma GCC visibility push(hidden)

/*
** Raises an error that says which Lua is wanted if this one will not do.   [-0, +0, e]
** Called before anything else of the module.
*/
void version_check(lua_State *L);

#pragma GCC visibility pop

#endif
