/*
** co.coroutine: Lua's coroutine library, but tasks may suspend inside its coroutines. Also
** co.instrument, which replaces Lua's library by it.
*/
#include "kernel/args.h"
#include "kernel/record.h"
#include "kernel/resume.h"
#include "lua/guard.h"
#include "lua/lib.h"

static lua_State *check_thread(lua_State *L, int arg, const char *function) {
  lua_State *thread = lua_tothread(L, arg);
  if (thread == NULL) arg_type_error(L, arg, function, "coroutine");
  return thread;
}

/* Returns the status as coroutine.status does. */
static const char *status_of(runtime *rt, lua_State *L, lua_State *thread) {
  lua_Debug ar;
  if (thread == L) return "running";
  switch (lua_status(thread)) {
    case LUA_YIELD: return resume_is_refused(rt, L, thread) ? "normal" : "suspended";
    case LUA_OK:
      if (lua_getstack(thread, 0, &ar)) return "normal";
      return lua_gettop(thread) == 0 ? "dead" : "suspended";
    default: return "dead";
  }
}

/*
** Pushes a new coroutine for the function at 1: its thread and our object. It keeps the trace of
** the code that runs now, whatever code resumes it.   [-0, +2, m]
*/
static void push_new(runtime *rt, lua_State *L) {
  lua_State *thread = lua_newthread(L);
  coroutine *c = coroutine_push(rt, L, -1);
  if (trace_here(rt)->trace != NULL) trace_context_branch(rt, &c->context, trace_current(rt));
  lua_pushvalue(L, 1);
  lua_xmove(L, thread, 1);
}

static int coroutine_create(lua_State *L) {
  if (!lua_isfunction(L, 1)) arg_type_error(L, 1, "create", "function");
  push_new(runtime_of(L), L);
  lua_pop(L, 1);
  return 1;
}

/* --- resume --- */

/*
** Pushes why the coroutine at 1 can't be resumed with so many values. Returns false, and pushes
** nothing, if it can.   [-0, +(0|1), e]
** A dead coroutine may have died of an exit that the task has swallowed since. A loop that resumes
** it meets no suspension point any more, so the exit is raised here.
*/
static bool push_refusal(runtime *rt, lua_State *L, lua_State *thread, int arguments) {
  lua_Debug ar;
  if (resume_is_refused(rt, L, thread)) {
    lua_pushliteral(L, TASK_REFUSAL);
  } else if (thread == L || (lua_status(thread) == LUA_OK && lua_getstack(thread, 0, &ar))) {
    lua_pushliteral(L, "cannot resume non-suspended coroutine");
  } else if ((lua_status(thread) == LUA_OK && lua_gettop(thread) == 0) ||
             (lua_status(thread) != LUA_OK && lua_status(thread) != LUA_YIELD)) {
    task_raise_pending(rt, L);
    lua_pushliteral(L, "cannot resume dead coroutine");
  } else if (!lua_checkstack(thread, arguments)) {
    lua_pushliteral(L, "too many arguments to resume");
  } else {
    return false;
  }
  return true;
}

static int finish_resume(runtime *rt, lua_State *L, lua_State *thread, int status, int values) {
  (void)rt;
  (void)thread;
  lua_pushboolean(L, status == LUA_OK || status == LUA_YIELD);
  lua_insert(L, -(values + 1));
  return values + 1;
}

static int coroutine_resume(lua_State *L) {
  static const resume_caller caller = {finish_resume};
  runtime *rt = runtime_of(L);
  lua_State *thread = check_thread(L, 1, "resume");
  if (push_refusal(rt, L, thread, lua_gettop(L) - 1)) {
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
  }
  coroutine *c = coroutine_push(rt, L, 1);
  lua_pop(L, 1);
  return resume_coroutine(rt, L, c, &caller);
}

/* --- wrap --- */

/*
** Raises the coroutine's error in the resumer, as Lua's wrap does. A record made of it there has
** the stack of the dead coroutine too.
*/
static int fail_wrapped(runtime *rt, lua_State *L, lua_State *thread, int status) {
  record_keep_inner(rt, L, thread);
  if (resume_close(rt, L, thread) != LUA_OK) {
    lua_xmove(thread, L, 1);
    lua_replace(L, -2);
  }
  if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int finish_wrapped(runtime *rt, lua_State *L, lua_State *thread, int status, int values) {
  if (status == LUA_OK || status == LUA_YIELD) return values;
  return fail_wrapped(rt, L, thread, status);
}

/* Upvalues 2 and 3 are the coroutine: its thread and our object. */
static int call_wrapped(lua_State *L) {
  static const resume_caller caller = {finish_wrapped};
  runtime *rt = runtime_of(L);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  if (push_refusal(rt, L, lua_tothread(L, 1), lua_gettop(L) - 1)) {
    rt->inner_kept = false; /* this error is not a coroutine's */
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
    return lua_error(L);
  }
  return resume_coroutine(rt, L, lua_touserdata(L, lua_upvalueindex(3)), &caller);
}

static int coroutine_wrap(lua_State *L) {
  if (!lua_isfunction(L, 1)) arg_type_error(L, 1, "wrap", "function");
  runtime *rt = runtime_of(L);
  lua_pushlightuserdata(L, rt);
  push_new(rt, L);
  lua_pushcclosure(L, call_wrapped, 3);
  return 1;
}

/* --- the rest --- */

static int coroutine_yield(lua_State *L) {
  const runtime *rt = runtime_of(L);
  if (rt->current != NULL && rt->current->coroutine.thread == L) {
    return luaL_error(L, "coroutine.yield in a task: use co.yield to let other tasks run");
  }
  return lua_yield(L, lua_gettop(L));
}

static int coroutine_status(lua_State *L) {
  lua_State *thread = check_thread(L, 1, "status");
  lua_pushstring(L, status_of(runtime_of(L), L, thread));
  return 1;
}

/* A thread that code has seen is not reused. */
static int coroutine_running(lua_State *L) {
  guard_note_seen(runtime_of(L), L);
  lua_pushboolean(L, lua_pushthread(L));
  return 2;
}

static int coroutine_isyieldable(lua_State *L) {
  const runtime *rt = runtime_of(L);
  lua_State *thread = lua_isnone(L, 1) ? L : check_thread(L, 1, "isyieldable");
  bool is_task = rt->current != NULL && rt->current->coroutine.thread == thread;
  lua_pushboolean(L, !is_task && lua_isyieldable(thread));
  return 1;
}

static int coroutine_close(lua_State *L) {
  runtime *rt = runtime_of(L);
  lua_State *thread = check_thread(L, 1, "close");
  if (resume_is_refused(rt, L, thread)) {
    lua_pushboolean(L, 0);
    lua_pushliteral(L, TASK_REFUSAL);
    return 2;
  }
  const char *status = status_of(rt, L, thread);
  if (*status != 's' && *status != 'd') return luaL_error(L, "cannot close a %s coroutine", status);
  if (resume_close(rt, L, thread) == LUA_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushboolean(L, 0);
  lua_xmove(thread, L, 1);
  return 2;
}

/* Replaces Lua's library by the table in upvalue 2, and returns the former one. */
static int coroutine_instrument(lua_State *L) {
  lua_settop(L, 0);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, 1, "coroutine");
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_setfield(L, 1, "coroutine");
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_setglobal(L, "coroutine");
  return 1;
}

void lib_coroutine_open(lua_State *L, runtime *rt) {
  static const luaL_Reg functions[] = {
      {"create", coroutine_create},
      {"resume", coroutine_resume},
      {"wrap", coroutine_wrap},
      {"yield", coroutine_yield},
      {"status", coroutine_status},
      {"running", coroutine_running},
      {"isyieldable", coroutine_isyieldable},
      {"close", coroutine_close},
      {NULL, NULL},
  };
  guard_install(rt, L);
  rt->resume = coroutine_resume;
  rt->wrapped = call_wrapped;
  lua_newtable(L);
  lib_register(L, rt, functions);
  lua_pushlightuserdata(L, rt);
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, coroutine_instrument, 2);
  lua_setfield(L, -3, "instrument");
  lua_setfield(L, -2, "coroutine");
}
