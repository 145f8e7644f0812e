#include "sync/bounded.h"

#include "sync/chan.h"
#include "sync/semaphore.h"

/* Counts what the collector has left of the list.   [-0, +0, -] */
static void recount(runtime *rt, lua_State *L) {
  rt->bounded_count = 0;
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->bounded_ref);
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    lua_pop(L, 1);
    rt->bounded_count++;
  }
  lua_pop(L, 1);
}

void bounded_list(runtime *rt, lua_State *L, int index) {
  index = lua_absindex(L, index);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  /* A full list is counted again now and then only: its objects may live long. */
  if (rt->bounded_count >= BOUNDED_MAX && rt->bounded_omitted % BOUNDED_MAX == 0) recount(rt, L);
  if (rt->bounded_count >= BOUNDED_MAX) {
    rt->bounded_omitted++;
    return;
  }
  rt->bounded_count++;
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->bounded_ref);
  lua_pushvalue(L, index);
  lua_pushboolean(L, 1);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* Reads the object on top of the stack. False: it is closed, and nothing waits for room in it. */
static bool read_top(lua_State *L, lua_Integer *level, lua_Integer *capacity) {
  const chan *c = chan_test(L, -1);
  if (c != NULL) {
    *level = c->count;
    *capacity = c->capacity;
    return !c->closed;
  }
  const semaphore *s = lua_touserdata(L, -1);
  *level = s->total - s->free;
  *capacity = s->total;
  return true;
}

/* Nothing here allocates, so that no finalizer lists an object meanwhile. */
lua_Integer bounded_read(runtime *rt, lua_State *L, int first) {
  lua_Integer count = 0;
  lua_Integer level, capacity;
  rt->bounded_count = 0;
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->bounded_ref);
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    lua_pop(L, 1);
    rt->bounded_count++;
    if (!read_top(L, &level, &capacity)) continue;
    count++;
    lua_pushvalue(L, -1);
    lua_rawseti(L, first, count);
    lua_pushinteger(L, level);
    lua_rawseti(L, first + 1, count);
    lua_pushinteger(L, capacity);
    lua_rawseti(L, first + 2, count);
  }
  lua_pop(L, 1);
  return count;
}
