/* Modules in Lua that C functions of the API call. */
#ifndef CP_LUA_LUA_MODULE_H
#define CP_LUA_LUA_MODULE_H

#include "compat.h"

#pragma GCC visibility push(hidden)

/*
** Pushes the function that the module returns, and loads the module the first time. If it can not be
** loaded, raises an error that begins with `complaint`.   [-0, +1, e]
*/
void lua_module_push(lua_State *L, const char *module, const char *complaint);

#pragma GCC visibility pop

#endif
