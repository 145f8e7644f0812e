#include "loop/shutdown.h"

#include "kernel/deadlock.h"
#include "kernel/panic.h"
#include "kernel/task_run.h"
#include "kernel/wait.h"
#include "report/inspect.h"

/*
** Calls `visit` for each live task, in the order of their slots. The task is on top of the stack.
** [-0, +0, -]
*/
static void each_task(runtime *rt, lua_State *L,
                      void (*visit)(runtime *rt, lua_State *L, task *t)) {
  int top = lua_gettop(L);
  uint32_t count = rt->slot_values.count;
  for (uint32_t slot = 1; slot < count; slot++) {
    slot_values_push(&rt->slot_values, L, slot, SLOT_TASK);
    task *t = lua_touserdata(L, -1);
    if (t != NULL && t->id != 0 && !task_ended(t)) visit(rt, L, t);
    lua_settop(L, top);
  }
}

/* --- deadlock --- */

/* (record, runtime): fills in the record's list of waiting tasks; called protected. */
static int list_parked(lua_State *L) {
  runtime *rt = lua_touserdata(L, 2);
  lua_settop(L, 1);
  inspect_push_tasks(rt, L);
  lua_Integer total = (lua_Integer)lua_rawlen(L, 2);
  lua_Integer listed = total < RECORD_MAX_PARKED ? total : RECORD_MAX_PARKED;
  lua_createtable(L, (int)listed, 1);
  for (lua_Integer i = 1; i <= listed; i++) {
    lua_rawgeti(L, 2, i);
    wait_push_task(L, lua_touserdata(L, -1));
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

/*
** Counts a task that is asleep for ever: only once, even if it must be woken several times until it
** ends.
*/
static void note_leak(runtime *rt, lua_State *L, task *t) {
  (void)L;
  if (t->leaked) return;
  t->leaked = true;
  rt->leaked_count++;
}

void shutdown_push_deadlock(runtime *rt, lua_State *L, const char *message) {
  each_task(rt, L, note_leak);
  record_make_safe(rt, L, L, 0, RECORD_DEADLOCK, message);
  lua_pushcfunction(L, list_parked);
  lua_pushvalue(L, -2);
  lua_pushlightuserdata(L, rt);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
}

/* --- ending --- */

static void cancel_one(runtime *rt, lua_State *L, task *t) {
  lua_pushnil(L);
  cancel_scope_cancel(rt, L, &t->entry, CANCEL_SHUTDOWN);
}

static void cancel_other(runtime *rt, lua_State *L, task *t) {
  bool is_last = t->service || (t->aftermath > 0 && !t->daemon);
  if (!is_last) cancel_one(rt, L, t);
}

void shutdown_cancel_all(runtime *rt, lua_State *L) { each_task(rt, L, cancel_one); }

void shutdown_cancel_others(runtime *rt, lua_State *L) { each_task(rt, L, cancel_other); }

/* Replaces the value below the task by true if the task is active. */
static void find_active(runtime *rt, lua_State *L, task *t) {
  (void)rt;
  if (t->service || (deadlock_waits_for_ever(t) && !t->wait->from_outside)) return;
  lua_pushboolean(L, true);
  lua_replace(L, -3);
}

bool shutdown_others_may_go_on(runtime *rt, lua_State *L) {
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

void shutdown_wake_all(runtime *rt, lua_State *L) { each_task(rt, L, wake_from_deadlock); }

static void abandon_one(runtime *rt, lua_State *L, task *t) {
  if (t->status == TASK_READY) fifo_remove(&rt->ready, t);
  task_enter(rt, t);
  record_make_safe(rt, L, t->coroutine.thread, 0, RECORD_DEADLOCK,
                   "given up: still asleep after every attempt to end it");
  t->lost = true;
  if (t->coroutine.frames != NULL) t->coroutine.frames->resetting = true;
  compat_close_thread(t->coroutine.thread, L);
  lua_settop(t->coroutine.thread, 0);
  task_leave(rt);
  task_end(rt, L, t, TASK_PANICKED, 1);
}

void shutdown_abandon_all(runtime *rt, lua_State *L) { each_task(rt, L, abandon_one); }

static void give_up_one(runtime *rt, lua_State *L, task *t) {
  if (task_has_begun(t)) task_run_give_up(rt, L, t);
}

void shutdown_give_up_all(runtime *rt, lua_State *L) { each_task(rt, L, give_up_one); }
