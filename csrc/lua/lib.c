#include "lua/lib.h"

#include <string.h>

#include "kernel/args.h"

void lib_register(lua_State *L, runtime *rt, const luaL_Reg *functions) {
  lua_pushlightuserdata(L, rt);
  luaL_setfuncs(L, functions, 1);
}

void lib_register_spawners(lua_State *L, runtime *rt, const luaL_Reg *functions) {
  lua_pushlightuserdata(L, rt);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->task_type_ref);
  luaL_setfuncs(L, functions, 2);
}

void lib_add_spawners(lua_State *L, runtime *rt, const char *type, const luaL_Reg *methods) {
  luaL_getmetatable(L, type);
  lua_getfield(L, -1, "__index");
  lib_register_spawners(L, rt, methods);
  lua_pop(L, 2);
}

cancel_source lib_cancel_source(lua_State *L, int arg, cancel_source fallback) {
  static const char *const words[] = {"boundary", "hedge", "supervisor", NULL};
  if (lua_isnoneornil(L, arg)) return fallback;
  return (cancel_source)(CANCEL_BOUNDARY + luaL_checkoption(L, arg, NULL, words));
}

/* Pushes a table of the functions. Those in front take the better places in it.   [-0, +1, m] */
static void push_methods(lua_State *L, runtime *rt, const luaL_Reg *methods) {
  int count = 0;
  while (methods[count].name != NULL) count++;
  lua_createtable(L, 0, count);
  lib_register(L, rt, methods);
}

/*
** Every call of a method looks for __index in the metatable, and then for the method. In a table
** that has its room from the beginning, the first key is found at the first look. Where Lua's own
** functions make the table, keys move when it grows, and what a call costs depends on the process.
*/
void lib_new_type(lua_State *L, runtime *rt, const char *type, const luaL_Reg *methods,
                  const luaL_Reg *metamethods) {
  enum { FIELDS = 8 }; /* of the metatable */
  if (luaL_getmetatable(L, type) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_createtable(L, 0, FIELDS);
  }
  push_methods(L, rt, methods);
  lua_setfield(L, -2, "__index");
  lua_pushstring(L, type);
  lua_setfield(L, -2, "__name");
  lua_setfield(L, LUA_REGISTRYINDEX, type);
  runtime_new_type(rt, L, type, metamethods);
  lua_pushstring(L, strchr(type, '.') + 1);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

void lib_set_count(lua_State *L, const char *name, uint64_t count) {
  lua_pushinteger(L, (lua_Integer)count);
  lua_setfield(L, -2, name);
}

void lib_set_string(lua_State *L, const char *name, const char *string) {
  lua_pushstring(L, string);
  lua_setfield(L, -2, name);
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
