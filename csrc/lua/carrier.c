#include "lua/carrier.h"

#include <string.h>

/* Whether the value at `index` is the header's name, in any case of ASCII. */
static bool is_name(lua_State *L, int index, const char *name) {
  if (lua_type(L, index) != LUA_TSTRING) return false;
  size_t length;
  const char *given = lua_tolstring(L, index, &length);
  if (length != strlen(name)) return false;
  for (size_t i = 0; i < length; i++) {
    char c = given[i];
    if (c >= 'A' && c <= 'Z') c = (char)(c - 'A' + 'a');
    if (c != name[i]) return false;
  }
  return true;
}

/* Values found, kept on the Lua stack from index `first` on, with a "," between any two. */
typedef struct found_values {
  int first;
  int count;
  int slots;
} found_values;

/* Moves the string on top of the stack to the found ones.   [-1, +1, m] */
static void add_string(lua_State *L, found_values *found) {
  luaL_checkstack(L, LUA_MINSTACK, "too many header values");
  lua_insert(L, found->first + found->slots++);
  if (found->count++ == 0) return;
  lua_pushliteral(L, ",");
  lua_insert(L, found->first + found->slots - 1);
  found->slots++;
}

/* Takes the value on top of the stack: a string, or an array of strings.   [-1, +n, m] */
static void add_value(lua_State *L, found_values *found) {
  if (lua_type(L, -1) == LUA_TSTRING) {
    add_string(L, found);
    return;
  }
  lua_Integer count = lua_type(L, -1) == LUA_TTABLE ? (lua_Integer)lua_rawlen(L, -1) : 0;
  for (lua_Integer i = 1; i <= count; i++) {
    if (lua_rawgeti(L, -1, i) == LUA_TSTRING) {
      add_string(L, found);
    } else {
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
}

/* Whether the value on top of the stack is a pair of this name.   [-0, +0, -] */
static bool is_pair_of(lua_State *L, const char *name) {
  if (lua_type(L, -1) != LUA_TTABLE) return false;
  lua_rawgeti(L, -1, 1);
  bool same = is_name(L, -1, name);
  lua_pop(L, 1);
  return same;
}

static void add_pairs(lua_State *L, int headers, const char *name, found_values *found) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, headers);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, headers, i);
    if (is_pair_of(L, name)) {
      lua_rawgeti(L, -1, 2);
      lua_remove(L, -2);
      add_value(L, found);
    } else {
      lua_pop(L, 1);
    }
  }
}

static void add_named(lua_State *L, int headers, const char *name, found_values *found) {
  lua_pushnil(L);
  while (lua_next(L, headers)) {
    if (!is_name(L, -2, name)) {
      lua_pop(L, 1);
      continue;
    }
    /* The key has to be on top again: the found ones go below it. */
    add_value(L, found);
  }
}

int carrier_push(lua_State *L, int headers, const char *name) {
  headers = lua_absindex(L, headers);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  found_values found = {.first = lua_gettop(L) + 1};
  add_pairs(L, headers, name, &found);
  add_named(L, headers, name, &found);
  lua_concat(L, found.slots);
  return found.count;
}

/* Takes all pairs of this name out of the array and closes the gaps.   [-0, +0, m] */
static void remove_pairs(lua_State *L, int headers, const char *name) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, headers);
  lua_Integer kept = 0;
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, headers, i);
    bool stays = !is_pair_of(L, name);
    if (stays && ++kept != i) {
      lua_rawseti(L, headers, kept);
    } else {
      lua_pop(L, 1);
    }
  }
  for (lua_Integer i = kept + 1; i <= count; i++) {
    lua_pushnil(L);
    lua_rawseti(L, headers, i);
  }
}

static void remove_named(lua_State *L, int headers, const char *name) {
  lua_pushnil(L);
  while (lua_next(L, headers)) {
    lua_pop(L, 1);
    if (!is_name(L, -1, name)) continue;
    lua_pushvalue(L, -1);
    lua_pushnil(L);
    lua_rawset(L, headers);
  }
}

/* Whether the table holds pairs. Asked before any of them is removed.   [-0, +0, -] */
static bool has_pairs(lua_State *L, int headers) {
  bool pairs = lua_rawgeti(L, headers, 1) == LUA_TTABLE;
  lua_pop(L, 1);
  return pairs;
}

void carrier_set(lua_State *L, int headers, const char *name) {
  headers = lua_absindex(L, headers);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  bool pairs = has_pairs(L, headers);
  remove_pairs(L, headers, name);
  remove_named(L, headers, name);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
  } else if (pairs) {
    lua_createtable(L, 2, 0);
    lua_insert(L, -2);
    lua_pushstring(L, name);
    lua_rawseti(L, -3, 1);
    lua_rawseti(L, -2, 2);
    lua_rawseti(L, headers, (lua_Integer)lua_rawlen(L, headers) + 1);
  } else {
    lua_pushstring(L, name);
    lua_insert(L, -2);
    lua_rawset(L, headers);
  }
}
