#include "lua/carrier.h"

#include "lua/carrier_names.h"
#include "lua/carrier_view.h"
#include "runtime/args.h"

/* --- what can be a carrier --- */

static bool is_method(lua_State *L, int headers, const char *name) {
  bool method = lua_getfield(L, headers, name) == LUA_TFUNCTION;
  lua_pop(L, 1);
  return method;
}

/*
** Whether headers are set by methods, as lua-http's are. A table whose __index is a function is not asked: it may make
** what it is asked for.   [-0, +0, e]
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

/* --- what a plain table has --- */

typedef struct contents {
  spellings names;    /* of the header */
  lua_Integer border; /* the entries of the list are up to here */
  bool strays;        /* others are behind a hole, or before the first */
} contents;

/*
** Reads what the table at `view` has of the header.   [-0, +0, -]
**   value  index that gets the value of the name that is found first; it is the only one nearly always
*/
static void read_contents(lua_State *L, int view, const char *name, contents *c, int value) {
  c->names.count = 0;
  c->border = (lua_Integer)lua_rawlen(L, view);
  c->strays = false;
  lua_pushnil(L);
  for (; lua_next(L, view); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) {
      if (carrier_is_stray(L, -2, c->border)) c->strays = true;
      continue;
    }
    size_t length;
    const char *text = lua_tolstring(L, -2, &length);
    int spelling = spelling_of_text(text, length, name);
    if (spelling < 0) continue;
    if (c->names.count == 0) lua_copy(L, -1, value);
    spellings_add(&c->names, spelling);
  }
}

/* --- reading --- */

/* Adds the value on top of the stack to those in the slot: nil, a string, or an array of strings.   [-1, +0, e] */
static void add_value(lua_State *L, int slot) {
  if (lua_isnil(L, slot) && lua_type(L, -1) == LUA_TSTRING) {
    lua_replace(L, slot);
    return;
  }
  if (!lua_istable(L, slot)) {
    lua_newtable(L);
    lua_pushvalue(L, slot);
    lua_rawseti(L, -2, 1);
    lua_replace(L, slot);
  }
  carrier_append(L, slot);
}

/* Adds the value of the list's item at `i`, if it is of this name.   [-0, +0, e] */
static void add_entry(lua_State *L, int view, lua_Integer i, const char *name, int slot) {
  bool same;
  lua_rawgeti(L, view, i);
  entry_form form = entry_read(L, name, &same);
  if (same) {
    entry_push_value(L, form);
    add_value(L, slot);
  }
  lua_pop(L, 1);
}

static void add_strays(lua_State *L, int view, lua_Integer border, const char *name, int slot) {
  size_t count;
  const lua_Integer *strays = carrier_push_strays(L, view, border, &count);
  for (size_t i = 0; i < count; i++) add_entry(L, view, strays[i], name, slot);
  lua_pop(L, 1);
}

/* [-0, +1, e] */
static void add_values(lua_State *L, int view, const char *name, int slot) {
  contents c;
  lua_pushnil(L);
  read_contents(L, view, name, &c, lua_gettop(L));
  for (lua_Integer i = 1; i <= c.border; i++) add_entry(L, view, i, name, slot);
  if (c.strays) add_strays(L, view, c.border, name, slot);
  if (c.names.count == 1) {
    lua_pushvalue(L, -1);
    add_value(L, slot);
    return;
  }
  for (int s = spellings_next(&c.names, 0); s >= 0; s = spellings_next(&c.names, s + 1)) {
    spelling_push(L, name, s);
    lua_rawget(L, view);
    add_value(L, slot);
  }
}

/* Joins the strings of the array at `slot` in its place; they may be too many for the stack.   [-0, +0, m] */
static void join(lua_State *L, int slot, lua_Integer count) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (lua_Integer i = 1; i <= count; i++) {
    if (i > 1) luaL_addchar(&b, ',');
    lua_rawgeti(L, slot, i);
    luaL_addvalue(&b);
  }
  luaL_pushresult(&b);
  lua_replace(L, slot);
}

int carrier_push(lua_State *L, int headers, const char *name) {
  headers = lua_absindex(L, headers);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_pushnil(L);
  int slot = lua_gettop(L);
  carrier_view(L, headers, name);
  add_values(L, slot + 1, name, slot);
  lua_settop(L, slot);
  if (lua_type(L, slot) == LUA_TSTRING) return 1;
  lua_Integer count = lua_istable(L, slot) ? (lua_Integer)lua_rawlen(L, slot) : 0;
  join(L, slot, count);
  return (int)count;
}

/* --- setting --- */

/* A header that is being set. */
typedef struct setting {
  int headers; /* these are indices */
  int value;
  int view;
  const char *name;
} setting;

/* Sets the item `i` of the list to a new one of the form, whoever else has the old one.   [-0, +0, e] */
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

/* The form of the list's first entry; ENTRY_NONE: it is no list.   [-0, +0, e] */
static entry_form list_form(lua_State *L, const setting *s, const contents *c) {
  entry_form form = ENTRY_NONE;
  bool same;
  for (lua_Integer i = 1; i <= c->border && form == ENTRY_NONE; i++) {
    lua_rawgeti(L, s->view, i);
    form = entry_read(L, s->name, &same);
    lua_pop(L, 1);
  }
  if (form != ENTRY_NONE || !c->strays) return form;
  lua_pushnil(L);
  while (lua_next(L, s->view)) {
    if (form == ENTRY_NONE && lua_isinteger(L, -2)) form = entry_read(L, s->name, &same);
    lua_pop(L, 1);
  }
  return form;
}

/* Removes the entries of this name that are not in the list's own part.   [-0, +0, e] */
static void remove_strays(lua_State *L, const setting *s, lua_Integer border) {
  size_t count;
  const lua_Integer *strays = carrier_push_strays(L, s->view, border, &count);
  for (size_t i = 0; i < count; i++) {
    bool same;
    lua_rawgeti(L, s->view, strays[i]);
    entry_read(L, s->name, &same);
    lua_pop(L, 1);
    if (!same) continue;
    lua_pushnil(L);
    lua_seti(L, s->headers, strays[i]);
  }
  lua_pop(L, 1);
}

/* Sets the header in a list: in the place of the first entry that it has, else behind all.   [-0, +0, e] */
static void set_in_list(lua_State *L, const setting *s, const contents *c, entry_form form) {
  bool set = lua_isnil(L, s->value);
  bool same;
  lua_Integer kept = 0;
  for (lua_Integer i = 1; i <= c->border; i++) {
    lua_geti(L, s->headers, i);
    entry_form old = entry_read(L, s->name, &same);
    if (same && !set) {
      set_entry(L, s, ++kept, old);
      set = true;
      same = false;
      lua_pop(L, 1);
    } else if (!same && ++kept != i) {
      lua_seti(L, s->headers, kept);
    } else {
      lua_pop(L, 1);
    }
  }
  for (lua_Integer i = kept + 1; i <= c->border; i++) {
    lua_pushnil(L);
    lua_seti(L, s->headers, i);
  }
  if (c->strays) remove_strays(L, s, c->border);
  if (!set) set_entry(L, s, kept + 1, form);
}

/* Calls a method of the headers with the name that is on top of the stack, and a value if it is not 0. [-1, +0, e] */
static void call_method(lua_State *L, const setting *s, const char *method, int value) {
  lua_getfield(L, s->headers, method);
  lua_insert(L, -2);
  lua_pushvalue(L, s->headers);
  lua_insert(L, -2);
  if (value != 0) lua_pushvalue(L, value);
  lua_call(L, value != 0 ? 3 : 2, 0);
}

static void set_by_methods(lua_State *L, const setting *s, const contents *c) {
  for (int i = spellings_next(&c->names, 0); i >= 0; i = spellings_next(&c->names, i + 1)) {
    spelling_push(L, s->name, i);
    call_method(L, s, "delete", 0);
  }
  if (lua_isnil(L, s->value)) return;
  lua_pushstring(L, s->name);
  call_method(L, s, "upsert", s->value);
}

static void set_by_index(lua_State *L, const setting *s, const contents *c) {
  entry_form form = list_form(L, s, c);
  int stays = form != ENTRY_NONE || lua_isnil(L, s->value) ? -1 : spelling_lower(s->name);
  for (int i = spellings_next(&c->names, 0); i >= 0; i = spellings_next(&c->names, i + 1)) {
    if (i == stays) continue;
    spelling_push(L, s->name, i);
    lua_pushnil(L);
    lua_settable(L, s->headers);
  }
  if (form != ENTRY_NONE) {
    set_in_list(L, s, c, form);
  } else if (stays >= 0) {
    lua_pushvalue(L, s->value);
    lua_setfield(L, s->headers, s->name);
  }
}

/* Raises unless the object has now what was set.   [-0, +0, e] */
static void check_set(lua_State *L, const setting *s) {
  int count = carrier_push(L, s->headers, s->name);
  bool has_it = lua_isnil(L, s->value) ? count == 0 : count == 1 && lua_rawequal(L, -1, s->value);
  if (has_it) {
    lua_pop(L, 1);
    return;
  }
  arg_error(
      L, 1, "inject",
      lua_pushfstring(L, "headers that can be set expected: '%s' is not as it was set", s->name));
}

void carrier_set(lua_State *L, int headers, const char *name) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  setting s = {.headers = lua_absindex(L, headers), .value = lua_gettop(L), .name = name};
  bool is_object = carrier_view(L, s.headers, name);
  s.view = s.value + 1;
  contents c;
  lua_pushnil(L);
  read_contents(L, s.view, name, &c, s.view + 1);
  if (is_object && has_methods(L, s.headers)) {
    set_by_methods(L, &s, &c);
  } else {
    set_by_index(L, &s, &c);
  }
  if (is_object) check_set(L, &s);
  lua_settop(L, s.value - 1);
}
