#include "lua/carrier.h"

#include "kernel/args.h"
#include "lua/carrier_object.h"
#include "lua/carrier_places.h"

/* --- what can be a carrier --- */

static bool is_method(lua_State *L, int headers, const char *name) {
  bool method = lua_getfield(L, headers, name) == LUA_TFUNCTION;
  lua_pop(L, 1);
  return method;
}

/*
** Whether the headers have methods that set them, as lua-http's have. A table whose __index is a
** function is not asked, because it may make a value for any key.   [-0, +0, e]
*/
static bool has_methods(lua_State *L, int headers) {
  int type = luaL_getmetafield(L, headers, "__index");
  if (type == LUA_TNIL) return false;
  lua_pop(L, 1);
  if (lua_istable(L, headers) && type == LUA_TFUNCTION) return false;
  return is_method(L, headers, "upsert") && is_method(L, headers, "delete");
}

void carrier_check_readable(lua_State *L, int arg, const char *function) {
  if (lua_istable(L, arg)) return;
  if (!lua_isuserdata(L, arg)) {
    arg_type_error(L, arg, function, "table of headers");
  } else if (!carrier_has_metafield(L, arg, "__pairs") &&
             !carrier_has_metafield(L, arg, "__index")) {
    arg_type_error(L, arg, function, "table of headers, or an object with __pairs or __index");
  }
}

bool carrier_is_empty(lua_State *L, int headers) {
  if (!lua_istable(L, headers)) return false;
  if (lua_getmetatable(L, headers)) {
    lua_pop(L, 1);
    return false;
  }
  lua_pushnil(L);
  if (lua_next(L, headers) == 0) return true;
  lua_pop(L, 2);
  return false;
}

void carrier_check_writable(lua_State *L, int arg, const char *function) {
  if (lua_istable(L, arg)) return;
  if (!lua_isuserdata(L, arg)) {
    arg_type_error(L, arg, function, "table of headers");
  } else if (!carrier_has_metafield(L, arg, "__newindex") && !has_methods(L, arg)) {
    arg_type_error(L, arg, function,
                   "table of headers, or an object with __newindex, or with upsert and delete");
  }
}

/* --- reading --- */

/*
** Pushes a plain table with the header as the carrier has it, and finds the header there; on top of
** the table stands what places_of_header pushes. Returns whether the carrier is an object that can
** be read, and not only be set.   [-0, +(2|3), e]
*/
static bool view(lua_State *L, int headers, const char *name, places *p) {
  int table = lua_gettop(L) + 1;
  bool is_object = carrier_is_object(L, headers);
  if (is_object) {
    carrier_push_plain(L, headers, name);
  } else if (lua_istable(L, headers)) {
    lua_pushvalue(L, headers);
  } else {
    lua_newtable(L);
  }
  places_of_header(L, table, name, p);
  if (p->has_objects) {
    lua_settop(L, table - 1);
    carrier_push_plain(L, headers, name);
    places_of_header(L, table, name, p);
  }
  return is_object;
}

/* Pops a value and adds it to the array if it is a string or a number.   [-1, +0, m] */
static void add_text(lua_State *L, int array) {
  if (lua_isstring(L, -1)) {
    lua_tolstring(L, -1, NULL);
    lua_rawseti(L, array, (lua_Integer)lua_rawlen(L, array) + 1);
  } else {
    lua_pop(L, 1);
  }
}

/*
** Pops a value and adds it to the array: a text, or a plain array of texts, which may have holes.
** [-1, +0, m]
*/
static void add_value(lua_State *L, int array) {
  if (!lua_istable(L, -1)) {
    add_text(L, array);
    return;
  }
  int values = lua_gettop(L);
  lua_Integer border = (lua_Integer)lua_rawlen(L, values);
  for (lua_Integer i = 1; i <= border; i++) {
    lua_rawgeti(L, values, i);
    add_text(L, array);
  }
  places others;
  places_outside(L, values, border, &others);
  for (size_t i = 0; i < others.count; i++) {
    lua_rawgeti(L, values, places_all(&others)[i].index);
    add_text(L, array);
  }
  lua_settop(L, values - 1);
}

/*
** Pushes the strings of the array, joined by ",". They may be too many for the stack.   [-0, +1, m]
*/
static void push_joined(lua_State *L, int array, lua_Integer count) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (lua_Integer i = 1; i <= count; i++) {
    if (i > 1) luaL_addchar(&b, ',');
    lua_rawgeti(L, array, i);
    luaL_addvalue(&b);
  }
  luaL_pushresult(&b);
}

int carrier_push(lua_State *L, int headers, const char *name) {
  headers = lua_absindex(L, headers);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  places p;
  int table = lua_gettop(L) + 1;
  view(L, headers, name, &p);
  if (p.count == 1 && lua_type(L, -1) == LUA_TSTRING) {
    lua_replace(L, table);
    return 1;
  }
  if (p.count == 0) {
    lua_settop(L, table - 1);
    lua_pushliteral(L, "");
    return 0;
  }
  lua_newtable(L);
  int array = lua_gettop(L);
  for (size_t i = 0; i < p.count; i++) {
    place_push_value(L, table, &places_all(&p)[i]);
    add_value(L, array);
  }
  lua_Integer count = (lua_Integer)lua_rawlen(L, array);
  push_joined(L, array, count);
  lua_replace(L, table);
  lua_settop(L, table);
  return (int)count;
}

/* --- setting --- */

/* A header that is being set. */
typedef struct setting {
  int headers; /* stack indices */
  int value;   /* the plain table stands above it */
  const char *name;
  places places;
} setting;

/*
** Sets item `i` of the list to a new entry of this form. The old entry is not changed, because
** other code may hold it.   [-0, +0, e]
*/
static void set_entry(lua_State *L, const setting *s, lua_Integer i, entry_form form) {
  lua_createtable(L, form == ENTRY_PAIR ? 2 : 0, form == ENTRY_PAIR ? 0 : 2);
  lua_pushstring(L, s->name);
  lua_pushvalue(L, s->value);
  if (form == ENTRY_PAIR) {
    lua_rawseti(L, -3, 2);
    lua_rawseti(L, -2, 1);
  } else {
    lua_setfield(L, -3, "value");
    lua_setfield(L, -2, "name");
  }
  lua_seti(L, s->headers, i);
}

static void remove_item(lua_State *L, const setting *s, lua_Integer i) {
  lua_pushnil(L);
  lua_seti(L, s->headers, i);
}

/*
** Removes the entries of this name and closes the gaps in the list's own part, up to `border`.
** Unless `*set` is true already, the first entry of this name is replaced by a new one, and `*set`
** becomes true. Returns how many entries are then in that part.   [-0, +0, e]
*/
static lua_Integer replace_entries(lua_State *L, const setting *s, lua_Integer border, bool *set) {
  const place *at = places_all(&s->places), *end = at + s->places.count;
  lua_Integer kept = 0;
  for (; at < end && at->form != ENTRY_NONE && at->index < 1; at++) remove_item(L, s, at->index);
  for (lua_Integer i = 1; i <= border; i++) {
    bool same = at < end && at->form != ENTRY_NONE && at->index == i;
    if (same && !*set) {
      set_entry(L, s, ++kept, at->form);
      *set = true;
    } else if (!same && ++kept != i) {
      lua_geti(L, s->headers, i);
      lua_seti(L, s->headers, kept);
    }
    if (same) at++;
  }
  for (lua_Integer i = kept + 1; i <= border; i++) remove_item(L, s, i);
  for (; at < end && at->form != ENTRY_NONE; at++) remove_item(L, s, at->index);
  return kept;
}

/*
** Calls a method of the headers with the name, and with the value at `value` if that is not 0.
** [-0, +0, e]
*/
static void call_method(lua_State *L, const setting *s, const char *method, const char *name,
                        int value) {
  lua_getfield(L, s->headers, method);
  lua_pushvalue(L, s->headers);
  lua_pushstring(L, name);
  if (value != 0) lua_pushvalue(L, value);
  lua_call(L, value != 0 ? 3 : 2, 0);
}

static void set_by_methods(lua_State *L, const setting *s) {
  for (size_t i = 0; i < s->places.count; i++) {
    const place *at = &places_all(&s->places)[i];
    if (at->form == ENTRY_NONE) call_method(L, s, "delete", at->name, 0);
  }
  if (!lua_isnil(L, s->value)) call_method(L, s, "upsert", s->name, s->value);
}

static void set_by_index(lua_State *L, const setting *s) {
  bool is_list = s->places.list != ENTRY_NONE, set = lua_isnil(L, s->value);
  for (size_t i = 0; i < s->places.count; i++) {
    const place *at = &places_all(&s->places)[i];
    if (at->form != ENTRY_NONE) continue;
    if (!is_list && !set && strcmp(at->name, s->name) == 0) continue; /* set below */
    lua_pushnil(L);
    lua_setfield(L, s->headers, at->name);
  }
  if (is_list) {
    lua_Integer kept = (lua_Integer)lua_rawlen(L, s->value + 1);
    if (s->places.count > 0) kept = replace_entries(L, s, kept, &set);
    if (!set) set_entry(L, s, kept + 1, s->places.list);
  } else if (!set) {
    lua_pushvalue(L, s->value);
    lua_setfield(L, s->headers, s->name);
  }
}

/* Raises unless the object now has the header that was set.   [-0, +0, e] */
static void check_set(lua_State *L, const setting *s) {
  int count = carrier_push(L, s->headers, s->name);
  bool has_it = lua_isnil(L, s->value) ? count == 0 : count == 1 && lua_rawequal(L, -1, s->value);
  lua_pop(L, 1);
  if (has_it) return;
  arg_error(
      L, 1, "inject",
      lua_pushfstring(L, "headers that can be set expected: '%s' is not as it was set", s->name));
}

void carrier_set(lua_State *L, int headers, const char *name) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  setting s; /* not cleared, because its places are large */
  s.headers = lua_absindex(L, headers);
  s.value = lua_gettop(L);
  s.name = name;
  bool is_object = view(L, s.headers, name, &s.places);
  bool is_absent = s.places.count == 0 && lua_isnil(L, s.value);
  if (!is_absent) {
    if (is_object && has_methods(L, s.headers)) {
      set_by_methods(L, &s);
    } else {
      set_by_index(L, &s);
    }
    if (is_object) check_set(L, &s);
  }
  lua_settop(L, s.value - 1);
}
