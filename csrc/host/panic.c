/* Panics, deferred calls and the panic handler from C. */
#include <string.h>

#include "coropanic.h"
#include "host/host.h"
#include "kernel/defer.h"
#include "kernel/record.h"
#include "loop/scheduler.h"

int cp_panic(lua_State *L) {
  record_wrap_safe(host_open(L), L, L, 0, RECORD_PANIC);
  return lua_error(L);
}

int cp_panic_code(lua_State *L, const char *code) {
  luaL_checkstack(L, 2, NULL);
  lua_createtable(L, 0, 2);
  lua_insert(L, -2);
  lua_setfield(L, -2, "message");
  lua_pushstring(L, code);
  lua_setfield(L, -2, "code");
  return cp_panic(L);
}

/* --- pointers to functions as Lua values --- */

_Static_assert(sizeof(void *) == sizeof(void (*)(void)), "a light userdata has room for both");

static void push_function(lua_State *L, const void *function) {
  void *address;
  memcpy(&address, function, sizeof(address));
  lua_pushlightuserdata(L, address);
}

static void read_function(lua_State *L, int index, void *function) {
  const void *address = lua_touserdata(L, index);
  memcpy(function, &address, sizeof(address));
}

/* --- deferring --- */

void cp_defer(lua_State *L, int arguments) {
  runtime *rt = host_open(L);
  int function = lua_gettop(L) - arguments;
  if (!lua_isfunction(L, function) && luaL_getmetafield(L, function, "__call") == LUA_TNIL) {
    luaL_error(L, "cp_defer: function expected, got %s", luaL_typename(L, function));
  }
  lua_settop(L, function + arguments);
  frame_stack *s = defer_check_frame(rt, L, "cp_defer");
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  defer_call(rt, L, s, arguments + 1);
}

/* (function pointer, data) */
static int call_c(lua_State *L) {
  void (*fn)(void *data);
  read_function(L, 1, &fn);
  fn(lua_touserdata(L, 2));
  return 0;
}

void cp_defer_c(lua_State *L, void (*fn)(void *data), void *data) {
  luaL_checkstack(L, 3, NULL);
  lua_pushcfunction(L, call_c);
  push_function(L, &fn);
  lua_pushlightuserdata(L, data);
  cp_defer(L, 2);
}

int cp_run_pending_defers(lua_State *L, int index) {
  task *t = host_task(L, index);
  if (t == NULL || task_ended(t)) return -1;
  return (int)scheduler_run_pending(host_find(L), L, t);
}

/* --- the handler --- */

/* (record, task or nil) The upvalues: function pointer, data. */
static int call_handler(lua_State *L) {
  cp_panic_handler fn;
  read_function(L, lua_upvalueindex(1), &fn);
  lua_settop(L, 2);
  fn(L, 1, lua_isnil(L, 2) ? 0 : 2, lua_touserdata(L, lua_upvalueindex(2)));
  return 0;
}

void cp_on_panic(lua_State *L, cp_panic_handler fn, void *data) {
  runtime *rt = host_open(L);
  luaL_checkstack(L, 3, NULL);
  if (fn == NULL) {
    lua_pushnil(L);
  } else {
    push_function(L, &fn);
    lua_pushlightuserdata(L, data);
    lua_pushcclosure(L, call_handler, 2);
  }
  runtime_set_value(rt, L, RUNTIME_UV_ON_PANIC);
}
