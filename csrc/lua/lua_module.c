#include "lua/lua_module.h"

void lua_module_push(lua_State *L, const char *module, const char *complaint) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  int type = lua_getfield(L, -1, module);
  lua_remove(L, -2);
  if (type == LUA_TFUNCTION) return;
  lua_pop(L, 1);
  lua_getglobal(L, "require");
  lua_pushstring(L, module);
  int status = lua_pcall(L, 1, 1, 0);
  if (status == LUA_OK) return;
  if (status == LUA_ERRMEM || lua_type(L, -1) != LUA_TSTRING) lua_error(L);
  luaL_error(L, "%s %s", complaint, lua_tostring(L, -1));
}
