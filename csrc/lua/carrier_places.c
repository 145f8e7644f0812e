#include "lua/carrier_places.h"

#include <stdlib.h>

#include "core/base.h"

/* The keys to look for. */
typedef struct search {
  const char *name;   /* a header's name; NULL: integer keys */
  size_t length;      /* of the name */
  lua_Integer border; /* integer keys: those outside 1 to `border` */
} search;

/* Whether the value on top of the stack may have metamethods.   [-0, +0, -] */
static bool has_metatable(lua_State *L) {
  int type = lua_type(L, -1);
  if ((type != LUA_TTABLE && type != LUA_TUSERDATA) || !lua_getmetatable(L, -1)) return false;
  lua_pop(L, 1);
  return true;
}

/* Whether the key at `index` is the name in any case; `spelled` gets it.   [-0, +0, -] */
static bool is_spelled(lua_State *L, int index, const search *s, char *spelled) {
  size_t length;
  const char *text = lua_tolstring(L, index, &length);
  if (length != s->length) return false;
  for (size_t i = 0; i < length; i++) {
    bool upper = text[i] >= 'A' && text[i] <= 'Z';
    if ((upper ? text[i] - 'A' + 'a' : text[i]) != s->name[i]) return false;
  }
  memcpy(spelled, text, length + 1);
  return true;
}

/*
** The next two functions read the item on top of the stack, a table without a metatable. They use
** lua_getfield because, unlike lua_pushstring, it runs no finalizer. A finalizer could change a
** table that is being traversed.
*/

/* Returns the form of the item and pushes its name.   [-0, +1, m] */
static entry_form push_entry(lua_State *L) {
  if (lua_rawgeti(L, -1, 1) == LUA_TSTRING) return ENTRY_PAIR;
  lua_pop(L, 1);
  return lua_getfield(L, -1, "name") == LUA_TSTRING ? ENTRY_FIELDS : ENTRY_NONE;
}

/* Pushes the value of the item.   [-0, +1, m] */
static void push_value(lua_State *L, entry_form form) {
  if (form == ENTRY_PAIR) {
    lua_rawgeti(L, -1, 2);
  } else {
    lua_getfield(L, -1, "value");
  }
}

/*
** Whether the item on top of the stack is an entry of the name. Copies the value of the first such
** entry to the index `value`.   [-0, +0, m]
*/
static bool is_entry(lua_State *L, const search *s, places *p, place *here, int value) {
  if (has_metatable(L)) p->has_objects = true;
  if (p->has_objects || !lua_istable(L, -1)) return false;
  here->form = push_entry(L);
  bool same = here->form != ENTRY_NONE && is_spelled(L, -1, s, here->name);
  lua_pop(L, 1);
  if (here->form != ENTRY_NONE && (p->list == ENTRY_NONE || here->index < p->list_start)) {
    p->list = here->form;
    p->list_start = here->index;
  }
  if (!same) return false;
  push_value(L, here->form);
  if (has_metatable(L)) p->has_objects = true;
  if (p->count == 0) lua_copy(L, -1, value);
  lua_pop(L, 1);
  return true;
}

/* Whether the key below the top of the stack is one to look for; `value` as above.   [-0, +0, m] */
static bool is_place(lua_State *L, const search *s, places *p, place *here, int value) {
  if (lua_type(L, -2) == LUA_TSTRING) {
    if (s->name == NULL || !is_spelled(L, -2, s, here->name)) return false;
    here->form = ENTRY_NONE;
    if (has_metatable(L)) p->has_objects = true;
    if (p->count == 0) lua_copy(L, -1, value);
    return true;
  }
  if (!lua_isinteger(L, -2)) return false;
  here->index = lua_tointeger(L, -2);
  if (s->name != NULL) return is_entry(L, s, p, here, value);
  here->form = ENTRY_PAIR;
  return here->index < 1 || here->index > s->border;
}

/* Counts the places, and writes the first `room` of them to `found`.   [-0, +0, m] */
static void scan(lua_State *L, int table, const search *s, places *p, int value, place *found,
                 size_t room) {
  place here;
  p->count = 0;
  lua_pushnil(L);
  for (; lua_next(L, table); lua_pop(L, 1)) {
    if (!is_place(L, s, p, &here, value)) continue;
    if (p->count < room) found[p->count] = here;
    p->count++;
  }
}

static int compare(const void *a, const void *b) {
  const place *x = a, *y = b;
  bool x_named = x->form == ENTRY_NONE, y_named = y->form == ENTRY_NONE;
  if (x_named != y_named) return x_named - y_named;
  if (x_named) return strcmp(x->name, y->name);
  return (x->index > y->index) - (x->index < y->index);
}

/*
** Finds all places of the keys. Pushes the value of the first one or nil, then the memory of the
** places if there are several.   [-0, +(1|2), m]
*/
static void find(lua_State *L, int table, const search *s, places *p) {
  p->list = ENTRY_NONE;
  p->has_objects = false;
  lua_pushnil(L);
  int value = lua_gettop(L);
  scan(L, table, s, p, value, &p->one, 1);
  if (p->count <= 1) return;
  size_t room = p->count;
  place *all = lua_newuserdatauv(L, room * sizeof(place), 0);
  scan(L, table, s, p, value, all, room);
  if (p->count > room) p->count = room; /* a finalizer has changed the table */
  qsort(all, p->count, sizeof(place), compare);
  p->several = all;
  if (p->count == 1) p->one = all[0];
}

void places_of_header(lua_State *L, int table, const char *name, places *p) {
  search s = {.name = name, .length = strlen(name)};
  cp_assert(s.length <= HEADER_NAME_MAX);
  find(L, table, &s, p);
}

void places_outside(lua_State *L, int table, lua_Integer border, places *p) {
  search s = {.border = border};
  find(L, table, &s, p);
}

void place_push_value(lua_State *L, int table, const place *at) {
  if (at->form == ENTRY_NONE) {
    lua_pushstring(L, at->name);
    lua_rawget(L, table);
    return;
  }
  if (lua_rawgeti(L, table, at->index) == LUA_TTABLE) {
    push_value(L, at->form);
  } else {
    lua_pushnil(L);
  }
  lua_remove(L, -2);
}
