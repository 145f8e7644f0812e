#include "lua/plain.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernel/text.h"
#include "kernel/value_text.h"

#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

/* The stack slots of one level of tables. */
#define LEVEL_SLOTS 8

typedef struct plain_state {
  const void *path[RECORD_MAX_DEPTH]; /* the tables around the present one */
  int depth;
  lua_Integer entries_left;
  size_t bytes_left;
} plain_state;

static void push_any(lua_State *L, int index, plain_state *state);

/* --- strings --- */

static void add_valid(luaL_Buffer *b, const char *text, size_t length) {
  size_t start = 0, i = 0;
  while (i < length) {
    size_t size = text_utf8_length(text + i, length - i);
    if (size > 0) {
      i += size;
      continue;
    }
    luaL_addlstring(b, text + start, i - start);
    luaL_addstring(b, REPLACEMENT);
    start = ++i;
  }
  luaL_addlstring(b, text + start, i - start);
}

/* Pushes at most `limit` bytes of a text, and the number of bytes left out.   [-0, +1, m] */
static void push_text(lua_State *L, const char *text, size_t length, size_t limit,
                      plain_state *state) {
  if (limit > state->bytes_left) limit = state->bytes_left;
  size_t kept = text_cut(text, length, limit);
  state->bytes_left -= kept;
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  add_valid(&b, text, kept);
  if (kept < length) {
    char note[64];
    snprintf(note, sizeof(note), "... (%zu bytes left out)", length - kept);
    luaL_addstring(&b, note);
  }
  luaL_pushresult(&b);
}

static void push_number(lua_State *L, int index) {
  lua_Number number = lua_tonumber(L, index);
  if (isfinite(number)) {
    lua_pushvalue(L, index);
  } else if (isnan(number)) {
    lua_pushliteral(L, "nan");
  } else {
    lua_pushstring(L, number > 0 ? "inf" : "-inf");
  }
}

/* --- tables --- */

/*
** Returns the length of the table at `index` if it is an array, with keys 1 to n and no other; else
** 0.
*/
static lua_Integer array_length(lua_State *L, int index) {
  lua_Integer length = (lua_Integer)lua_rawlen(L, index);
  lua_Integer keys = 0;
  if (length == 0) return 0;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    lua_pop(L, 1);
    bool in_array =
        lua_isinteger(L, -1) && lua_tointeger(L, -1) >= 1 && lua_tointeger(L, -1) <= length;
    if (!in_array) {
      lua_pop(L, 1);
      return 0;
    }
    keys++;
  }
  return keys == length ? length : 0;
}

static bool take_entry(plain_state *state) {
  if (state->entries_left == 0) return false;
  state->entries_left--;
  return true;
}

static void push_array(lua_State *L, int index, lua_Integer length, plain_state *state) {
  lua_Integer kept = 0;
  lua_newtable(L);
  while (kept < length && kept < RECORD_MAX_ITEMS && take_entry(state)) {
    lua_rawgeti(L, index, ++kept);
    push_any(L, lua_gettop(L), state);
    lua_rawseti(L, -3, kept);
    lua_pop(L, 1);
  }
  if (kept == length) return;
  lua_pushfstring(L, "... %I entries left out", (LUAI_UACINT)(length - kept));
  lua_rawseti(L, -2, kept + 1);
}

/* Pushes the key at `index` as a string.   [-0, +1, m] */
static void push_key(lua_State *L, int index, plain_state *state) {
  size_t length;
  value_text key;
  switch (lua_type(L, index)) {
    case LUA_TSTRING: {
      const char *text = lua_tolstring(L, index, &length);
      push_text(L, text, length, PLAIN_MAX_KEY, state);
      break;
    }
    case LUA_TNUMBER:
    case LUA_TBOOLEAN:
      value_text_find(L, index, &key);
      lua_pushlstring(L, key.text, key.length);
      lua_remove(L, -2);
      break;
    default: {
      const char *type = value_text_type(L, index);
      push_text(L, type, strlen(type), PLAIN_MAX_KEY, state);
    }
  }
}

/*
** Adds the entry whose key and value are at `key` and `key + 1` to the table below them. Returns
** false if there is an entry of the same name already (1 and "1", or two keys that are tables).
** [-0, +0, m]
*/
static bool add_entry(lua_State *L, int key, plain_state *state) {
  push_key(L, key, state);
  lua_pushvalue(L, -1);
  bool taken = lua_rawget(L, key - 1) != LUA_TNIL;
  lua_pop(L, 1);
  if (taken) {
    lua_pop(L, 1);
    return false;
  }
  push_any(L, key + 1, state);
  lua_rawset(L, key - 1);
  return true;
}

/*
** Adds the entries of the table at `index` that are tables, or those that are not, to the table on
** top of the stack. Returns how many were left out.   [-0, +0, m]
*/
static lua_Integer add_entries(lua_State *L, int index, bool tables, lua_Integer *kept,
                               plain_state *state) {
  int object = lua_gettop(L);
  lua_Integer left_out = 0;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    if (lua_istable(L, -1) == tables) {
      bool room = *kept < RECORD_MAX_ITEMS && take_entry(state);
      if (room && add_entry(L, object + 1, state)) {
        (*kept)++;
      } else {
        left_out++;
      }
    }
    lua_pop(L, 1);
  }
  return left_out;
}

/*
** Pushes the plain form of the table at `index`. Entries that are tables come last, so that a large
** one does not take the room of short values.
*/
static void push_object(lua_State *L, int index, plain_state *state) {
  lua_Integer kept = 0;
  lua_newtable(L);
  lua_Integer left_out = add_entries(L, index, false, &kept, state);
  left_out += add_entries(L, index, true, &kept, state);
  if (left_out == 0) return;
  lua_pushfstring(L, "%I entries left out", (LUAI_UACINT)left_out);
  lua_setfield(L, -2, "...");
}

/* Returns why the table at `index` can't be shown; NULL if it can. */
static const char *refusal_of(lua_State *L, int index, const plain_state *state) {
  const void *self = lua_topointer(L, index);
  for (int i = 0; i < state->depth; i++) {
    if (state->path[i] == self) return "... left out: the table is inside itself";
  }
  return state->depth == RECORD_MAX_DEPTH ? "... left out: nested too deeply" : NULL;
}

static void push_table(lua_State *L, int index, plain_state *state) {
  const char *refusal = refusal_of(L, index, state);
  if (refusal != NULL) {
    lua_pushstring(L, refusal);
    return;
  }
  luaL_checkstack(L, LEVEL_SLOTS + LUA_MINSTACK, NULL);
  state->path[state->depth++] = lua_topointer(L, index);
  lua_Integer length = array_length(L, index);
  if (length > 0) {
    push_array(L, index, length, state);
  } else {
    push_object(L, index, state);
  }
  state->depth--;
}

/* Pushes the plain form of the value at the absolute index `index`.   [-0, +1, m] */
static void push_any(lua_State *L, int index, plain_state *state) {
  size_t length;
  const char *text;
  switch (lua_type(L, index)) {
    case LUA_TNIL:
    case LUA_TBOOLEAN: lua_pushvalue(L, index); break;
    case LUA_TNUMBER: push_number(L, index); break;
    case LUA_TSTRING:
      text = lua_tolstring(L, index, &length);
      push_text(L, text, length, RECORD_MAX_TEXT, state);
      break;
    case LUA_TTABLE: push_table(L, index, state); break;
    default:
      text = value_text_type(L, index);
      push_text(L, text, strlen(text), PLAIN_MAX_KEY, state);
  }
}

void plain_push(lua_State *L, int index) {
  plain_state state = {.entries_left = PLAIN_MAX_ENTRIES, .bytes_left = PLAIN_MAX_BYTES};
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  push_any(L, lua_absindex(L, index), &state);
}
