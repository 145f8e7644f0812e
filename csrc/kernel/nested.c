#include "kernel/nested.h"

#include "kernel/cancel.h"
#include "kernel/handler.h"
#include "kernel/panic.h"
#include "kernel/threads.h"

/* --- who has resumed whom --- */

void nested_register(runtime *rt, lua_State *L, int index) {
  rt->has_nested = true;
  index = lua_absindex(L, index);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->nested_ref);
  lua_pushvalue(L, index);
  if (lua_rawget(L, -2) == LUA_TNIL) {
    lua_pushvalue(L, index);
    lua_pushboolean(L, 0);
    lua_rawset(L, -4);
  }
  lua_pop(L, 2);
}

/* Sets the entry of the registered thread at 1 to the value on top of the stack.   [-1, +0, -] */
static void set_entry(runtime *rt, lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->nested_ref);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 2);
}

lua_State *nested_resumer(runtime *rt, lua_State *L, lua_State *thread) {
  if (!lua_checkstack(thread, 1)) return NULL;
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->nested_ref);
  lua_pushthread(thread);
  if (thread != L) lua_xmove(thread, L, 1);
  lua_rawget(L, -2);
  lua_State *resumer = lua_tothread(L, -1);
  lua_pop(L, 2);
  return resumer;
}

bool nested_is_parked(runtime *rt, lua_State *L, lua_State *thread) {
  return lua_status(thread) == LUA_YIELD && nested_resumer(rt, L, thread) != NULL;
}

task *nested_waiting_in(runtime *rt, lua_State *L) {
  lua_State *thread = L;
  task *t = threads_owner(rt, L, thread);
  while (t == NULL && (thread = nested_resumer(rt, L, thread)) != NULL) {
    t = threads_owner(rt, L, thread);
  }
  return t != NULL && t->live.top == L ? t : NULL;
}

bool nested_is_refused(runtime *rt, lua_State *L, lua_State *thread) {
  lua_Debug ar;
  if (threads_owner(rt, L, thread) != NULL) {
    return lua_status(thread) != LUA_OK || !lua_getstack(thread, 0, &ar);
  }
  return rt->has_nested && nested_is_parked(rt, L, thread);
}

/* --- whose request it works for --- */

#define CARRIED_TYPE "coropanic.carried"

/* The trace context of a coroutine's code, whoever resumes it. It begins where the code that made it was. */
typedef struct carried {
  trace_context context; /* without a trace once collected */
  trace_context *around; /* while `active`: of the coroutine that the resumer is in, or NULL */
  bool active;
} carried;

static int collect_carried(lua_State *L) {
  runtime *rt = runtime_of_any(L);
  carried *c = lua_touserdata(L, 1);
  /* While its code runs it is collected only as the universe is closed, and that code may be what does it. */
  if (c->active || rt->closed) return 0;
  trace_context_clear(rt, &c->context);
  return 0;
}

void nested_open(runtime *rt, lua_State *L) {
  luaL_newmetatable(L, CARRIED_TYPE);
  lua_pushlightuserdata(L, rt);
  lua_pushcclosure(L, collect_carried, 1);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}

void nested_carry_trace(runtime *rt, lua_State *L, int index) {
  if (trace_here(rt)->trace == NULL) return;
  index = lua_absindex(L, index);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->carried_ref);
  lua_pushvalue(L, index);
  carried *c = lua_newuserdatauv(L, sizeof(carried), 0);
  *c = (carried){0};
  luaL_setmetatable(L, CARRIED_TYPE);
  trace_context_branch(rt, &c->context, trace_current(rt));
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* What the coroutine at 1 carries; NULL: nothing, or that was collected with it.   [-0, +0, -] */
static carried *find_carried(const runtime *rt, lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->carried_ref);
  lua_pushvalue(L, 1);
  lua_rawget(L, -2);
  carried *c = lua_touserdata(L, -1);
  lua_pop(L, 2);
  return c != NULL && c->context.own.trace == NULL ? NULL : c;
}

/* What says which coroutine the running code is in. */
static trace_context **inside_of_current(runtime *rt) {
  return rt->current != NULL ? &rt->current->inside : &rt->inside;
}

/* The coroutine at 1 is entered: its code runs, and is where that is in its trace.   [-0, +0, -] */
static carried *enter_trace(runtime *rt, lua_State *L) {
  carried *c = find_carried(rt, L);
  if (c == NULL || c->active) return NULL;
  trace_context **inside = inside_of_current(rt);
  c->around = *inside;
  c->active = true;
  *inside = &c->context;
  return c;
}

/* It is left.   [-0, +0, -] */
static void leave_trace(runtime *rt, carried *c) {
  if (c == NULL || !c->active) return;
  *inside_of_current(rt) = c->around;
  c->active = false;
}

int nested_close(runtime *rt, lua_State *L, lua_State *thread) {
  carried *c = enter_trace(rt, L);
  int status = compat_close_thread(thread, L);
  leave_trace(rt, c);
  return status;
}

/*
** Anchors the thread on top of the stack as the innermost one of the task: whatever others do to the
** coroutines between, task.live.top stays valid.   [-1, +0, m] After the first time it does not raise.
*/
static void anchor_top(runtime *rt, lua_State *L, task *t) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->pinned_ref);
  lua_insert(L, -2);
  lua_rawsetp(L, -2, t);
  lua_pop(L, 1);
  t->anchored = true;
}

void nested_release_top(runtime *rt, lua_State *L, task *t) {
  if (!t->anchored) return;
  lua_pushnil(L);
  anchor_top(rt, L, t);
  t->anchored = false;
}

/* (coroutine) closes it, which the current task was in; protected. */
static int close_inner(lua_State *L) {
  runtime *rt = runtime_find(L);
  lua_State *thread = lua_tothread(L, 1);
  lua_pushboolean(L, 0);
  set_entry(rt, L);
  if (nested_close(rt, L, thread) != LUA_OK) {
    lua_xmove(thread, L, 1);
    panic_settle(rt, L, LUA_ERRRUN);
    handler_report(rt, L, 0);
  }
  leave_trace(rt, find_carried(rt, L));
  return 0;
}

void nested_close_all(runtime *rt, lua_State *L, task *t) {
  while (t->live.top != t->live.thread) {
    lua_State *thread = t->live.top;
    lua_State *resumer = nested_resumer(rt, L, thread);
    if (resumer == NULL || !lua_checkstack(thread, 1)) break;
    lua_pushcfunction(L, close_inner);
    lua_pushthread(thread);
    lua_xmove(thread, L, 1);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
    lua_pushthread(resumer);
    lua_xmove(resumer, L, 1);
    t->live.top = resumer;
    anchor_top(rt, L, t);
  }
  t->live.top = t->live.thread;
}

/* --- resuming --- */

/*
** Whether the error on top of the stack is an exit that is unwinding the current task, and not one
** that has ended already.
*/
static bool is_exit(const runtime *rt, lua_State *L) {
  return panic_is_in_flight(rt, L, -1) && record_test(L, -1)->exits;
}

static int continue_resume(lua_State *L, int status, lua_KContext task_id);

/* The coroutine has come back: the task waits in it, or it has yielded, returned or failed. */
static int came_back(runtime *rt, lua_State *L, bool passes, int status, int values,
                     const nested_caller *caller) {
  lua_State *thread = lua_tothread(L, 1);
  task *t = rt->current;
  if (passes && status == LUA_YIELD && (t->status != TASK_RUNNING || t->forced)) {
    lua_settop(L, 1);
    lua_pushlightuserdata(L, (void *)caller);
    return lua_yieldk(L, 0, (lua_KContext)t->id, continue_resume);
  }
  if (passes) {
    t->live.top = L;
    lua_pushthread(L);
    anchor_top(rt, L, t);
  }
  leave_trace(rt, find_carried(rt, L));
  lua_pushboolean(L, 0);
  set_entry(rt, L);
  if (status != LUA_OK && status != LUA_YIELD) {
    values = 1;
    lua_xmove(thread, L, 1);
    if (is_exit(rt, L)) {
      /* Nobody will close it: its to-be-closed variables are closed here. */
      if (nested_close(rt, L, thread) != LUA_OK) {
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

/* As task_refuse_resumption, for a thread between the task's own and the one that it waits in. */
static int refuse_resumption(const runtime *rt, lua_State *L, lua_KContext task_id) {
  lua_settop(L, 2);
  lua_pushnil(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->refusal_ref);
  return lua_yieldk(L, 2, task_id, continue_resume);
}

/* The task goes on after it has waited in the coroutine at 1. The caller is at 2. */
static int continue_resume(lua_State *L, int status, lua_KContext task_id) {
  (void)status;
  runtime *rt = runtime_of(L);
  lua_State *thread = lua_tothread(L, 1);
  const task *t = rt->current;
  if (t == NULL || t->id != (uint64_t)task_id || t->status != TASK_RUNNING) {
    return refuse_resumption(rt, L, task_id);
  }
  const nested_caller *caller = lua_touserdata(L, 2);
  lua_settop(L, 1);
  int values;
  int result = lua_resume(thread, L, 0, &values);
  return came_back(rt, L, true, result, values, caller);
}

int nested_resume(runtime *rt, lua_State *L, const nested_caller *caller) {
  lua_State *thread = lua_tothread(L, 1);
  int arguments = lua_gettop(L) - 1;
  task *t = rt->current;
  /* Where the resumer can't suspend, neither can what it resumes. */
  bool passes = t != NULL && t->live.top == L && lua_isyieldable(L);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  if (lua_status(thread) == LUA_OK) handler_run_start(rt, thread);
  nested_register(rt, L, 1);
  if (passes) {
    lua_pushvalue(L, 1);
    anchor_top(rt, L, t);
  }
  lua_pushthread(L);
  set_entry(rt, L);
  lua_xmove(L, thread, arguments);
  if (passes) t->live.top = thread;
  enter_trace(rt, L);
  int values;
  int status = lua_resume(thread, L, arguments, &values);
  return came_back(rt, L, passes, status, values, caller);
}
