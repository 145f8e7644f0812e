#include "lua/carrier_view.h"

#include <stdlib.h>

#include "core/base.h"
#include "lua/carrier_names.h"

/* Tables that __index leads to, one after another: more than any class has, and cycles end. */
#define MAX_LAYERS 100

/* Items that are asked for of what can't be listed: one with a default has no end. */
#define MAX_ASKED 1000

bool carrier_has_metafield(lua_State *L, int index, const char *field) {
  if (luaL_getmetafield(L, index, field) == LUA_TNIL) return false;
  lua_pop(L, 1);
  return true;
}

/* --- entries of lists --- */

static bool is_indexable(lua_State *L, int index) {
  int type = lua_type(L, index);
  return type == LUA_TTABLE ||
         (type == LUA_TUSERDATA && carrier_has_metafield(L, index, "__index"));
}

entry_form entry_read(lua_State *L, const char *name, bool *same) {
  *same = false;
  if (!is_indexable(L, -1)) return ENTRY_NONE;
  entry_form form = ENTRY_PAIR;
  if (lua_geti(L, -1, 1) != LUA_TSTRING) {
    lua_pop(L, 1);
    form = lua_getfield(L, -1, "name") == LUA_TSTRING ? ENTRY_FIELDS : ENTRY_NONE;
  }
  *same = form != ENTRY_NONE && spelling_of(L, -1, name) >= 0;
  lua_pop(L, 1);
  return form;
}

void entry_push_value(lua_State *L, entry_form form) {
  if (form == ENTRY_PAIR) {
    lua_geti(L, -1, 2);
  } else {
    lua_getfield(L, -1, "value");
  }
}

lua_Integer carrier_length(lua_State *L, int array) {
  if (carrier_has_metafield(L, array, "__len")) return luaL_len(L, array);
  return lua_istable(L, array) ? (lua_Integer)lua_rawlen(L, array) : 0;
}

/* --- values --- */

/* [-1, +0, m] */
static bool append_text(lua_State *L, int array) {
  bool is_text = lua_isstring(L, -1);
  if (is_text) {
    lua_tolstring(L, -1, NULL);
    lua_rawseti(L, array, (lua_Integer)lua_rawlen(L, array) + 1);
  } else {
    lua_pop(L, 1);
  }
  return is_text;
}

/* --- what is not in a table's list --- */

static int compare_integers(const void *a, const void *b) {
  lua_Integer x = *(const lua_Integer *)a, y = *(const lua_Integer *)b;
  return (x > y) - (x < y);
}

bool carrier_is_stray(lua_State *L, int index, lua_Integer border) {
  if (!lua_isinteger(L, index)) return false;
  lua_Integer i = lua_tointeger(L, index);
  return i < 1 || i > border;
}

const lua_Integer *carrier_push_strays(lua_State *L, int table, lua_Integer border, size_t *count) {
  size_t found = 0;
  lua_pushnil(L);
  for (; lua_next(L, table); lua_pop(L, 1)) found += carrier_is_stray(L, -2, border) ? 1 : 0;
  lua_Integer *strays = lua_newuserdatauv(L, (found + 1) * sizeof(lua_Integer), 0);
  /* A finalizer may have changed the table. */
  *count = 0;
  lua_pushnil(L);
  for (; lua_next(L, table); lua_pop(L, 1)) {
    if (*count < found && carrier_is_stray(L, -2, border))
      strays[(*count)++] = lua_tointeger(L, -2);
  }
  qsort(strays, *count, sizeof(lua_Integer), compare_integers);
  return strays;
}

/* The strings of the plain table on top of the stack, also those behind holes.   [-0, +0, m] */
static void append_own(lua_State *L, int array) {
  int table = lua_gettop(L);
  lua_Integer length = (lua_Integer)lua_rawlen(L, table);
  for (lua_Integer i = 1; i <= length; i++) {
    lua_rawgeti(L, table, i);
    append_text(L, array);
  }
  size_t count;
  const lua_Integer *strays = carrier_push_strays(L, table, length, &count);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, table, strays[i]);
    append_text(L, array);
  }
  lua_settop(L, table);
}

void carrier_append(lua_State *L, int array) {
  if (!lua_istable(L, -1)) {
    append_text(L, array);
    return;
  }
  if (!lua_getmetatable(L, -1)) {
    append_own(L, array);
    lua_pop(L, 1);
    return;
  }
  lua_pop(L, 1);
  lua_Integer length = carrier_length(L, -1);
  for (lua_Integer i = 1; i <= MAX_ASKED; i++) {
    lua_geti(L, -1, i);
    if (!append_text(L, array) && i > length) break;
  }
  lua_pop(L, 1);
}

/* --- copies --- */

/* What is being copied. */
typedef struct viewing {
  int view; /* index of the copy */
  const char *name;
  bool found; /* the header is in the copy */
} viewing;

/* Adds the value on top of the stack to those of the name below it: an object may have it twice.   [-1, +0, e] */
static void take_value(lua_State *L, viewing *v) {
  v->found = true;
  lua_pushvalue(L, -2);
  if (lua_rawget(L, v->view) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -3);
    lua_pushvalue(L, -2);
    lua_rawset(L, v->view);
  }
  lua_insert(L, -2);
  carrier_append(L, lua_gettop(L) - 1);
  lua_pop(L, 1);
}

/* Takes the item on top of the stack as that of the index below it, unless there is one.   [-1, +0, e] */
static void take_entry(lua_State *L, viewing *v) {
  lua_Integer i = lua_tointeger(L, -2);
  bool same;
  bool hidden = lua_rawgeti(L, v->view, i) != LUA_TNIL;
  lua_pop(L, 1);
  if (hidden || entry_read(L, v->name, &same) == ENTRY_NONE) {
    lua_pop(L, 1);
    return;
  }
  v->found = v->found || same;
  lua_rawseti(L, v->view, i);
}

/* Takes the value on top of the stack, with the key below it, if it is the header's or of the list.   [-1, +0, e] */
static void take(lua_State *L, viewing *v) {
  if (spelling_of(L, -2, v->name) >= 0) {
    take_value(L, v);
  } else if (lua_isinteger(L, -2)) {
    take_entry(L, v);
  } else {
    lua_pop(L, 1);
  }
}

/* Takes what __pairs, on top of the stack, lists of the object at `headers`.   [-1, +0, e] */
static void take_listed(lua_State *L, int headers, viewing *v) {
  lua_pushvalue(L, headers);
  lua_call(L, 1, 3);
  for (;;) {
    lua_pushvalue(L, -3);
    lua_pushvalue(L, -3);
    lua_rotate(L, -3, -1);
    lua_call(L, 2, 2);
    if (lua_isnil(L, -2)) break;
    take(L, v);
  }
  lua_pop(L, 4);
}

/* Takes what the table at `layer` has itself.   [-0, +0, e] */
static void take_own(lua_State *L, int layer, viewing *v) {
  if (!lua_istable(L, layer)) return;
  lua_pushnil(L);
  while (lua_next(L, layer)) take(L, v);
}

/* (object, key) → its value */
static int get_asked(lua_State *L) {
  lua_gettable(L, 1);
  return 1;
}

/* Pushes what the object has for the key on top of the stack; nil if it raises: it is no list. [-0, +1, m] */
static void ask(lua_State *L, int object) {
  lua_pushcfunction(L, get_asked);
  lua_pushvalue(L, object);
  lua_pushvalue(L, -3);
  if (lua_pcall(L, 2, 1, 0) == LUA_OK) return;
  lua_pop(L, 1);
  lua_pushnil(L);
}

/*
** Asks for the name as it is usually spelled, and for the entries of the list, until there is none: an object whose
** __index is a function cannot be listed.   [-0, +0, e]
*/
static void take_asked(lua_State *L, int layer, viewing *v) {
  int lower = spelling_lower(v->name);
  const int usual[] = {lower, lower >> 1, 0};
  for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]) && !v->found; i++) {
    spelling_push(L, v->name, usual[i]);
    lua_pushvalue(L, -1);
    if (lua_gettable(L, layer) == LUA_TNIL) {
      lua_pop(L, 2);
    } else {
      take(L, v);
      lua_pop(L, 1);
    }
  }
  bool beyond = v->found, same;
  lua_Integer length = carrier_length(L, layer);
  for (lua_Integer i = 1; i <= MAX_ASKED && !beyond; i++) {
    lua_pushinteger(L, i);
    ask(L, layer);
    beyond = i > length && entry_read(L, v->name, &same) == ENTRY_NONE;
    take(L, v);
    lua_pop(L, 1);
  }
}

/*
** Takes what the object at `headers` has: what it lists, else what it has itself, else what its __index has, which may
** be such an object again.   [-0, +0, e]
*/
static void take_layers(lua_State *L, int headers, viewing *v) {
  lua_pushvalue(L, headers);
  int layer = lua_gettop(L);
  for (int i = 0; i < MAX_LAYERS && !v->found; i++) {
    if (luaL_getmetafield(L, layer, "__pairs") != LUA_TNIL) {
      take_listed(L, layer, v);
      break;
    }
    take_own(L, layer, v);
    int type = luaL_getmetafield(L, layer, "__index");
    if (type == LUA_TNIL) break;
    if (type == LUA_TFUNCTION && !v->found) take_asked(L, layer, v);
    lua_replace(L, layer);
    if (type != LUA_TTABLE && type != LUA_TUSERDATA) break;
  }
  lua_pop(L, 1);
}

/* Whether the value says by itself what it has.   [-0, +0, -] */
static bool is_object(lua_State *L, int index) {
  if (!lua_getmetatable(L, index)) return false;
  lua_pop(L, 1);
  return carrier_has_metafield(L, index, "__pairs") || carrier_has_metafield(L, index, "__index");
}

bool carrier_view(lua_State *L, int headers, const char *name) {
  bool copied = is_object(L, headers);
  if (!copied && lua_istable(L, headers)) {
    lua_pushvalue(L, headers);
    return false;
  }
  lua_newtable(L);
  viewing v = {.view = lua_gettop(L), .name = name};
  if (copied) take_layers(L, headers, &v);
  return copied;
}
