/* luaopen_coropanic_core: the module's table. */
#include <lualib.h>
#include <string.h>

#include "coropanic.h"
#include "kernel/open.h"
#include "loop/loop.h"
#include "lua/debug_variable.h"
#include "lua/lib.h"
#include "lua/lib_trace.h"
#include "lua/version.h"
#include "report/report.h"

/*
** Notes where our Lua files are, as require finds them. A host may have no module `package`.
** [-0, +0, m]
*/
static void find_library(lua_State *L, runtime *rt) {
  static const char name[] = "resilience.lua"; /* of a file next to the others */
  int top = lua_gettop(L);
  if (lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE) == LUA_TTABLE &&
      lua_getfield(L, -1, LUA_LOADLIBNAME) == LUA_TTABLE &&
      lua_getfield(L, -1, "searchpath") == LUA_TFUNCTION) {
    lua_pushliteral(L, "coropanic.resilience");
    lua_getfield(L, -3, "path");
    if (lua_pcall(L, 2, 1, 0) == LUA_OK && lua_isstring(L, -1)) {
      size_t length;
      lua_pushfstring(L, "@%s", lua_tostring(L, -1));
      const char *source = lua_tolstring(L, -1, &length);
      size_t prefix = length - (sizeof(name) - 1);
      if (length > sizeof(name) && strcmp(source + prefix, name) == 0) {
        location_table_set_library(&rt->locations, source, prefix);
      }
    }
  }
  lua_settop(L, top);
}

int luaopen_coropanic_core(lua_State *L) {
  version_check(L);
  runtime *rt = runtime_find(L);
  if (rt == NULL) rt = open_runtime(L, report_to_stderr);
  if (rt->closed) return runtime_refuse_closed(L);
  bool is_new = rt->loop == NULL;
  if (is_new) {
    loop_open(rt, L);
    find_library(L, rt);
  }
  lua_newtable(L);
  lua_pushliteral(L, CP_VERSION);
  lua_setfield(L, -2, "_VERSION");
#define OPEN(name) lib_##name##_open(L, rt);
  LIB_FILES(OPEN)
#undef OPEN
  lua_pushlightuserdata(L, rt);
  lua_pushcclosure(L, lib_trace_open, 1);
  lua_call(L, 0, 1);
  lua_setfield(L, -2, "trace");
  if (is_new) debug_variable_apply(L, rt);
  return 1;
}
