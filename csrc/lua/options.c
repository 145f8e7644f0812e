#include "lua/options.h"

#include <stdio.h>

#include "kernel/args.h"

/* Longer times are as good as for ever; these fit in any sum of milliseconds. */
#define MAX_SECONDS 1e9

unsigned options_check_names(lua_State *L, int arg, const char *function,
                             const char *const *names) {
  if (!lua_istable(L, arg)) arg_type_error(L, arg, function, "table");
  unsigned given = 0;
  if (lua_getmetatable(L, arg)) {
    lua_pop(L, 1);
    given = ~0U; /* __index may give more than is in the table */
  }
  lua_pushnil(L);
  while (lua_next(L, arg) != 0) {
    lua_pop(L, 1);
    int place = arg_find_word(L, -1, names);
    if (place >= 0) {
      given |= 1U << place;
    } else {
      const char *shown = luaL_tolstring(L, -1, NULL);
      arg_error(L, arg, function, lua_pushfstring(L, "unknown option '%s'", shown));
    }
  }
  return given;
}

int options_error(lua_State *L, int arg, const char *function, const char *name,
                  const char *expected) {
  const char *text =
      lua_pushfstring(L, "option '%s': %s expected, got %s", name, expected, luaL_typename(L, -1));
  return arg_error(L, arg, function, text);
}

int options_refuse_value(lua_State *L, int arg, const char *function, const char *name,
                         const char *expected) {
  const char *got = luaL_tolstring(L, -1, NULL);
  const char *text = lua_pushfstring(L, "option '%s': %s expected, got %s", name, expected, got);
  return arg_error(L, arg, function, text);
}

const char *options_string(lua_State *L, int arg, const char *function, const char *name) {
  int type = lua_getfield(L, arg, name);
  if (type == LUA_TNIL) return NULL;
  if (type != LUA_TSTRING) options_error(L, arg, function, name, "string");
  return lua_tostring(L, -1);
}

bool options_boolean(lua_State *L, int arg, const char *function, const char *name) {
  int type = lua_getfield(L, arg, name);
  if (type != LUA_TNIL && type != LUA_TBOOLEAN) options_error(L, arg, function, name, "boolean");
  bool value = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

lua_Integer options_integer(lua_State *L, int arg, const char *function, const char *name,
                            lua_Integer low, lua_Integer high, lua_Integer fallback) {
  lua_Integer value = fallback;
  if (lua_getfield(L, arg, name) != LUA_TNIL) {
    char expected[64];
    snprintf(expected, sizeof(expected), "integer from %lld to %lld", (long long)low,
             (long long)high);
    if (lua_type(L, -1) != LUA_TNUMBER) options_error(L, arg, function, name, expected);
    int is_integer;
    value = lua_tointegerx(L, -1, &is_integer);
    if (!is_integer || value < low || value > high)
      options_refuse_value(L, arg, function, name, expected);
  }
  lua_pop(L, 1);
  return value;
}

lua_Integer options_milliseconds(lua_State *L, int arg, const char *function, const char *name,
                                 lua_Integer fallback_ms) {
  lua_Integer ms = fallback_ms;
  if (lua_getfield(L, arg, name) != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TNUMBER) options_error(L, arg, function, name, "seconds");
    double seconds = lua_tonumber(L, -1);
    if (!(seconds >= 0)) options_refuse_value(L, arg, function, name, "seconds from 0");
    ms = (lua_Integer)((seconds < MAX_SECONDS ? seconds : MAX_SECONDS) * 1000);
  }
  lua_pop(L, 1);
  return ms;
}

int options_word(lua_State *L, int arg, const char *function, const char *name,
                 const char *const *words) {
  const char *word = options_string(L, arg, function, name);
  int place = word == NULL ? 0 : arg_find_word(L, -1, words);
  if (place < 0) {
    lua_pushfstring(L, "\"%s\"", words[0]);
    for (int i = 1; words[i] != NULL; i++) {
      lua_pushfstring(L, "%s%s\"%s\"", lua_tostring(L, -1), words[i + 1] == NULL ? " or " : ", ",
                      words[i]);
    }
    const char *expected = lua_tostring(L, -1);
    lua_pushstring(L, word);
    options_refuse_value(L, arg, function, name, expected);
  }
  lua_pop(L, 1);
  return place;
}
