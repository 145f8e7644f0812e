#include "kernel/resume.h"

#include "kernel/cancel.h"
#include "kernel/handler.h"
#include "kernel/panic.h"
#include "kernel/threads.h"

/* --- the owner of a coroutine --- */

bool resume_is_refused(runtime *rt, lua_State *L, lua_State *thread) {
  lua_Debug ar;
  if (task_owning(rt, L, thread) != NULL) {
    return lua_status(thread) != LUA_OK || !lua_getstack(thread, 0, &ar);
  }
  if (!rt->has_others || lua_status(thread) != LUA_YIELD) return false;
  const coroutine *c = coroutine_find_other(rt, thread);
  return c != NULL && (c->state == COROUTINE_ACTIVE || c->state == COROUTINE_LOST);
}

/* --- entering and leaving --- */

/*
** Pops a thread and anchors it, and with it the coroutine. Then the task finds the coroutine,
** whatever other code does to those around it.   [-1, +0, m]
*/
static void pin(runtime *rt, lua_State *L, const coroutine *c) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->pinned_ref);
  lua_insert(L, -2);
  lua_rawsetp(L, -2, c);
  lua_pop(L, 1);
}

/* Makes the coroutine the running one, inside the one that runs now. */
static void enter(runtime *rt, coroutine *c, coroutine_state state) {
  c->state = (uint8_t)state;
  coroutine_other(c)->trace = c->context.own.trace != NULL ? &c->context : trace_current(rt);
  rt->running = c;
}

/* --- closing --- */

int resume_close(runtime *rt, lua_State *L, lua_State *thread) {
  coroutine *c = coroutine_find_other(rt, thread);
  if (c == NULL || c->state != COROUTINE_RESTING) return compat_close_thread(thread, L);
  coroutine *around = rt->running;
  enter(rt, c, COROUTINE_CLOSING);
  int status = compat_close_thread(thread, L);
  rt->running = around;
  c->state = COROUTINE_RESTING;
  return status;
}

/* (coroutine): closes a coroutine that the current task was in; called protected. */
static int close_inner(lua_State *L) {
  runtime *rt = runtime_find(L);
  lua_State *thread = lua_tothread(L, 1);
  if (resume_close(rt, L, thread) != LUA_OK) {
    lua_xmove(thread, L, 1);
    panic_settle(rt, L, LUA_ERRRUN);
    handler_report(rt, L, 0);
  }
  return 0;
}

void resume_close_all(runtime *rt, lua_State *L, task *t) {
  while (t->coroutine.top != &t->coroutine) {
    lua_pushcfunction(L, close_inner);
    lua_rawgeti(L, LUA_REGISTRYINDEX, rt->pinned_ref);
    lua_rawgetp(L, -1, t->coroutine.top);
    lua_replace(L, -2);
    task_leave_innermost(rt, L, t, COROUTINE_RESTING);
    rt->running = t->coroutine.top;
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
  }
}

/* --- resuming --- */

/*
** Whether the error on top of the stack is an exit that is unwinding the current task, and has not
** ended already.
*/
static bool is_exit(const runtime *rt, lua_State *L) {
  return panic_is_in_flight(rt, L, -1) && record_test(L, -1)->exits;
}

static int continue_resume(lua_State *L, int status, lua_KContext task_id);

/* Call it when the coroutine at 1 has yielded, returned or failed, and was left.   [-?, +?, e] */
static int finish(runtime *rt, lua_State *L, lua_State *thread, int status, int values,
                  const resume_caller *caller) {
  if (status != LUA_OK && status != LUA_YIELD) {
    values = 1;
    lua_xmove(thread, L, 1);
    if (is_exit(rt, L)) {
      /* No code will close it, so its to-be-closed variables are closed here. */
      if (resume_close(rt, L, thread) != LUA_OK) {
        lua_xmove(thread, L, 1);
        if (!is_exit(rt, L)) return lua_error(L);
        lua_pop(L, 1);
      }
      return cancel_raise_outwards(rt, L);
    }
  } else if (!lua_checkstack(L, values + 1)) {
    lua_pop(thread, values);
    return luaL_error(L, "too many results to resume");
  } else {
    lua_xmove(thread, L, values);
  }
  return caller->finish(rt, L, thread, status, values);
}

/*
** Call it when the coroutine at 1, which passes suspensions on, has come back: its task waits in
** it, or it is left.
*/
static int come_back(runtime *rt, lua_State *L, coroutine *c, int status, int values,
                     const resume_caller *caller) {
  task *t = rt->current;
  if (status == LUA_YIELD && (t->status != TASK_RUNNING || t->forced)) {
    lua_settop(L, 1);
    lua_pushlightuserdata(L, (void *)caller);
    lua_pushlightuserdata(L, c);
    return lua_yieldk(L, 0, (lua_KContext)t->id, continue_resume);
  }
  /* If it was closed while the task waited further in, the task does not come back from there. */
  while (t->coroutine.top != c) task_leave_innermost(rt, L, t, COROUTINE_LOST);
  task_leave_innermost(rt, L, t, COROUTINE_RESTING);
  rt->running = t->coroutine.top;
  return finish(rt, L, c->thread, status, values, caller);
}

/*
** Like task_refuse_resumption, for a thread between the task's own and the one in which it waits.
*/
static int refuse_resumption(const runtime *rt, lua_State *L, lua_KContext task_id) {
  lua_settop(L, 3);
  lua_pushnil(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->refusal_ref);
  return lua_yieldk(L, 2, task_id, continue_resume);
}

/*
** Call it when the task goes on after it has waited in the coroutine whose thread is at 1. The
** caller is at 2.
*/
static int continue_resume(lua_State *L, int status, lua_KContext task_id) {
  (void)status;
  runtime *rt = runtime_of(L);
  const task *t = rt->current;
  coroutine *c = lua_touserdata(L, 3);
  bool goes_on = t != NULL && t->id == (uint64_t)task_id && t->status == TASK_RUNNING;
  if (!goes_on || c->state != COROUTINE_ACTIVE) return refuse_resumption(rt, L, task_id);
  const resume_caller *caller = lua_touserdata(L, 2);
  lua_settop(L, 1);
  int values;
  int result = lua_resume(c->thread, L, 0, &values);
  return come_back(rt, L, c, result, values, caller);
}

int resume_coroutine(runtime *rt, lua_State *L, coroutine *c, const resume_caller *caller) {
  lua_State *thread = c->thread;
  int arguments = lua_gettop(L) - 1;
  task *t = rt->current;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  if (lua_status(thread) == LUA_OK) handler_run_start(rt, thread);
  coroutine *outer = coroutine_of(rt, L);
  /* If the resumer can't suspend, the coroutine that it resumes can't either. */
  bool passes = t != NULL && t->coroutine.top == outer && lua_isyieldable(L);
  if (passes) {
    lua_pushvalue(L, 1);
    pin(rt, L, c);
    t->coroutine.top = c;
  }
  lua_xmove(L, thread, arguments);
  coroutine *around = rt->running;
  c->outer = outer;
  enter(rt, c, COROUTINE_ACTIVE);
  int values;
  int status = lua_resume(thread, L, arguments, &values);
  if (passes) return come_back(rt, L, c, status, values, caller);
  rt->running = around;
  c->outer = NULL;
  c->state = COROUTINE_RESTING;
  return finish(rt, L, thread, status, values, caller);
}
