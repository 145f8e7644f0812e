/* Why code can't suspend; see task_refuse_suspension in task.h. */
#include <string.h>

#include "kernel/task.h"

/*
** Replaces the function on top of the stack by the name under which a loaded module has it
** ("table.sort"), or nil.   [-1, +1, m]
*/
static void push_loaded_name(lua_State *L) {
  int function = lua_gettop(L);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushnil(L);
  while (lua_next(L, function + 1) != 0) {
    bool is_table = lua_istable(L, -1);
    if (is_table) lua_pushnil(L);
    while (is_table && lua_next(L, -2) != 0) {
      if (lua_rawequal(L, -1, function) && lua_type(L, -2) == LUA_TSTRING) {
        const char *module = lua_tostring(L, function + 2);
        bool global = strcmp(module, LUA_GNAME) == 0;
        lua_pushfstring(L, "%s%s%s", global ? "" : module, global ? "" : ".", lua_tostring(L, -2));
        lua_replace(L, function);
        lua_settop(L, function);
        return;
      }
      lua_pop(L, 1);
    }
    lua_settop(L, function + 2);
  }
  lua_pushnil(L);
  lua_replace(L, function);
  lua_settop(L, function);
}

/*
** The levels of the stack in which the obstacle is searched: lua_getstack costs as much as the
** level.
*/
#define OBSTACLE_LEVELS 200

/*
** Pops a function. If it was called in a way in which no function can suspend, returns true and
** pushes a name for that.   [-1, +(0|1), m]
*/
static bool push_special(const runtime *rt, lua_State *L, const lua_Debug *ar) {
  const char *name = NULL;
  if (strcmp(ar->namewhat, "hook") == 0) {
    name = "a debug hook";
  } else if (strcmp(ar->namewhat, "metamethod") == 0 && ar->name != NULL &&
             strstr(ar->name, "gc") != NULL) {
    name = "a finalizer";
  } else if (lua_tocfunction(L, -1) == rt->base_error) {
    name = "a message handler"; /* it calls nothing else */
  }
  lua_pop(L, 1);
  if (name != NULL) lua_pushstring(L, name);
  return name != NULL;
}

/* Whether code may suspend through the function, a C function or (NULL) a Lua function. */
static bool lets_suspend(const runtime *rt, lua_CFunction f) {
  return f == NULL || f == rt->base_pcall || f == rt->base_xpcall || f == rt->wrapped ||
         f == rt->resume || runtime_is_machinery(rt, f);
}

/*
** Pushes a name for the obstacle that keeps the code on `thread` from suspending: "the C function
** 'table.sort'".   [-0, +1, m]
*/
static void push_obstacle(const runtime *rt, lua_State *L, lua_State *thread) {
  lua_Debug ar;
  int first = thread == L ? 1 : 0;
  for (int level = first; level < first + OBSTACLE_LEVELS && lua_getstack(thread, level, &ar);
       level++) {
    lua_getinfo(thread, "nf", &ar);
    lua_CFunction f = lua_tocfunction(thread, -1);
    if (thread != L) lua_xmove(thread, L, 1);
    lua_pushvalue(L, -1);
    if (push_special(rt, L, &ar)) {
      lua_remove(L, -2);
      return;
    }
    if (lets_suspend(rt, f)) {
      lua_pop(L, 1);
      continue;
    }
    push_loaded_name(L);
    const char *name = lua_isnil(L, -1) ? ar.name : lua_tostring(L, -1);
    lua_pushfstring(L, "the C function '%s'", name == NULL ? "?" : name);
    lua_remove(L, -2);
    return;
  }
  lua_pushliteral(L, "a message handler, metamethod or finalizer");
}

int task_refuse_suspension(runtime *rt, lua_State *L, const char *name) {
  const task *t = rt->current;
  if (t == NULL) {
    return luaL_error(L, "'%s' outside a task: start one with co.run or co.spawn", name);
  }
  /* A coroutine of ours can not pass suspensions on if its resumer can not suspend. */
  const coroutine *obstructed = coroutine_find(rt, L);
  while (obstructed != NULL && obstructed != t->coroutine.top) {
    obstructed = coroutine_outer(obstructed);
  }
  if (obstructed == NULL) {
    return luaL_error(L,
                      "'%s' inside a coroutine that coropanic did not make: "
                      "do this in a task of its own (co.spawn) and join it",
                      name);
  }
  push_obstacle(rt, L, obstructed->thread);
  return luaL_error(L, "'%s' can not suspend here: %s is in the way; do this before or after it",
                    name, lua_tostring(L, -1));
}
