#include "runtime/parked.h"

#include <stdlib.h>

#include "runtime/activation.h"
#include "runtime/deadlock.h"
#include "runtime/io.h"
#include "runtime/panic.h"
#include "runtime/select.h"

/* Of the channels of one select. */
#define MAX_CHANNELS_SHOWN 4

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

/*
** Whether the task waits for an object that stands on its stack, or is about to; see task_park. It
** does not any more if somebody has closed the task's coroutine.
*/
static bool waits_for_object(const task *t) {
  if (t->wait < WAIT_SEND || task_ended(t)) return false;
  return t->status == TASK_RUNNING || lua_status(t->live.top) == LUA_YIELD;
}

/* Pushes the value at `index` of the C function in which the task is parked.   [-0, +1, -] */
static void push_from_frame(lua_State *L, const task *t, int index) {
  lua_State *top = t->live.top;
  lua_pushvalue(top, index);
  if (top != L) lua_xmove(top, L, 1);
}

void parked_push_waiting_on(runtime *rt, lua_State *L, const task *t) {
  if (t->status != TASK_WAITING) {
    lua_pushnil(L);
  } else if (t->wait == WAIT_JOIN || t->wait == WAIT_AWAIT) {
    task_push(rt, L, t->waits_on);
  } else if (t->wait == WAIT_SELECT) {
    select_push_channels(L, t);
  } else if (waits_for_object(t)) {
    push_from_frame(L, t, 1);
  } else {
    lua_pushstring(L, task_wait_name(t->wait));
  }
}

/* The task that it joins or awaits; NULL: it does not, or not any more. */
static const task *joined_by(const task *t) {
  bool joins = t->wait == WAIT_JOIN || t->wait == WAIT_AWAIT;
  return joins && !task_ended(t) ? t->waits_on : NULL; /* whoever is woken waits on nothing */
}

/* `select of channel (unbuffered), channel (0 of 3 buffered)`   [-0, +1, m] */
static void push_select_text(lua_State *L, const task *t) {
  select_push_channels(L, t);
  int channels = lua_gettop(L);
  lua_Integer count = (lua_Integer)lua_rawlen(L, channels);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addstring(&b, count == 0 ? "select of nothing" : "select of ");
  for (lua_Integer i = 1; i <= count && i <= MAX_CHANNELS_SHOWN; i++) {
    if (i > 1) luaL_addstring(&b, ", ");
    lua_rawgeti(L, channels, i);
    luaL_tolstring(L, -1, NULL);
    lua_remove(L, -2);
    luaL_addvalue(&b);
  }
  if (count > MAX_CHANNELS_SHOWN) luaL_addstring(&b, ", ...");
  luaL_pushresult(&b);
  lua_remove(L, channels);
}

void parked_push_wait_text(lua_State *L, const task *t) {
  const char *what = task_wait_name(t->wait);
  const task *joined = joined_by(t);
  if (joined != NULL) {
    char buffer[TASK_NAME_SIZE];
    lua_pushfstring(L, "%s of task %I \"%s\"", what, (LUAI_UACINT)joined->id,
                    task_name(joined, buffer));
  } else if (t->wait == WAIT_SELECT && t->status == TASK_WAITING) {
    push_select_text(L, t);
  } else if (t->wait == WAIT_FD && waits_for_object(t)) {
    push_from_frame(L, t, IO_INDEX_FD);
    push_from_frame(L, t, IO_INDEX_MODE);
    lua_pushfstring(L, "%s of %d (%s)", what, (int)lua_tointeger(L, -2), lua_tostring(L, -1));
    lua_replace(L, -3);
    lua_pop(L, 1);
  } else if (t->wait != WAIT_SELECT && waits_for_object(t)) {
    push_from_frame(L, t, 1);
    if (t->wait == WAIT_SCOPE) what = "end"; /* the object says the rest */
    lua_pushfstring(L, "%s of %s", what, luaL_tolstring(L, -1, NULL));
    lua_replace(L, -3);
    lua_pop(L, 1);
  } else {
    lua_pushstring(L, what);
  }
}

void parked_push_task(lua_State *L, const task *t) {
  char buffer[TASK_NAME_SIZE];
  lua_createtable(L, 0, 8);
  lua_pushinteger(L, (lua_Integer)t->id);
  lua_setfield(L, -2, "id");
  lua_pushstring(L, task_name(t, buffer));
  lua_setfield(L, -2, "name");
  lua_pushstring(L, task_wait_name(t->wait));
  lua_setfield(L, -2, "operation");
  parked_push_wait_text(L, t);
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
  rt->stats.leaked++;
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
  if (t->service || (deadlock_waits_for_ever(t) && t->wait != WAIT_FD)) return;
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
