/* The coroutines that a task's code is in: see task.h. */
#include "kernel/task.h"
#include "kernel/threads.h"

task *task_owning(runtime *rt, lua_State *L, const lua_State *thread) {
  uint32_t slot = threads_find(rt, L, thread);
  if (slot == 0) return NULL;
  slot_values_push(&rt->slot_values, L, slot, SLOT_TASK);
  task *t = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return t != NULL && !task_ended(t) && t->coroutine.thread == thread ? t : NULL;
}

task *task_waiting_in(runtime *rt, lua_State *L) {
  task *t = task_owning(rt, L, L);
  if (t == NULL) {
    const coroutine *c = coroutine_find_other(rt, L);
    while (c != NULL && c->kind == COROUTINE_OTHER) c = c->outer;
    if (c == NULL || c->kind != COROUTINE_OF_TASK) return NULL;
    t = container_of(c, task, coroutine);
  }
  return t->coroutine.top->thread == L ? t : NULL;
}

void task_leave_innermost(runtime *rt, lua_State *L, task *t, coroutine_state state) {
  coroutine *c = t->coroutine.top;
  t->coroutine.top = c->outer;
  c->outer = NULL;
  c->state = (uint8_t)state;
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->pinned_ref);
  lua_pushnil(L);
  lua_rawsetp(L, -2, c);
  lua_pop(L, 1);
}

void task_lose_coroutines(runtime *rt, lua_State *L, task *t) {
  while (t->coroutine.top != &t->coroutine) task_leave_innermost(rt, L, t, COROUTINE_LOST);
  if (rt->current == t) rt->running = &t->coroutine;
}
