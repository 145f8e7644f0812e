#include "kernel/threads.h"

void threads_open(runtime *rt, lua_State *L) {
  lua_newtable(L);
  rt->threads_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_newtable(L);
  rt->slots_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  rt->pool_max = THREAD_POOL_MAX;
}

static bool reserve_pool(runtime *rt, size_t threads) {
  if (threads <= rt->pool_capacity) return true;
  size_t capacity = rt->pool_capacity == 0 ? 16 : rt->pool_capacity * 2;
  if (capacity < threads) capacity = threads;
  pooled_thread *pool = mem_resize(&rt->memory, rt->pool, rt->pool_capacity * sizeof(pooled_thread),
                                   capacity * sizeof(pooled_thread));
  if (pool == NULL) return false;
  rt->pool = pool;
  rt->pool_capacity = capacity;
  return true;
}

void threads_drop(runtime *rt, lua_State *L, pooled_thread thread) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->slots_ref);
  lua_pushnil(L);
  lua_rawsetp(L, -2, thread.thread);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->threads_ref);
  luaL_unref(L, -1, thread.slot);
  lua_pop(L, 2);
}

/*
** (runtime, pooled_thread): makes a thread, and room in `tasks` and `ready` for its task; called
** protected. The
** table of slots gets the thread first, without a slot, so that nothing except the slot must be
** undone if the rest fails. An entry that stays does no harm, because threads_owner compares the
** threads.
*/
static int make_thread(lua_State *L) {
  runtime *rt = lua_touserdata(L, 1);
  pooled_thread *made = lua_touserdata(L, 2);
  lua_settop(L, 0);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->threads_ref);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->slots_ref);
  made->thread = lua_newthread(L);
  lua_pushinteger(L, 0);
  lua_rawsetp(L, 2, made->thread);
  made->slot = luaL_ref(L, 1);
  lua_pushinteger(L, made->slot);
  lua_rawsetp(L, 2, made->thread);
  if (!fifo_reserve(&rt->ready, &rt->memory, (size_t)made->slot))
    luaL_error(L, "not enough memory");
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->tasks_ref);
  /* luaL_ref keeps some numbers for itself; but `tasks` has a length only if it has no gaps. */
  for (lua_Integer slot = (lua_Integer)lua_rawlen(L, -1) + 1; slot <= made->slot; slot++) {
    lua_pushboolean(L, 0);
    lua_rawseti(L, -2, slot);
  }
  return 0;
}

/* Does the same as threads_take, without the hook. */
static bool take_or_make(runtime *rt, lua_State *L, pooled_thread *thread) {
  if (rt->pool_count > 0) {
    *thread = rt->pool[--rt->pool_count];
    return true;
  }
  *thread = (pooled_thread){0};
  lua_pushcfunction(L, make_thread);
  lua_pushlightuserdata(L, rt);
  lua_pushlightuserdata(L, thread);
  if (lua_pcall(L, 2, 0, 0) == LUA_OK) return true;
  lua_pop(L, 1);
  if (thread->slot != 0) threads_drop(rt, L, *thread);
  return false;
}

bool threads_take(runtime *rt, lua_State *L, pooled_thread *thread) {
  if (!take_or_make(rt, L, thread)) return false;
  int mask = lua_gethookmask(L);
  if ((mask | lua_gethookmask(thread->thread)) != 0) {
    lua_sethook(thread->thread, lua_gethook(L), mask, lua_gethookcount(L));
  }
  return true;
}

void threads_return(runtime *rt, lua_State *L, pooled_thread thread) {
  bool kept = rt->pool_count < rt->pool_max && lua_gethookmask(thread.thread) == 0 &&
              reserve_pool(rt, rt->pool_count + 1);
  if (kept) {
    rt->pool[rt->pool_count++] = thread;
  } else {
    threads_drop(rt, L, thread);
  }
}

void threads_limit(runtime *rt, lua_State *L, size_t max) {
  rt->pool_max = max;
  while (rt->pool_count > max) threads_drop(rt, L, rt->pool[--rt->pool_count]);
}
