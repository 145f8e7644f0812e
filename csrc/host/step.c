/* Driving the loop from a host's own. */
#include <errno.h>

#include "coropanic.h"
#include "host/host.h"
#include "loop/io.h"
#include "loop/scheduler.h"

/* Returns a duration in nanoseconds; 0 if it is none, or negative. */
static int64_t to_ns(double seconds) { return clock_deadline_ns(0, seconds > 0 ? seconds : 0); }

int cp_step(lua_State *L, double budget) { return scheduler_step(host_open(L), L, to_ns(budget)); }

/* (budget) → whether a task is still ready; called protected. */
static int step(lua_State *L) {
  lua_pushboolean(L, cp_step(L, lua_tonumber(L, 1)));
  return 1;
}

int cp_pstep(lua_State *L, double budget, int *more) {
  lua_pushcfunction(L, step);
  lua_pushnumber(L, budget);
  int status = lua_pcall(L, 1, 1, 0);
  int ready = status == LUA_OK && lua_toboolean(L, -1);
  if (more != NULL) *more = ready;
  if (status == LUA_OK) lua_pop(L, 1);
  return status;
}

double cp_now(lua_State *L) { return (double)runtime_now(host_open(L)) / (double)NS_PER_SECOND; }

int cp_step_until(lua_State *L, double deadline) { return cp_step(L, deadline - cp_now(L)); }

double cp_timeout(lua_State *L) {
  const runtime *rt = host_find(L);
  if (rt == NULL) return -1;
  int64_t next = scheduler_next_deadline(rt);
  if (next == TIME_FOREVER) return -1;
  int64_t now = runtime_now(rt);
  return next <= now ? 0 : (double)(next - now) / (double)NS_PER_SECOND;
}

int cp_pollfd(lua_State *L) {
  runtime *rt = host_find(L);
  if (rt != NULL) return io_pollfd(rt);
  errno = EINVAL;
  return -1;
}

int cp_shutdown(lua_State *L, double budget) {
  return scheduler_shut_down(host_open(L), L, to_ns(budget));
}

int cp_collect(lua_State *L, double seconds) { return collector_spend(L, to_ns(seconds)); }

/* Whether a function runs on L, or has resumed another thread.   [-0, +0, -] */
static bool has_activation(lua_State *L) {
  lua_Debug ar;
  return lua_getstack(L, 0, &ar) != 0;
}

/*
** Whether the state must stay, because code that runs on it would come back to it: the loop, a
** function that Lua has called, or a finalizer, in which the collector does not answer.
*/
static bool is_in_use(lua_State *L) {
  const runtime *rt = runtime_find(L);
  if (rt != NULL && (rt->closed || !scheduler_is_idle(rt))) return true;
  if (lua_gc(L, LUA_GCCOUNT) < 0 || has_activation(L)) return true;
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  lua_State *main = lua_tothread(L, -1);
  lua_pop(L, 1);
  return has_activation(main);
}

int cp_close(lua_State *L) {
  if (is_in_use(L)) return 0;
  lua_close(L);
  return 1;
}
