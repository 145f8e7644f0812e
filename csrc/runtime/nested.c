#include "runtime/nested.h"

#include "runtime/cancel.h"
#include "runtime/panic.h"

/* --- who has resumed whom --- */

void nested_register(runtime *rt, lua_State *L, int index) {
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

/* --- resuming --- */

/*
** Whether the error on top of the stack is an exit that is unwinding the current task, and not one
** that has ended already.
*/
static bool is_exit(const runtime *rt, lua_State *L) {
  return panic_is_in_flight(rt, L, -1) && record_test(L, -1)->exits;
}

static int continue_resume(lua_State *L, int status, lua_KContext finish);

/* The coroutine has come back: the task waits in it, or it has yielded, returned or failed. */
static int came_back(runtime *rt, lua_State *L, bool passes, int status, int values,
                     nested_finish *finish) {
  lua_State *thread = lua_tothread(L, 1);
  task *t = rt->current;
  if (passes && status == LUA_YIELD && t->status != TASK_RUNNING) {
    return lua_yieldk(L, 0, (lua_KContext)finish, continue_resume);
  }
  if (passes) t->live.top = L;
  lua_pushboolean(L, 0);
  set_entry(rt, L);
  if (status != LUA_OK && status != LUA_YIELD) {
    values = 1;
    lua_pushvalue(thread, -1);
    lua_xmove(thread, L, 1);
    if (is_exit(rt, L)) return cancel_raise_outwards(rt, L);
  } else if (!lua_checkstack(L, values + 1)) {
    lua_pop(thread, values);
    return luaL_error(L, "too many results to resume");
  } else {
    lua_xmove(thread, L, values);
  }
  return finish(rt, L, thread, status, values);
}

/* The task goes on after it has waited in the coroutine at 1. */
static int continue_resume(lua_State *L, int status, lua_KContext finish) {
  runtime *rt = runtime_of(L);
  lua_State *thread = lua_tothread(L, 1);
  (void)status;
  if (rt->current == NULL || rt->current->status != TASK_RUNNING) {
    return luaL_error(
        L, "this coroutine belongs to a task of coropanic: only its scheduler may resume it");
  }
  lua_settop(L, 1);
  int values;
  int result = lua_resume(thread, L, 0, &values);
  return came_back(rt, L, true, result, values, (nested_finish *)finish);
}

int nested_resume(runtime *rt, lua_State *L, nested_finish *finish) {
  lua_State *thread = lua_tothread(L, 1);
  int arguments = lua_gettop(L) - 1;
  task *t = rt->current;
  /* Where the resumer can't suspend, neither can what it resumes. */
  bool passes = t != NULL && t->live.top == L && lua_isyieldable(L);
  nested_register(rt, L, 1);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_pushthread(L);
  set_entry(rt, L);
  lua_xmove(L, thread, arguments);
  if (passes) t->live.top = thread;
  int values;
  int status = lua_resume(thread, L, arguments, &values);
  return came_back(rt, L, passes, status, values, finish);
}
