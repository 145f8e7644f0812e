#include "lua/lib.h"

#include <string.h>

#include "coropanic.h"
#include "kernel/args.h"
#include "lua/lib_trace.h"
#include "lua/version.h"

void lib_register(lua_State *L, runtime *rt, const luaL_Reg *functions) {
  lua_pushlightuserdata(L, rt);
  luaL_setfuncs(L, functions, 1);
}

void lib_new_type(lua_State *L, runtime *rt, const char *type, const luaL_Reg *methods,
                  const luaL_Reg *metamethods) {
  luaL_newmetatable(L, type);
  lib_register(L, rt, metamethods);
  lua_newtable(L);
  lib_register(L, rt, methods);
  lua_setfield(L, -2, "__index");
  lua_pushstring(L, strchr(type, '.') + 1);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

int lib_set_hook(lua_State *L, int uv, const char *function) {
  runtime *rt = runtime_of(L);
  lua_settop(L, 1);
  if (!lua_isnil(L, 1)) arg_check_function(L, 1, function);
  runtime_push_value(rt, L, uv);
  lua_insert(L, 1);
  runtime_set_value(rt, L, uv);
  return 1;
}

int luaopen_coropanic_core(lua_State *L) {
  version_check(L);
  runtime *rt = runtime_open(L);
  if (rt->closed) return runtime_refuse_closed(L);
  lua_newtable(L);
  lua_pushliteral(L, CP_VERSION);
  lua_setfield(L, -2, "_VERSION");
#define OPEN(name) lib_##name##_open(L, rt);
  LIB_FILES(OPEN)
#undef OPEN
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, lib_trace_open, 1);
  lua_call(L, 0, 1);
  lua_setfield(L, -2, "trace");
  return 1;
}
