#include "telemetry/profile.h"

#include <string.h>

const profile_type *const profile_types[PROFILE_KINDS] = {&profile_cpu, &profile_wait,
                                                          &profile_tasks, &profile_alloc};

static int64_t system_now(void) {
  static const task_clock monotonic = {.is_virtual = false};
  return clock_now_ns(&monotonic);
}

/* --- the profiler --- */

static void close_profiler(runtime *rt) {
  for (int i = 0; i < PROFILE_KINDS; i++) {
    if (rt->profiler->running[i] != NULL) profile_stop(rt->profiler->running[i]);
  }
}

profiler *profiler_of(runtime *rt, lua_State *L) {
  if (rt->profiler != NULL) return rt->profiler;
  profiler *all = mem_new(&rt->memory, sizeof(profiler));
  if (all == NULL) {
    luaL_error(L, "not enough memory");
    compat_unreachable();
  }
  memset(all, 0, sizeof(*all));
  all->part.close = close_profiler;
  rt->profiler = all;
  runtime_add_part(rt, &all->part);
  return all;
}

/* --- a profile --- */

static profile *new_profile(runtime *rt, lua_State *L, const profile_type *type) {
  profile *p = mem_new(&rt->memory, type->size);
  if (p == NULL) {
    luaL_error(L, "not enough memory");
    compat_unreachable();
  }
  memset(p, 0, type->size);
  p->type = type;
  p->rt = rt;
  profile_store_init(&p->store, rt->memory);
  return p;
}

/* (profile, light): begins it; called protected, so that it is freed if it can't begin. */
static int begin(lua_State *L) {
  profile *p = lua_touserdata(L, 1);
  p->type->begin(p, L);
  return 0;
}

profile *profile_start(runtime *rt, lua_State *L, int kind, int64_t hz, const char *function) {
  profiler *all = profiler_of(rt, L);
  const profile_type *type = profile_types[kind];
  if (all->running[kind] != NULL) {
    luaL_error(L, "%s: a profile of kind '%s' runs already", function, type->name);
  }
  profile *p = new_profile(rt, L, type);
  p->hz = hz;
  p->began_wall_ns = clock_wall_ns();
  p->began_ns = system_now();
  lua_pushcfunction(L, begin);
  lua_pushlightuserdata(L, p);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
    profile_free(p);
    luaL_error(L, "%s: %s", function, lua_tostring(L, -1));
  }
  p->runs = true;
  all->running[kind] = p;
  return p;
}

void profile_stop(profile *p) {
  if (!p->runs) return;
  p->runs = false;
  p->lasted_ns = system_now() - p->began_ns;
  p->type->end(p);
  profile **running = p->rt->profiler->running;
  for (int i = 0; i < PROFILE_KINDS; i++) {
    if (running[i] == p) running[i] = NULL;
  }
}

void profile_finish(profile *p, lua_State *L) {
  if (p->runs && p->type->finish != NULL) p->type->finish(p, L);
  profile_stop(p);
}

void profile_free(profile *p) {
  if (p == NULL) return;
  profile_stop(p);
  profile_store_free(&p->store);
  allocator memory = p->store.memory;
  mem_free(&memory, p, p->type->size);
}
