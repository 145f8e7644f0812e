/* co.observe */
#include <string.h>

#include "kernel/args.h"
#include "kernel/observe.h"
#include "lua/lib.h"

static const char *const kinds[] = {
#define NAME(kind, name) [PROBE_##kind] = (name),
    PROBE_KINDS(NAME)
#undef NAME
        NULL,
};

/* Raises that the item on top of the stack is no kind of event.   [-0, +0, e] */
static int refuse_kind(lua_State *L, lua_Integer item) {
  luaL_Buffer text;
  if (lua_type(L, -1) == LUA_TSTRING) {
    lua_pushfstring(L, "unknown kind \"%s\"", lua_tostring(L, -1));
  } else {
    lua_pushfstring(L, "item %I: string expected, got %s", item, luaL_typename(L, -1));
  }
  luaL_buffinitsize(L, &text, LUAL_BUFFERSIZE);
  lua_pushvalue(L, -2);
  luaL_addvalue(&text);
  luaL_addstring(&text, "; the kinds are");
  for (const char *const *kind = kinds; *kind != NULL; kind++) {
    luaL_addstring(&text, kind == kinds ? " " : ", ");
    luaL_addstring(&text, *kind);
  }
  luaL_pushresult(&text);
  return arg_error(L, 1, "observe", lua_tostring(L, -1));
}

/* Returns the kinds in the list at 1.   [-0, +0, e] */
static uint32_t check_kinds(lua_State *L) {
  if (!lua_istable(L, 1)) arg_type_error(L, 1, "observe", "table");
  lua_Integer count = (lua_Integer)lua_rawlen(L, 1);
  if (count == 0) arg_error(L, 1, "observe", "list of one or more kinds of events expected");
  uint32_t wants = 0;
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, 1, i);
    int kind = lua_type(L, -1) == LUA_TSTRING ? arg_find_word(L, -1, kinds) : -1;
    if (kind < 0) refuse_kind(L, i);
    wants |= kind < 0 ? 0 : PROBE_BIT(kind); /* refuse_kind has raised */
    lua_pop(L, 1);
  }
  return wants;
}

/* The function that co.observe returns: stops the observer in upvalue 2. */
static int stop_observer(lua_State *L) {
  runtime *rt = runtime_of_any(L);
  if (rt->closed) return 0;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  observe_flush(rt, L); /* the observer still hears the events until now */
  observe_stop(rt, L, lua_touserdata(L, lua_upvalueindex(2)));
  return 0;
}

static int observe_observe(lua_State *L) {
  runtime *rt = runtime_of(L);
  uint32_t wants = check_kinds(L);
  arg_check_function(L, 2, "observe");
  lua_settop(L, 2);
  observe_flush(rt, L); /* the new observer does not hear the events until now */
  observer *o = observe_new(rt, L);
  lua_pushlightuserdata(L, rt);
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, stop_observer, 2);
  lua_insert(L, -2);
  observe_begin(rt, L, o, wants);
  lua_pop(L, 1);
  return 1;
}

/* --- co.on_spawn and its like --- */

/* Pushes the function of the observer `o`; nil if `o` is NULL.   [-0, +1, -] */
static void push_function(runtime *rt, lua_State *L, const observer *o) {
  if (o == NULL) {
    lua_pushnil(L);
    return;
  }
  observe_push(rt, L, o);
  lua_getiuservalue(L, -1, 1);
  lua_replace(L, -2);
}

int lib_set_listener(lua_State *L, probe_kind kind, const char *function) {
  runtime *rt = runtime_of(L);
  observer **listener = &rt->observers->listeners[kind];
  lua_settop(L, 1);
  if (lua_isnil(L, 1)) {
    push_function(rt, L, *listener);
    if (*listener != NULL) observe_stop(rt, L, *listener);
    *listener = NULL;
    return 1;
  }
  arg_check_function(L, 1, function);
  lua_pushvalue(L, 1);
  observer *made = observe_new(rt, L);
  push_function(rt, L, *listener); /* a finalizer may have set one just now */
  if (*listener != NULL) {
    observe_push(rt, L, *listener);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    lua_pop(L, 1);
    return 1;
  }
  made->is_listener = true;
  lua_pushvalue(L, 2);
  observe_begin(rt, L, made, PROBE_BIT(kind));
  *listener = made;
  lua_pop(L, 1);
  return 1;
}

void lib_observe_open(lua_State *L, runtime *rt) {
  static const luaL_Reg functions[] = {{"observe", observe_observe}, {NULL, NULL}};
  lib_register(L, rt, functions);
}
