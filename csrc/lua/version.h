/*
** Checks whether the module can run in this Lua. The headers of the compilation do not tell: all
** releases of 5.4 say 504, and load the same modules.
*/
#ifndef CP_LUA_VERSION_H
#define CP_LUA_VERSION_H

#include "compat.h"

#pragma GCC visibility push(hidden)

/*
** Raises an error that names the Lua that is needed, if this one will not do.   [-0, +0, e]
** Call it before anything else of the module.
*/
void version_check(lua_State *L);

#pragma GCC visibility pop

#endif
