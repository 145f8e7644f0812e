/* The C API for hosts (coropanic.h). */
#include "coropanic.h"
#include "loop/scheduler.h"
#include "lua/lib.h"
#include "scope/spawn.h"

/* Returns the state's runtime; opens the module if no code has done so.   [-0, +0, m] */
static runtime *open_runtime(lua_State *L) {
  runtime *rt = runtime_find(L);
  if (rt == NULL) {
    luaL_requiref(L, "coropanic.core", luaopen_coropanic_core, 0);
    lua_pop(L, 1);
    rt = runtime_find(L);
  }
  if (rt->closed) runtime_refuse_closed(L);
  return rt;
}

void cp_spawn(lua_State *L, int arguments) {
  runtime *rt = open_runtime(L);
  int function = lua_gettop(L) - arguments;
  if (!lua_isfunction(L, function) && luaL_getmetafield(L, function, "__call") == LUA_TNIL) {
    luaL_error(L, "cp_spawn: function expected, got %s", luaL_typename(L, function));
  }
  lua_settop(L, function + arguments);
  scope_spawn_options options = {0};
  task_push_tables(rt, L, arguments, &options.task.tables);
  scope_spawn(rt, L, arguments, &options);
  lua_replace(L, function);
  lua_settop(L, function);
}

int cp_step(lua_State *L, double budget) {
  runtime *rt = open_runtime(L);
  return scheduler_step(rt, L, clock_deadline_ns(0, budget > 0 ? budget : 0));
}

double cp_timeout(lua_State *L) {
  const runtime *rt = runtime_find(L);
  if (rt == NULL || rt->closed) return -1;
  int64_t next = scheduler_next_deadline(rt);
  if (next == TIME_FOREVER) return -1;
  int64_t now = runtime_now(rt);
  return next <= now ? 0 : (double)(next - now) / (double)NS_PER_SECOND;
}
