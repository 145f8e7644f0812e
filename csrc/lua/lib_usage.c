#include "lua/lib_usage.h"

#include "core/hex.h"
#include "kernel/args.h"
#include "kernel/runtime.h"
#include "lua/lib.h"
#include "span/usage.h"

enum { ID_DIGITS = 32 };

/* Pushes {tasks, switches, spans, run_ns, wait_ns, allocated}.   [-0, +1, m] */
static void push_trace(lua_State *L, const trace_usage *used) {
  lua_createtable(L, 0, 6);
  lib_set_count(L, "tasks", used->tasks);
  lib_set_count(L, "switches", used->switches);
  lib_set_count(L, "spans", used->spans);
  lib_set_count(L, "run_ns", (uint64_t)used->run_ns);
  lib_set_count(L, "wait_ns", (uint64_t)used->wait_ns);
  if (used->allocated > 0) lib_set_count(L, "allocated", used->allocated);
}

/* Pushes a table of all live traces, by their ids. The usage may be ended meanwhile by a finalizer. */
static int push_all(lua_State *L, usage *u) {
  usage_sweep(u);
  uint32_t count = u->count;
  trace_usage *copy = lua_newuserdatauv(L, sizeof(u->traces), 0);
  u = ((runtime *)lua_touserdata(L, lua_upvalueindex(1)))->usage;
  if (u == NULL) count = 0;
  if (u != NULL && u->count < count) count = u->count;
  if (u != NULL) memcpy(copy, u->traces, count * sizeof(trace_usage));
  lua_createtable(L, 0, (int)count);
  for (uint32_t i = 0; i < count; i++) {
    char digits[ID_DIGITS];
    hex_encode(digits, copy[i].trace_id, sizeof(copy[i].trace_id));
    lua_pushlstring(L, digits, ID_DIGITS);
    push_trace(L, &copy[i]);
    lua_rawset(L, -3);
  }
  return 1;
}

/* (trace id) → what it has used; nil if it is not live */
static int push_one(lua_State *L, usage *u) {
  uint8_t trace_id[16];
  size_t length;
  const char *digits = lua_tolstring(L, 1, &length);
  if (length != ID_DIGITS || !hex_decode(trace_id, digits, sizeof(trace_id))) {
    return arg_error(L, 1, "usage", "32 hex digits expected");
  }
  usage_sweep(u);
  const trace_usage *found = usage_find(u, trace_id);
  if (found == NULL) {
    lua_pushnil(L);
    return 1;
  }
  trace_usage copy = *found;
  push_trace(L, &copy);
  return 1;
}

/* ([trace id]) → usage; (false): ends counting */
static int trace_usage_call(lua_State *L) {
  runtime *rt = runtime_of(L);
  lua_settop(L, 1);
  if (lua_isboolean(L, 1) && !lua_toboolean(L, 1)) {
    usage_end(rt);
    return 0;
  }
  if (!lua_isnil(L, 1) && lua_type(L, 1) != LUA_TSTRING) {
    return arg_type_error(L, 1, "usage", "trace id, false or nil");
  }
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  usage *u = usage_begin(rt);
  if (u == NULL) return luaL_error(L, "not enough memory");
  return lua_isnil(L, 1) ? push_all(L, u) : push_one(L, u);
}

void lib_usage_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"usage", trace_usage_call}, {NULL, NULL}};
  lua_pushvalue(L, lua_upvalueindex(1));
  luaL_setfuncs(L, functions, 1);
}
