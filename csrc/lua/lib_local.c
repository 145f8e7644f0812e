/* co.task_local: a variable with a value of its own for every task. */
#include "kernel/args.h"
#include "kernel/task.h"
#include "lua/lib.h"

#define LOCAL_TYPE "coropanic.task_local"

/*
** User values: the default, and a table task -> value with weak keys, so that a value goes with its
** task. The main program's key is true. A nil that was set is stored as the table itself.
*/
enum { LOCAL_UV_DEFAULT = 1, LOCAL_UV_VALUES, LOCAL_UV_COUNT = LOCAL_UV_VALUES };

static int local_task_local(lua_State *L) {
  lua_settop(L, 1);
  lua_newuserdatauv(L, 0, LOCAL_UV_COUNT);
  luaL_setmetatable(L, LOCAL_TYPE);
  lua_insert(L, 1);
  lua_setiuservalue(L, 1, LOCAL_UV_DEFAULT);
  lua_newtable(L);
  luaL_setmetatable(L, LOCAL_TYPE ".values");
  lua_setiuservalue(L, 1, LOCAL_UV_VALUES);
  return 1;
}

/* Pushes the table of values of the local at 1, and the key of the running code.   [-0, +2, -] */
static void push_place(lua_State *L) {
  runtime *rt = runtime_of(L);
  lua_getiuservalue(L, 1, LOCAL_UV_VALUES);
  if (rt->current == NULL) {
    lua_pushboolean(L, 1);
  } else {
    task_push(rt, L, rt->current);
  }
}

static int local_method_get(lua_State *L) {
  arg_check_self(L, LOCAL_TYPE, "get");
  push_place(L);
  if (lua_rawget(L, -2) == LUA_TNIL) {
    lua_getiuservalue(L, 1, LOCAL_UV_DEFAULT);
  } else if (lua_rawequal(L, -1, -2)) {
    lua_pushnil(L);
  }
  return 1;
}

static int local_method_set(lua_State *L) {
  arg_check_self(L, LOCAL_TYPE, "set");
  lua_settop(L, 2);
  push_place(L);
  lua_pushvalue(L, lua_isnil(L, 2) ? 3 : 2);
  lua_rawset(L, 3);
  return 0;
}

void lib_local_open(lua_State *L, runtime *rt) {
  static const luaL_Reg methods[] = {
      {"get", local_method_get},
      {"set", local_method_set},
      {NULL, NULL},
  };
  static const luaL_Reg metamethods[] = {{NULL, NULL}};
  static const luaL_Reg functions[] = {{"task_local", local_task_local}, {NULL, NULL}};
  lib_new_type(L, rt, LOCAL_TYPE, methods, metamethods);
  luaL_newmetatable(L, LOCAL_TYPE ".values");
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_pop(L, 1);
  lib_register(L, rt, functions);
}
