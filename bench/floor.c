/*
** The floor: what a switch costs at least, a bare C loop of lua_resume over a ring of coroutines
** that call a C function which yields.
**   floor.switch(n, rounds)  resumes each of n coroutines `rounds` times
*/
#include <lauxlib.h>
#include <lua.h>

static int floor_yield(lua_State *L) { return lua_yield(L, 0); }

/* (n, rounds, fn) fn(yield) is what each coroutine runs. */
static int floor_switch(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  lua_Integer rounds = luaL_checkinteger(L, 2);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  lua_State **ring = lua_newuserdatauv(L, (size_t)n * sizeof(lua_State *), 0);
  lua_createtable(L, (int)n, 0);
  for (lua_Integer i = 0; i < n; i++) {
    ring[i] = lua_newthread(L);
    lua_pushvalue(L, 3);
    lua_pushcfunction(L, floor_yield);
    lua_xmove(L, ring[i], 2);
    lua_rawseti(L, -2, i + 1);
  }
  for (lua_Integer r = 0; r < rounds; r++) {
    for (lua_Integer i = 0; i < n; i++) {
      int results;
      if (lua_resume(ring[i], L, r == 0 ? 1 : 0, &results) != LUA_YIELD)
        return luaL_error(L, "ended");
    }
  }
  return 0;
}

int luaopen_floor(lua_State *L) {
  static const luaL_Reg functions[] = {{"switch", floor_switch}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
