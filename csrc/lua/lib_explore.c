/* co.ended, co.census: what coropanic.debug looks at. */
#include "core/hex.h"
#include "kernel/args.h"
#include "kernel/cancel.h"
#include "lua/lib.h"
#include "telemetry/census.h"
#include "telemetry/ended.h"
#include "telemetry/telemetry.h"

#define CENSUS_TYPE "coropanic.census"

/* The most tasks that a census keeps, and slots that it looks at in one step. */
#define CENSUS_MAX_KEPT 10000
#define CENSUS_MAX_STEP 65536

/* The most tasks of census:blockers. */
#define MAX_BLOCKERS 16

static void set_id(lua_State *L, const char *name, uint64_t id) {
  if (id != 0) lib_set_count(L, name, id);
}

/* --- co.ended --- */

static void push_ended(const runtime *rt, lua_State *L, const ended_task *t) {
  char trace_id[32];
  lua_createtable(L, 0, 10);
  lib_set_count(L, "id", t->id);
  lib_set_string(L, "name", t->name);
  set_id(L, "parent", t->parent);
  lib_set_string(L, "status", task_status_name(t->status));
  lua_pushboolean(L, t->claimed);
  lua_setfield(L, -2, "claimed");
  set_id(L, "claimed_by", t->claimed_by);
  if (t->source != CANCEL_NONE) lib_set_string(L, "source", cancel_source_name(t->source));
  set_id(L, "cancelled_by", t->cancelled_by);
  lua_pushnumber(L, (lua_Number)t->ended_ns / (lua_Number)NS_PER_SECOND);
  lua_setfield(L, -2, "ended_at");
  lib_set_string(L, "spawned_at", location_numbered(&rt->locations, t->location)->text);
  hex_encode(trace_id, t->trace_id, 16);
  lua_pushlstring(L, trace_id, sizeof(trace_id));
  lua_setfield(L, -2, "trace_id");
}

/* A copy is written, because finalizers that run meanwhile may let tasks end. */
static int explore_ended(lua_State *L) {
  runtime *rt = runtime_of(L);
  const ended_list *e = ended_watch(rt, L);
  ended_task *copies = lua_newuserdatauv(L, sizeof(ended_task) * ENDED_MAX, 0);
  const ended_task *tasks[ENDED_MAX];
  size_t count = ended_list_all(e, tasks);
  for (size_t i = 0; i < count; i++) copies[i] = *tasks[i];
  uint64_t forgotten = e->forgotten;
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    push_ended(rt, L, &copies[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_pushinteger(L, (lua_Integer)forgotten);
  return 2;
}

/* --- co.census --- */

static int explore_census(lua_State *L) {
  runtime *rt = runtime_of(L);
  lua_Integer limit = 1000;
  if (!lua_isnoneornil(L, 1)) {
    limit = arg_check_integer(L, 1, 1, "census", "tasks", 0, CENSUS_MAX_KEPT);
  }
  census_new(rt, L, (uint32_t)limit);
  luaL_setmetatable(L, CENSUS_TYPE);
  return 1;
}

static census *check_census(lua_State *L, const char *method) {
  return arg_check_self(L, CENSUS_TYPE, method);
}

static int method_step(lua_State *L) {
  census *c = check_census(L, "step");
  lua_Integer slots = 2048;
  if (!lua_isnoneornil(L, 2)) {
    slots = arg_check_integer(L, 2, 1, "step", "slots", 1, CENSUS_MAX_STEP);
  }
  lua_pushboolean(L, census_step(runtime_of(L), L, c, (uint32_t)slots));
  return 1;
}

static int method_tasks(lua_State *L) {
  census *c = check_census(L, "tasks");
  census_push_tasks(runtime_of(L), L, c);
  return 1;
}

static int method_groups(lua_State *L) {
  const runtime *rt = runtime_of(L);
  const census *c = check_census(L, "groups");
  lua_createtable(L, (int)c->group_count, 0);
  for (uint32_t i = 0; i < c->group_count; i++) {
    const census_group *g = &c->groups[i];
    lua_createtable(L, 0, 6);
    set_id(L, "parent", g->parent);
    lib_set_count(L, "first", g->first);
    lib_set_count(L, "count", g->count);
    lib_set_string(L, "spawned_at", location_numbered(&rt->locations, g->location)->text);
    lib_set_string(L, "status", task_status_name(g->status));
    if (g->wait != NULL) lib_set_string(L, "operation", g->wait->name);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static int method_count(lua_State *L) {
  const census *c = check_census(L, "count");
  lua_pushinteger(L, (lua_Integer)c->live);
  lua_pushinteger(L, (lua_Integer)c->others);
  return 2;
}

static int method_find(lua_State *L) {
  census *c = check_census(L, "find");
  lua_Integer id = arg_check_integer(L, 2, 1, "find", "id", 1, LUA_MAXINTEGER);
  lua_Integer slots = UINT32_MAX;
  if (!lua_isnoneornil(L, 3)) {
    slots = arg_check_integer(L, 3, 2, "find", "slots", 1, CENSUS_MAX_STEP);
  }
  if (!census_find(runtime_of(L), L, c, (uint64_t)id, (uint32_t)slots)) lua_pushnil(L);
  lua_pushboolean(L, census_finds_more(c));
  return 2;
}

static int method_blockers(lua_State *L) {
  check_census(L, "blockers");
  const task *t = task_test(L, 2);
  if (t == NULL) return arg_error(L, 1, "blockers", "task expected");
  uint64_t ids[MAX_BLOCKERS];
  lua_Integer count = 0;
  const task *blocker = NULL;
  bool waits = t->status == TASK_WAITING && t->wait->next_blocker != NULL && t->waits_on != NULL;
  while (waits && count < MAX_BLOCKERS &&
         (blocker = t->wait->next_blocker(t->waits_on, blocker)) != NULL) {
    ids[count++] = blocker->id;
  }
  lua_createtable(L, (int)count, 0);
  for (lua_Integer i = 0; i < count; i++) {
    lua_pushinteger(L, (lua_Integer)ids[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* (census, task) → seconds since its spawn, and in which it ran, and was ready; nil: not known */
static int method_times(lua_State *L) {
  const runtime *rt = runtime_of(L);
  check_census(L, "times");
  const task *t = task_test(L, 2);
  task_use use;
  if (t == NULL) return arg_error(L, 1, "times", "task expected");
  const telemetry *m = rt->telemetry;
  if (!telemetry_use(m, rt, t, &use)) {
    lua_pushnil(L);
    return 1;
  }
  uint64_t now = telemetry_moment(m, rt).tick;
  const uint64_t ticks[] = {now > use.since ? now - use.since : 0, use.run, use.delay};
  for (int i = 0; i < 3; i++) {
    lua_pushnumber(L, (lua_Number)telemetry_ns(m, ticks[i]) / (lua_Number)NS_PER_SECOND);
  }
  return 3;
}

void lib_explore_open(lua_State *L, runtime *rt) {
  static const luaL_Reg functions[] = {
      {"ended", explore_ended},
      {"census", explore_census},
      {NULL, NULL},
  };
  static const luaL_Reg methods[] = {
      {"step", method_step},     {"tasks", method_tasks},
      {"groups", method_groups}, {"count", method_count},
      {"find", method_find},     {"blockers", method_blockers},
      {"times", method_times},   {NULL, NULL},
  };
  static const luaL_Reg metamethods[] = {{NULL, NULL}};
  lib_register(L, rt, functions);
  lib_new_type(L, rt, CENSUS_TYPE, methods, metamethods);
}
