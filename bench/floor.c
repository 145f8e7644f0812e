/*
** The floor: what a switch costs at least, a bare C loop of lua_resume over a ring of coroutines
** that call a C function which yields.
**   ring = floor.ring(n, fn, ...)  n coroutines, each begun as fn(yield, ...) and run to its first
**                                  yield
**   floor.shuffle(ring)            brings them into an order that has nothing to do with that of their
**                                  memory
**   floor.turn(ring, rounds)       resumes each of them `rounds` times; they are to yield each time
*/
#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>

typedef struct ring {
  lua_Integer length;
  lua_State *threads[]; /* kept alive by a table, the userdata's user value */
} ring;

static int floor_yield(lua_State *L) { return lua_yield(L, 0); }

static void resume(lua_State *L, lua_State *thread, int arguments) {
  int results;
  if (lua_resume(thread, L, arguments, &results) != LUA_YIELD) luaL_error(L, "a coroutine ended");
}

static int floor_ring(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n > 0 && n <= 10000000, 1, "1 to 10000000 expected");
  luaL_checktype(L, 2, LUA_TFUNCTION);
  int last = lua_gettop(L);
  ring *r = lua_newuserdatauv(L, sizeof(ring) + (size_t)n * sizeof(lua_State *), 1);
  r->length = n;
  lua_createtable(L, (int)n, 0);
  for (lua_Integer i = 0; i < n; i++) {
    lua_State *thread = r->threads[i] = lua_newthread(L);
    lua_rawseti(L, -2, i + 1);
    lua_pushvalue(L, 2);
    lua_pushcfunction(L, floor_yield);
    for (int argument = 3; argument <= last; argument++) lua_pushvalue(L, argument);
    lua_xmove(L, thread, last);
    resume(L, thread, last - 1);
  }
  lua_setiuservalue(L, -2, 1);
  return 1;
}

/* Park and Miller's minimal standard: the same order each time. */
static int floor_shuffle(lua_State *L) {
  luaL_checktype(L, 1, LUA_TUSERDATA);
  ring *r = lua_touserdata(L, 1);
  uint64_t state = 1;
  for (lua_Integer i = r->length - 1; i > 0; i--) {
    state = state * 16807 % 2147483647;
    lua_Integer k = (lua_Integer)(state % (uint64_t)(i + 1));
    lua_State *thread = r->threads[i];
    r->threads[i] = r->threads[k];
    r->threads[k] = thread;
  }
  return 0;
}

static int floor_turn(lua_State *L) {
  luaL_checktype(L, 1, LUA_TUSERDATA);
  const ring *r = lua_touserdata(L, 1);
  lua_Integer rounds = luaL_checkinteger(L, 2);
  for (lua_Integer i = 0; i < rounds; i++) {
    for (lua_Integer k = 0; k < r->length; k++) resume(L, r->threads[k], 0);
  }
  return 0;
}

int luaopen_floor(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"ring", floor_ring}, {"shuffle", floor_shuffle}, {"turn", floor_turn}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
