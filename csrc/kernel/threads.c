#include "kernel/threads.h"

/* See make_spares: a sixty-fourth of the memory of tasks, at most. */
#define LIVE_PER_SPARE 64

void threads_open(runtime *rt, lua_State *L) {
  lua_newtable(L);
  rt->threads_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  slots_init(&rt->slots);
  rt->pool_max = THREAD_POOL_MAX;
}

uint32_t threads_find(const runtime *rt, lua_State *L, const lua_State *thread) {
  if (!rt->closed) return slots_find(&rt->slots, thread);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->threads_ref);
  uint32_t slot = (uint32_t)lua_rawlen(L, -1);
  bool found = false;
  while (slot > 0 && !found) {
    lua_rawgeti(L, -1, slot);
    found = lua_tothread(L, -1) == thread;
    lua_pop(L, 1);
    if (!found) slot--;
  }
  lua_pop(L, 1);
  return slot;
}

void threads_drop(runtime *rt, lua_State *L, uint32_t slot) {
  slots_remove(&rt->slots, slot);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->threads_ref);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -2, slot);
  lua_pop(L, 1);
}

/*
** (runtime, slot): makes a thread, and room in `tasks` and `ready` for its task; called protected.
** What follows lua_newthread runs no finalizer, so the slot stays reserved. If it fails, nothing must
** be undone.
*/
static int make_thread(lua_State *L) {
  runtime *rt = lua_touserdata(L, 1);
  uint32_t *made = lua_touserdata(L, 2);
  lua_State *thread = lua_newthread(L);
  uint32_t slot = slots_reserve(&rt->slots, &rt->memory);
  if (slot == 0 || !fifo_reserve(&rt->ready, &rt->memory, slot)) {
    return luaL_error(L, "not enough memory");
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->tasks_ref);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -2, slot);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->threads_ref);
  lua_pushvalue(L, 3);
  lua_rawseti(L, -2, slot);
  slots_add(&rt->slots, thread);
  *made = slot;
  return 0;
}

/* Takes a thread out of the pool; 0: none rests. */
static inline uint32_t take(runtime *rt) {
  uint32_t slot = rt->pool;
  if (slot == 0) return 0;
  rt->pool = rt->slots.at[slot].next;
  rt->pool_count--;
  return slot;
}

/* Returns the slot of a new thread; 0: there is no memory.   [-0, +0, -] */
static uint32_t make(runtime *rt, lua_State *L) {
  uint32_t slot = 0;
  lua_pushcfunction(L, make_thread);
  lua_pushlightuserdata(L, rt);
  lua_pushlightuserdata(L, &slot);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
  return slot;
}

/*
** If many tasks are alive, makes some threads ahead, one a LIVE_PER_SPARE of these, so that their
** stacks lie side by side in memory. At the end of each cycle Lua's collector looks at all of these
** stacks in one step, which takes half as long as with tasks and their values between them. A spare
** thread costs what it would cost later, so this makes spawning no dearer.   [-0, +0, -]
*/
static void make_spares(runtime *rt, lua_State *L) {
  size_t count = rt->live_count / LIVE_PER_SPARE;
  if (count > rt->pool_max) count = rt->pool_max;
  uint32_t first = 0;
  uint32_t last = 0;
  size_t made = 0;
  while (made < count) {
    uint32_t slot = make(rt, L);
    if (slot == 0) break;
    if (made++ == 0) {
      first = slot;
    } else {
      rt->slots.at[last].next = slot;
    }
    last = slot;
  }
  if (made == 0) return;
  rt->slots.at[last].next = rt->pool;
  rt->pool = first;
  rt->pool_count += made;
}

uint32_t threads_take(runtime *rt, lua_State *L) {
  uint32_t slot = take(rt);
  if (slot == 0) {
    slot = make(rt, L);
    if (slot != 0) make_spares(rt, L);
  }
  if (slot == 0) return 0;
  lua_State *thread = threads_at(rt, slot);
  int mask = lua_gethookmask(L);
  if ((mask | lua_gethookmask(thread)) != 0) {
    lua_sethook(thread, lua_gethook(L), mask, lua_gethookcount(L));
  }
  return slot;
}

void threads_return(runtime *rt, lua_State *L, uint32_t slot) {
  if (rt->pool_count >= rt->pool_max || lua_gethookmask(threads_at(rt, slot)) != 0) {
    threads_drop(rt, L, slot);
    return;
  }
  rt->slots.at[slot].next = rt->pool;
  rt->pool = slot;
  rt->pool_count++;
}

void threads_limit(runtime *rt, lua_State *L, size_t max) {
  rt->pool_max = max;
  while (rt->pool_count > max) threads_drop(rt, L, take(rt));
}
