#include "lua/carrier_object.h"

#include "lua/lua_module.h"

#define MODULE "coropanic.headers"

bool carrier_has_metafield(lua_State *L, int index, const char *field) {
  if (luaL_getmetafield(L, index, field) == LUA_TNIL) return false;
  lua_pop(L, 1);
  return true;
}

bool carrier_is_object(lua_State *L, int index) {
  if (!lua_getmetatable(L, index)) return false;
  lua_pop(L, 1);
  return carrier_has_metafield(L, index, "__pairs") || carrier_has_metafield(L, index, "__index");
}

/*
** --- functions for the Lua module ---
** The module calls metamethods through these C functions, so that an error that blames its caller,
** error(message, 2), names no line of the module.
*/

/* (value, field) → the field of its metatable, even if __metatable hides that */
static int get_metafield(lua_State *L) {
  return luaL_getmetafield(L, 1, lua_tostring(L, 2)) == LUA_TNIL ? 0 : 1;
}

/* (object, key) → its value */
static int get(lua_State *L) {
  lua_gettable(L, 1);
  return 1;
}

/* (function, ...) → its results */
static int call(lua_State *L) {
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

void carrier_push_plain(lua_State *L, int headers, const char *name) {
  headers = lua_absindex(L, headers);
  lua_module_push(L, MODULE, "headers that are objects need the Lua module 'coropanic.headers':");
  lua_pushvalue(L, headers);
  lua_pushstring(L, name);
  lua_pushcfunction(L, get_metafield);
  lua_pushcfunction(L, get);
  lua_pushcfunction(L, call);
  lua_call(L, 5, 1);
  if (!lua_istable(L, -1))
    luaL_error(L, "'coropanic.headers' is not the module that coropanic brings");
}
