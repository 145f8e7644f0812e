#include "kernel/threads.h"

/* See make_spares: a sixty-fourth of the memory of tasks, at most. */
#define LIVE_PER_SPARE 64

void threads_open(runtime *rt, lua_State *L) {
  slot_values_init(&rt->slot_values, L);
  rt->slot_values_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  slots_init(&rt->slots);
  rt->pool_max = THREAD_POOL_MAX;
}

uint32_t threads_find(const runtime *rt, lua_State *L, const lua_State *thread) {
  if (!rt->closed) return slots_find(&rt->slots, thread);
  for (uint32_t slot = 1; slot < rt->slot_values.count; slot++) {
    slot_values_push(&rt->slot_values, L, slot, SLOT_THREAD);
    bool found = lua_tothread(L, -1) == thread;
    lua_pop(L, 1);
    if (found) return slot;
  }
  return 0;
}

void threads_drop(runtime *rt, uint32_t slot) {
  slots_remove(&rt->slots, slot);
  slot_values_clear(&rt->slot_values, slot, SLOT_THREAD);
}

/* What make_threads is to make, and has made. */
typedef struct making {
  runtime *runtime;
  size_t wanted;
} making;

/* Makes a thread, with room for it and its task, that rests in the pool.   [-0, +0, m] */
static void make_thread(runtime *rt, lua_State *L) {
  lua_State *thread = lua_newthread(L);
  /* A finalizer that runs meanwhile may reserve the same slot: so what follows runs none. */
  uint32_t slot;
  while ((slot = slots_reserve(&rt->slots, &rt->memory)) >= rt->slot_values.count) {
    slot_values_reserve(&rt->slot_values, L, slot);
  }
  if (slot == 0 || !fifo_reserve(&rt->ready, &rt->memory, slot)) {
    luaL_error(L, "not enough memory");
  }
  slot_values_set(&rt->slot_values, L, slot, SLOT_THREAD);
  slots_add(&rt->slots, thread);
  rt->slots.at[slot].next = rt->pool;
  rt->pool = slot;
  rt->pool_count++;
}

/* (making): called protected, so that those that were made before an error are kept. */
static int make_threads(lua_State *L) {
  const making *m = lua_touserdata(L, 1);
  for (size_t i = 0; i < m->wanted; i++) make_thread(m->runtime, L);
  return 0;
}

/*
** Makes a thread, if there is memory. If many tasks are alive, makes more of them ahead, one a
** LIVE_PER_SPARE of these, so that their stacks lie side by side in memory. At the end of each cycle
** Lua's collector looks at all of these stacks in one step, which takes half as long as with tasks and
** their values between them. A spare thread costs what it would cost later, so this makes spawning no
** dearer. Returns false if there was no memory for all.   [-0, +0, -]
*/
static bool make(runtime *rt, lua_State *L) {
  size_t spares = rt->live_count / LIVE_PER_SPARE;
  making m = {.runtime = rt, .wanted = 1 + (spares < rt->pool_max ? spares : rt->pool_max)};
  lua_pushcfunction(L, make_threads);
  lua_pushlightuserdata(L, &m);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return true;
  lua_pop(L, 1);
  return false;
}

uint32_t threads_take_new(runtime *rt, lua_State *L) {
  uint32_t slot = 0;
  /* A finalizer or a debug hook that runs meanwhile may take them all. */
  for (bool goes_on = true; slot == 0 && goes_on; slot = threads_take_resting(rt)) {
    goes_on = make(rt, L);
  }
  return slot;
}

void threads_return(runtime *rt, uint32_t slot) {
  if (rt->pool_count >= rt->pool_max || lua_gethookmask(threads_at(rt, slot)) != 0) {
    threads_drop(rt, slot);
    return;
  }
  rt->slots.at[slot].next = rt->pool;
  rt->pool = slot;
  rt->pool_count++;
}

void threads_limit(runtime *rt, size_t max) {
  rt->pool_max = max;
  while (rt->pool_count > max) threads_drop(rt, threads_take_resting(rt));
}
