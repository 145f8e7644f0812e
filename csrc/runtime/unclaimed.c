#include "runtime/unclaimed.h"

#include "runtime/handler.h"
#include "runtime/region.h"
#include "runtime/report.h"

/*
** A guard stands between an ended task and its record while the panic is held. Nobody else refers
** to it, so its finalizer runs when nobody can reach the task any more. User values: the record,
** the task.
*/
enum { GUARD_UV_RECORD = 1, GUARD_UV_TASK, GUARD_UV_COUNT = GUARD_UV_TASK };

#define GUARD_TYPE "coropanic.guard"

/*
** A canary is garbage made just before the guard. When the collector has found it, it has looked
** at the guard's task too (finalizers run in the reverse order of creation), in whichever mode it
** works.
*/
#define CANARY_TYPE "coropanic.canary"

/* Steps of the collector after which we no longer wait for a canary: those of a heap of gigabytes.
 */
#define NUDGE_MAX_STEPS 1000000

static task *task_of_link(list *link) { return container_of(link, task, waiter.link); }

/* Makes the value on top of the stack the task's entry in the table `ref`.   [-1, +0, m] */
static void set_entry(lua_State *L, int ref, const task *t) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
  lua_insert(L, -2);
  lua_rawsetp(L, -2, t);
  lua_pop(L, 1);
}

/* Pushes the task's entry in the table `ref`.   [-0, +1, -] */
static void push_entry(lua_State *L, int ref, const task *t) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
  lua_rawgetp(L, -1, t);
  lua_remove(L, -2);
}

/*
** __gc: only the guard refers to the task now. The loop reports it at its next turn, since a
** finalizer may run in the middle of anything, the handler included. The entry exists, so this
** needs no memory.
*/
static int collect_guard(lua_State *L) {
  runtime *rt = runtime_of_any(L);
  lua_settop(L, 1);
  lua_getiuservalue(L, 1, GUARD_UV_TASK);
  task *t = task_test(L, 2);
  if (t == NULL || t->claimed || rt->closed) return 0;
  set_entry(L, rt->abandoned_ref, t);
  t->ended.unclaimed_until_ns = INT64_MIN;
  list_remove(&t->waiter.link);
  list_prepend(&rt->unclaimed, &t->waiter.link);
  if (rt->host == NULL) wakeup_signal(&rt->wakeup);
  return 0;
}

static int collect_canary(lua_State *L) {
  runtime_of_any(L)->canaries--;
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
  set_entry(L, rt->unclaimed_ref, t);
  lua_pushboolean(L, 0);
  set_entry(L, rt->abandoned_ref, t);
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
  bool made = lua_pcall(L, 3, 1, 0) == LUA_OK;
  if (t->claimed) { /* by a finalizer meanwhile */
    lua_settop(L, rec - 1);
    return;
  }
  if (!made) {
    /* No memory to wait with: better too early than never. */
    lua_settop(L, rec);
    t->claimed = true;
    handler_report(rt, L, index);
    return;
  }
  lua_setiuservalue(L, index, TASK_UV_RESULT);
  lua_pop(L, 1);
  t->ended.unclaimed_until_ns = runtime_now(rt) + UNCLAIMED_GRACE_NS;
  list_append(&rt->unclaimed, &t->waiter.link);
  rt->nudges = 0;
}

void unclaimed_claim(runtime *rt, lua_State *L, task *t) {
  if (t->claimed) return;
  t->claimed = true;
  list_remove(&t->waiter.link);
  lua_pushnil(L);
  set_entry(L, rt->abandoned_ref, t);
}

/*
** Pushes the held task: nil if the collector has taken it, and its guard has not yet said so.
**   [-0, +1, -]
*/
static void push_held(runtime *rt, lua_State *L, const task *t) {
  push_entry(L, rt->unclaimed_ref, t);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  push_entry(L, rt->abandoned_ref, t);
  if (lua_isboolean(L, -1)) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
}

/*
** Gives the panic of the task at `index` to the scope that it is held for. False: there is none, or no memory.
**   [-0, +0, -]
*/
static bool give_to_scope(runtime *rt, lua_State *L, task *t, int index) {
  region *scope = t->ended.scope;
  t->ended.scope = NULL;
  if (scope == NULL) return false;
  task_push_record(L, index);
  bool given = region_offer_panic(rt, L, scope, index);
  lua_pop(L, 1);
  if (given) unclaimed_claim(rt, L, t);
  return given;
}

void unclaimed_arrived(runtime *rt, lua_State *L, int index, bool comes) {
  task *t = task_test(L, index);
  if (!task_ended(t) || t->claimed || t->ended.comers == 0) return;
  t->ended.comers--;
  if (!comes && t->ended.comers == 0) give_to_scope(rt, L, t, index);
}

void unclaimed_give_all(runtime *rt, lua_State *L, region *scope) {
  list *link = rt->unclaimed.next;
  while (link != &rt->unclaimed) {
    task *t = task_of_link(link);
    link = link->next;
    if (t->ended.scope != scope) continue;
    push_held(rt, L, t);
    if (!lua_isnil(L, -1)) give_to_scope(rt, L, t, lua_gettop(L));
    lua_pop(L, 1);
  }
}

void unclaimed_forget(runtime *rt, const region *scope) {
  for (list *link = rt->unclaimed.next; link != &rt->unclaimed; link = link->next) {
    task *t = task_of_link(link);
    if (t->ended.scope == scope) t->ended.scope = NULL;
  }
}

/* Gives the first held panic to its scope, or to the handler. One that its guard will bring is left to it.   [-0,
 * +0, -] */
static void report_first(runtime *rt, lua_State *L) {
  task *t = task_of_link(rt->unclaimed.next);
  push_held(rt, L, t);
  if (lua_isnil(L, -1)) {
    list_remove(&t->waiter.link);
  } else {
    int index = lua_gettop(L);
    if (!give_to_scope(rt, L, t, index)) {
      unclaimed_claim(rt, L, t);
      task_push_record(L, index);
      handler_report(rt, L, index);
    }
  }
  lua_pop(L, 1);
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
  push_entry(L, rt->unclaimed_ref, t);
  bool extend = !lua_isnil(L, -1) && spawner_is_joining(L, -1);
  lua_pop(L, 1);
  if (!extend) return false;
  t->ended.unclaimed_until_ns = now_ns + UNCLAIMED_GRACE_NS;
  list_remove(&t->waiter.link);
  list_append(&rt->unclaimed, &t->waiter.link);
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
