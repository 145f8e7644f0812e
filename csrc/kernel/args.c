#include "kernel/args.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "kernel/runtime.h"

int arg_error(lua_State *L, int arg, const char *function, const char *message) {
  return luaL_error(L, "bad argument #%d to '%s' (%s)", arg, function, message);
}

/* Pushes a name for the value at `index`: its __name, its Lua type, or "no value".   [-0, +1, m] */
static const char *push_type(lua_State *L, int index) {
  if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING) return lua_tostring(L, -1);
  return lua_pushstring(L, lua_isnone(L, index) ? "no value" : luaL_typename(L, index));
}

/*
** Raises that the argument `arg` has the wrong type. It is at stack index `index`; for methods the
** two differ.   [-0, +0, e]
*/
static int type_error_at(lua_State *L, int index, int arg, const char *function,
                         const char *expected) {
  const char *got = push_type(L, index);
  return arg_error(L, arg, function, lua_pushfstring(L, "%s expected, got %s", expected, got));
}

int arg_type_error(lua_State *L, int arg, const char *function, const char *expected) {
  return type_error_at(L, arg, arg, function, expected);
}

void arg_check_callable(lua_State *L, int index, int arg, const char *function) {
  if (luaL_getmetafield(L, index, "__call") != LUA_TNIL) {
    lua_pop(L, 1);
    return;
  }
  type_error_at(L, index, arg, function, "function");
}

lua_Integer arg_check_integer(lua_State *L, int index, int arg, const char *function,
                              const char *what, lua_Integer low, lua_Integer high) {
  bool is_number = lua_type(L, index) == LUA_TNUMBER;
  int is_integer = 0;
  lua_Integer value = is_number ? lua_tointegerx(L, index, &is_integer) : 0;
  if (is_integer && value >= low && value <= high) return value;
  /* Not on the stack, where the text would be taken for a missing argument. */
  char expected[64];
  snprintf(expected, sizeof(expected), "%s: integer from %lld to %lld", what, (long long)low,
           (long long)high);
  if (!is_number) type_error_at(L, index, arg, function, expected);
  const char *got = luaL_tolstring(L, index, NULL);
  arg_error(L, arg, function, lua_pushfstring(L, "%s expected, got %s", expected, got));
  return 0;
}

int arg_find_word(lua_State *L, int index, const char *const *words) {
  if (lua_type(L, index) != LUA_TSTRING) return -1;
  size_t length;
  const char *given = lua_tolstring(L, index, &length);
  for (int i = 0; words[i] != NULL; i++) {
    if (length == strlen(words[i]) && memcmp(given, words[i], length) == 0) return i;
  }
  return -1;
}

double arg_check_time(lua_State *L, int index, int arg, const char *function) {
  if (lua_type(L, index) != LUA_TNUMBER) type_error_at(L, index, arg, function, "number");
  double seconds = lua_tonumber(L, index);
  if (isnan(seconds)) arg_error(L, arg, function, "seconds expected, got NaN");
  return seconds;
}

double arg_check_seconds(lua_State *L, int index, int arg, const char *function) {
  double seconds = arg_check_time(L, index, arg, function);
  if (seconds < 0) arg_error(L, arg, function, "seconds expected, got a negative number");
  return seconds;
}

double arg_check_timeout(lua_State *L, int index, int arg, const char *function) {
  return lua_isnoneornil(L, index) ? -1 : arg_check_seconds(L, index, arg, function);
}

int arg_refuse_self(lua_State *L, const char *type, const char *method) {
  (void)runtime_of(L); /* raises after the runtime's end */
  const char *dot = strchr(type, '.');
  return luaL_error(L, "calling '%s' on bad self (%s expected, got %s)", method,
                    dot == NULL ? type : dot + 1, push_type(L, 1));
}

void *arg_check_self(lua_State *L, const char *type, const char *method) {
  (void)runtime_of(L);
  void *self = luaL_testudata(L, 1, type);
  if (self == NULL) arg_refuse_self(L, type, method);
  return self;
}
