#include "runtime/parked.h"

#include <stdlib.h>

#include "runtime/activation.h"
#include "runtime/deadlock.h"
#include "runtime/panic.h"

/* Runs `visit` with each live task, which is on top of the stack, by slot.   [-0, +0, -] */
static void each_task(runtime *rt, lua_State *L,
                      void (*visit)(runtime *rt, lua_State *L, task *t)) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->tasks_ref);
  int tasks = lua_gettop(L);
  lua_Integer count = (lua_Integer)lua_rawlen(L, tasks);
  for (lua_Integer slot = 1; slot <= count; slot++) {
    lua_rawgeti(L, tasks, slot);
    task *t = lua_touserdata(L, -1);
    if (t != NULL && t->id != 0 && !task_ended(t)) visit(rt, L, t);
    lua_settop(L, tasks);
  }
  lua_pop(L, 1);
}

/* --- looking --- */

typedef struct task_order {
  uint64_t id;
  int slot;
} task_order;

static int compare_ids(const void *a, const void *b) {
  uint64_t x = ((const task_order *)a)->id;
  uint64_t y = ((const task_order *)b)->id;
  return (x > y) - (x < y);
}

void parked_push_tasks(runtime *rt, lua_State *L) {
  luaL_checkstack(L, 6, NULL);
  /* Finalizers that run meanwhile may spawn tasks, and outside tasks let others end. */
  size_t room = rt->live_count;
  lua_createtable(L, (int)room, 0);
  task_order *order = lua_newuserdatauv(L, room * sizeof(task_order) + 1, 0);
  size_t live = rt->live_count < room ? rt->live_count : room;
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->tasks_ref);
  size_t count = 0;
  for (int slot = 1; count < live; slot++) {
    lua_rawgeti(L, -1, slot);
    const task *t = lua_touserdata(L, -1);
    if (t != NULL && t->id != 0 && !task_ended(t)) order[count++] = (task_order){t->id, slot};
    lua_pop(L, 1);
  }
  qsort(order, count, sizeof(task_order), compare_ids);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, -1, order[i].slot);
    lua_rawseti(L, -4, (lua_Integer)i + 1);
  }
  lua_pop(L, 2);
}

void parked_push_where(lua_State *L, const task *t) {
  lua_Debug ar;
  for (int level = 0; !task_ended(t) && lua_getstack(t->live.top, level, &ar); level++) {
    lua_getinfo(t->live.top, "Sl", &ar);
    if (ar.currentline > 0) {
      lua_pushfstring(L, "%s:%d", ar.short_src, ar.currentline);
      return;
    }
  }
  lua_pushliteral(L, "?");
}

void parked_push_task(lua_State *L, const task *t) {
  char buffer[TASK_NAME_SIZE];
  lua_createtable(L, 0, 8);
  lua_pushinteger(L, (lua_Integer)t->id);
  lua_setfield(L, -2, "id");
  lua_pushstring(L, task_name(t, buffer));
  lua_setfield(L, -2, "name");
  lua_pushstring(L, t->wait->name);
  lua_setfield(L, -2, "operation");
  wait_push_text(L, t);
  lua_setfield(L, -2, "waiting_on");
  parked_push_where(L, t);
  lua_setfield(L, -2, "where");
  lua_pushstring(L, t->site->text);
  lua_setfield(L, -2, "spawned_at");
}

/* --- deadlock --- */

/* (record, runtime) fills in the record's list of parked tasks; protected. */
static int list_parked(lua_State *L) {
  runtime *rt = lua_touserdata(L, 2);
  lua_settop(L, 1);
  parked_push_tasks(rt, L);
  lua_Integer total = (lua_Integer)lua_rawlen(L, 2);
  lua_Integer listed = total < RECORD_MAX_PARKED ? total : RECORD_MAX_PARKED;
  lua_createtable(L, (int)listed, 1);
  for (lua_Integer i = 1; i <= listed; i++) {
    lua_rawgeti(L, 2, i);
    parked_push_task(L, lua_touserdata(L, -1));
    lua_rawseti(L, 3, i);
    lua_pop(L, 1);
  }
  if (total > listed) {
    lua_pushinteger(L, total - listed);
    lua_setfield(L, 3, "omitted");
  }
  record_set_detail(L, 1, DETAIL_PARKED);
  return 0;
}

/* The task is asleep for ever: it is counted once, however often it has to be woken until it ends. */
static void note_leak(runtime *rt, lua_State *L, task *t) {
  (void)L;
  if (t->leaked) return;
  t->leaked = true;
  rt->leaked_count++;
}

void parked_push_deadlock(runtime *rt, lua_State *L, const char *message) {
  each_task(rt, L, note_leak);
  record_make_safe(rt, L, L, 0, RECORD_DEADLOCK, message);
  lua_pushcfunction(L, list_parked);
  lua_pushvalue(L, -2);
  lua_pushlightuserdata(L, rt);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
}

/* --- ending --- */

static void cancel_one(runtime *rt, lua_State *L, task *t) {
  if (t->cancel != CANCEL_NONE) return;
  lua_pushnil(L);
  cancel_task(rt, L, t, CANCEL_SHUTDOWN);
}

static void cancel_other(runtime *rt, lua_State *L, task *t) {
  bool is_last = t->service || (t->aftermath > 0 && !t->daemon);
  if (!is_last) cancel_one(rt, L, t);
}

void parked_cancel_all(runtime *rt, lua_State *L) { each_task(rt, L, cancel_one); }

void parked_cancel_others(runtime *rt, lua_State *L) { each_task(rt, L, cancel_other); }

/* Leaves true below the array of tasks once one is found. */
static void find_active(runtime *rt, lua_State *L, task *t) {
  (void)rt;
  if (t->service || (deadlock_waits_for_ever(t) && !t->wait->from_outside)) return;
  lua_pushboolean(L, true);
  lua_replace(L, -4);
}

bool parked_others_may_go_on(runtime *rt, lua_State *L) {
  lua_pushboolean(L, false);
  each_task(rt, L, find_active);
  bool found = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return found;
}

static void wake_from_deadlock(runtime *rt, lua_State *L, task *t) {
  note_leak(rt, L, t);
  if (t->status == TASK_WAITING) task_wake(rt, t, WAKE_DEADLOCK);
}

void parked_wake_all(runtime *rt, lua_State *L) { each_task(rt, L, wake_from_deadlock); }

static void abandon_one(runtime *rt, lua_State *L, task *t) {
  rt->current = t;
  record_make_safe(rt, L, t->live.thread, 0, RECORD_DEADLOCK,
                   "given up: still asleep after every attempt to end it");
  t->lost = true;
  if (t->live.strand != NULL) t->live.strand->resetting = true;
  compat_close_thread(t->live.thread, L);
  lua_settop(t->live.thread, 0);
  rt->current = NULL;
  task_end(rt, L, t, TASK_PANICKED, 1);
}

void parked_abandon_all(runtime *rt, lua_State *L) { each_task(rt, L, abandon_one); }

static void give_up_one(runtime *rt, lua_State *L, task *t) {
  if (t->started) activation_give_up(rt, L, t);
}

void parked_give_up_all(runtime *rt, lua_State *L) { each_task(rt, L, give_up_one); }
