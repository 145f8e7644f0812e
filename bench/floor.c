/*
** The floor: what each of these costs at least in bare C over Lua's API.
**   ring = floor.ring(n, fn, ...)  n coroutines, each begun as fn(yield, ...) and run to its first
**                                  yield
**   floor.shuffle(ring)            brings them into an order that has nothing to do with that of
**                                  their memory
**   floor.turn(ring, rounds)       resumes each of them `rounds` times; they are to yield each time
**   floor.spawn(fn, n)             begins and ends n coroutines of a pool as fn(), a hundred at a
**                                  time, each with a handle of its own that is as small as can be
**   floor.traced(fn, ...)          calls fn; of an error it asks for the function, the line and the
**                                  name of all that was called, and keeps nothing of that; returns
**                                  the error, or nothing
**   floor.raise(value)             an error, to whose message no place is added
**   floor.frame(fn)                calls fn, and then what it has deferred
**   floor.defer(fn)                defers a call, which is not protected and has no handle
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

enum { BATCH = 100, HANDLE_BYTES = 64 };

static int floor_spawn(lua_State *L) {
  lua_State *threads[BATCH];
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_Integer n = luaL_checkinteger(L, 2);
  lua_settop(L, 2);
  luaL_checkstack(L, BATCH + LUA_MINSTACK, NULL);
  for (int i = 0; i < BATCH; i++) threads[i] = lua_newthread(L);
  lua_newtable(L); /* the handles' metatable */
  int metatable = lua_gettop(L);
  for (lua_Integer begun = 0; begun < n; begun += BATCH) {
    for (int i = 0; i < BATCH; i++) {
      lua_newuserdatauv(L, HANDLE_BYTES, 0);
      lua_pushvalue(L, metatable);
      lua_setmetatable(L, -2);
      lua_pushvalue(L, 1);
      lua_xmove(L, threads[i], 2); /* the handle lives as long as its coroutine runs */
    }
    for (int i = 0; i < BATCH; i++) {
      int results;
      if (lua_resume(threads[i], L, 0, &results) != LUA_OK)
        luaL_error(L, "a coroutine did not end");
      lua_settop(threads[i], 0);
    }
  }
  return 0;
}

static int walk(lua_State *L) {
  lua_Debug ar;
  for (int level = 1; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "lnf", &ar);
    lua_pop(L, 1);
  }
  return 1;
}

static int floor_traced(lua_State *L) {
  lua_pushcfunction(L, walk);
  lua_insert(L, 1);
  return lua_pcall(L, lua_gettop(L) - 2, 0, 1) == LUA_OK ? 0 : 1;
}

static int floor_raise(lua_State *L) {
  lua_settop(L, 1);
  return lua_error(L);
}

/* Deferred calls are in a table, which is upvalue 1, in their order; there is one state in a process. */
static lua_Integer deferred;

static int floor_defer(lua_State *L) {
  lua_settop(L, 1);
  lua_rawseti(L, lua_upvalueindex(1), ++deferred);
  return 0;
}

static int floor_frame(lua_State *L) {
  lua_Integer before = deferred;
  lua_settop(L, 1);
  lua_call(L, 0, 0);
  while (deferred > before) {
    lua_rawgeti(L, lua_upvalueindex(1), deferred--);
    lua_call(L, 0, 0);
  }
  return 0;
}

int luaopen_floor(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"ring", floor_ring},   {"shuffle", floor_shuffle}, {"turn", floor_turn},
      {"spawn", floor_spawn}, {"traced", floor_traced},   {"raise", floor_raise},
      {"defer", floor_defer}, {"frame", floor_frame},     {NULL, NULL}};
  luaL_newlibtable(L, functions);
  lua_newtable(L);
  luaL_setfuncs(L, functions, 1);
  return 1;
}
