#include "kernel/c_stack.h"

/*
** There are never more C calls than activations. A main thread with fewer activations than this has
** as many C calls left, at least, of its 200.
*/
#define SHORT_STACK 100

/* (levels): nests so many calls. */
static int nest(lua_State *L) {
  lua_Integer levels = lua_tointeger(L, 1);
  if (levels <= 1) return 0;
  lua_pushcfunction(L, nest);
  lua_pushinteger(L, levels - 1);
  lua_call(L, 1, 0);
  return 0;
}

void c_stack_check(lua_State *L, int levels) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_pushcfunction(L, nest);
  lua_pushinteger(L, levels);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_error(L);
}

void c_stack_check_host(lua_State *L, int levels) {
  lua_Debug ar;
  int is_main = lua_pushthread(L);
  lua_pop(L, 1);
  if (is_main && !lua_getstack(L, SHORT_STACK - levels, &ar)) return;
  c_stack_check(L, levels);
}
