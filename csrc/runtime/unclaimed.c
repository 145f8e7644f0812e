#include "runtime/unclaimed.h"

#include "runtime/handler.h"
#include "runtime/report.h"

/*
** A guard stands between an ended task and its record while the panic is held. Nobody else refers to it,
** so its finalizer runs when nobody can reach the task any more. User values: the record, the task.
*/
enum { GUARD_UV_RECORD = 1, GUARD_UV_TASK, GUARD_UV_COUNT = GUARD_UV_TASK };

#define GUARD_TYPE "coropanic.guard"

/*
** A canary is garbage made just before the guard. When the collector has found it, it has looked at the
** guard's task too (finalizers run in the reverse order of creation), in whichever mode it works.
*/
#define CANARY_TYPE "coropanic.canary"

/* Steps of the collector after which we no longer wait for a canary: those of a heap of gigabytes. */
#define NUDGE_MAX_STEPS 1000000

static task *task_of_link(list *link) { return container_of(link, task, link); }

/* Makes the value on top of the stack the entry of the task in the weak table of held ones. [-1, +0, m] */
static void set_entry(runtime *rt, lua_State *L, const task *t) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->unclaimed_ref);
  lua_insert(L, -2);
  lua_rawsetp(L, -2, t);
  lua_pop(L, 1);
}

/* The task at `index` is nobody's: its panic goes to the handler.   [-0, +0, -] */
static void report_task(runtime *rt, lua_State *L, task *t, int index) {
  unclaimed_claim(t);
  task_push_record(L, index);
  handler_report(rt, L, index);
}

/* __gc: only the guard refers to the task now. */
static int collect_guard(lua_State *L) {
  runtime *rt = runtime_of(L);
  lua_settop(L, 1);
  lua_getiuservalue(L, 1, GUARD_UV_TASK);
  task *t = task_test(L, 2);
  if (t != NULL && !t->claimed) report_task(rt, L, t, 2);
  return 0;
}

static int collect_canary(lua_State *L) {
  runtime_of(L)->canaries--;
  return 0;
}

static void set_finalizer(runtime *rt, lua_State *L, const char *type, lua_CFunction finalizer) {
  luaL_newmetatable(L, type);
  lua_pushlightuserdata(L, rt);
  lua_pushcclosure(L, finalizer, 1);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}

void unclaimed_open(runtime *rt, lua_State *L) {
  set_finalizer(rt, L, GUARD_TYPE, collect_guard);
  set_finalizer(rt, L, CANARY_TYPE, collect_canary);
}

/* (task, record, runtime) → guard; protected. */
static int make_guard(lua_State *L) {
  runtime *rt = lua_touserdata(L, 3);
  const task *t = lua_touserdata(L, 1);
  lua_pushvalue(L, 1);
  set_entry(rt, L, t);
  lua_newuserdatauv(L, 0, 0);
  luaL_setmetatable(L, CANARY_TYPE);
  rt->canaries++;
  lua_pop(L, 1);
  lua_newuserdatauv(L, 0, GUARD_UV_COUNT);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, GUARD_UV_RECORD);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, GUARD_UV_TASK);
  luaL_setmetatable(L, GUARD_TYPE);
  return 1;
}

void unclaimed_hold(runtime *rt, lua_State *L, task *t, int index) {
  index = lua_absindex(L, index);
  int rec = lua_gettop(L);
  lua_pushcfunction(L, make_guard);
  lua_pushvalue(L, index);
  lua_pushvalue(L, rec);
  lua_pushlightuserdata(L, rt);
  if (lua_pcall(L, 3, 1, 0) != LUA_OK) {
    /* No memory to wait with: better too early than never. */
    lua_settop(L, rec);
    lua_pushvalue(L, rec);
    lua_setiuservalue(L, index, TASK_UV_RESULT);
    t->claimed = true;
    handler_report(rt, L, index);
    return;
  }
  lua_setiuservalue(L, index, TASK_UV_RESULT);
  lua_pop(L, 1);
  t->ended.unclaimed_until_ns = runtime_now(rt) + UNCLAIMED_GRACE_NS;
  list_append(&rt->unclaimed, &t->link);
  rt->nudges = 0;
}

void unclaimed_claim(task *t) {
  if (t->claimed) return;
  t->claimed = true;
  list_remove(&t->link);
}

/*
** Reports the first held panic. A task that the collector has taken already is its guard's to report.
** [-0, +0, -]
*/
static void report_first(runtime *rt, lua_State *L) {
  task *t = task_of_link(rt->unclaimed.next);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->unclaimed_ref);
  lua_rawgetp(L, -1, t);
  if (lua_isnil(L, -1)) {
    list_remove(&t->link);
  } else {
    report_task(rt, L, t, lua_gettop(L));
  }
  lua_pop(L, 2);
}

/* Whether whoever spawned the task may be on its way to it: it is joining somebody else. */
static bool spawner_is_joining(lua_State *L, int index) {
  lua_getiuservalue(L, index, TASK_UV_PARENT);
  const task *parent = task_test(L, -1);
  lua_pop(L, 1);
  return parent != NULL && parent->status == TASK_WAITING &&
         (parent->wait == WAIT_JOIN || parent->wait == WAIT_AWAIT);
}

/* Gives the first held task another while. False: there is no reason to.   [-0, +0, -] */
static bool extend_first(runtime *rt, lua_State *L, int64_t now_ns) {
  task *t = task_of_link(rt->unclaimed.next);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->unclaimed_ref);
  lua_rawgetp(L, -1, t);
  bool extend = !lua_isnil(L, -1) && spawner_is_joining(L, -1);
  lua_pop(L, 2);
  if (!extend) return false;
  t->ended.unclaimed_until_ns = now_ns + UNCLAIMED_GRACE_NS;
  list_remove(&t->link);
  list_append(&rt->unclaimed, &t->link);
  return true;
}

int64_t unclaimed_next_deadline(const runtime *rt) {
  if (list_empty(&rt->unclaimed)) return TIME_FOREVER;
  return task_of_link(rt->unclaimed.next)->ended.unclaimed_until_ns;
}

void unclaimed_expire(runtime *rt, lua_State *L, int64_t now_ns) {
  while (unclaimed_next_deadline(rt) <= now_ns) {
    if (!extend_first(rt, L, now_ns)) report_first(rt, L);
  }
}

void unclaimed_flush(runtime *rt, lua_State *L) {
  while (!list_empty(&rt->unclaimed)) report_first(rt, L);
}

bool unclaimed_nudge(runtime *rt, lua_State *L) {
  if (rt->canaries == 0 || list_empty(&rt->unclaimed) || !lua_gc(L, LUA_GCISRUNNING)) return false;
  if (rt->nudges >= NUDGE_MAX_STEPS) return false;
  rt->nudges++;
  lua_gc(L, LUA_GCSTEP, 0);
  return true;
}
