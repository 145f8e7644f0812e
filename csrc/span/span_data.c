#include "span/span_data.h"

#include <string.h>

#include "core/clock.h"
#include "core/hex.h"
#include "kernel/record.h"
#include "kernel/value_text.h"

/* The most items of an attribute that is an array. */
#define SPAN_MAX_ITEMS 128

static void set_time(lua_State *L, const char *field) {
  lua_pushinteger(L, clock_wall_ns());
  lua_setfield(L, -2, field);
}

static void set_hex(lua_State *L, const char *field, const uint8_t *bytes, size_t size) {
  char hex[32];
  hex_encode(hex, bytes, size);
  lua_pushlstring(L, hex, 2 * size);
  lua_setfield(L, -2, field);
}

static void set_id(lua_State *L, const char *field, uint64_t id) {
  char hex[16];
  if (id == 0) return;
  hex_encode_u64(hex, id);
  lua_pushlstring(L, hex, sizeof(hex));
  lua_setfield(L, -2, field);
}

void span_data_set_id(lua_State *L, uint64_t span_id) { set_id(L, "span_id", span_id); }

void span_data_push(lua_State *L, const trace_ids *ids, const char *kind, const task *t) {
  /* A finalizer that runs meanwhile may give the code another trace, which frees this one. */
  const trace now = *ids->trace;
  char state[TRACESTATE_MAX_LENGTH];
  memcpy(state, ids->trace->text, now.state_length);
  lua_createtable(L, 0, 12);
  lua_insert(L, -2);
  lua_setfield(L, -2, "name");
  set_hex(L, "trace_id", now.trace_id, sizeof(now.trace_id));
  set_hex(L, "trace_flags", &now.flags, 1);
  set_id(L, "span_id", ids->span_id);
  set_id(L, "parent_span_id", ids->parent_span_id);
  if (now.state_length > 0) {
    lua_pushlstring(L, state, now.state_length);
    lua_setfield(L, -2, "trace_state");
  }
  lua_pushstring(L, kind);
  lua_setfield(L, -2, "kind");
  if (t != NULL) {
    lua_pushinteger(L, (lua_Integer)t->id);
    lua_setfield(L, -2, "task");
  }
  set_time(L, "start_time");
  lua_newtable(L);
  lua_setfield(L, -2, "attributes");
  lua_newtable(L);
  lua_setfield(L, -2, "events");
}

/* --- attributes and events --- */

static void count_dropped(lua_State *L, int data, const char *field) {
  lua_getfield(L, data, field);
  lua_pushinteger(L, lua_tointeger(L, -1) + 1);
  lua_setfield(L, data, field);
  lua_pop(L, 1);
}

static lua_Integer count_fields(lua_State *L, int table) {
  lua_Integer count = 0;
  lua_pushnil(L);
  for (; lua_next(L, table) != 0; count++) lua_pop(L, 1);
  return count;
}

static bool is_primitive(int type) {
  return type == LUA_TSTRING || type == LUA_TNUMBER || type == LUA_TBOOLEAN;
}

/*
** Replaces the table at the absolute index by a copy. Returns false if it is no array of primitives
** of one type, or too long.   [-0, +0, m]
*/
static bool copy_array(lua_State *L, int index) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, index);
  int first = LUA_TNIL;
  if (count > SPAN_MAX_ITEMS || count_fields(L, index) != count) return false;
  lua_createtable(L, (int)count, 0);
  for (lua_Integer i = 1; i <= count; i++) {
    int type = lua_rawgeti(L, index, i);
    if (i == 1) first = type;
    if (!is_primitive(type) || type != first) {
      lua_pop(L, 2);
      return false;
    }
    lua_rawseti(L, -2, i);
  }
  lua_replace(L, index);
  return true;
}

/*
** Whether (key, value) on top of the stack is an attribute. Replaces an array by a copy.
** [-0, +0, m]
*/
static bool check_attribute(lua_State *L) {
  int value = lua_gettop(L);
  int type = lua_type(L, value);
  if (lua_type(L, value - 1) != LUA_TSTRING) return false;
  return is_primitive(type) || (type == LUA_TTABLE && copy_array(L, value));
}

void span_data_set(lua_State *L, int owner, int attributes) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_getfield(L, owner, "attributes");
  int target = lua_gettop(L);
  lua_Integer count = count_fields(L, target);
  lua_pushnil(L);
  while (lua_next(L, attributes) != 0) {
    int key = lua_gettop(L) - 1;
    bool is_attribute = check_attribute(L);
    lua_pushvalue(L, key);
    bool is_new = lua_rawget(L, target) == LUA_TNIL;
    lua_pop(L, 1);
    if (!is_attribute || (is_new && count == SPAN_MAX_ATTRIBUTES)) {
      count_dropped(L, owner, "dropped_attributes");
    } else {
      if (is_new) count++;
      lua_pushvalue(L, key);
      lua_pushvalue(L, key + 1);
      lua_rawset(L, target);
    }
    lua_settop(L, key);
  }
  lua_settop(L, target - 1);
}

/* Adds an event even if there is no room. Its name is on top of the stack.   [-0, +0, m] */
static void append_event(lua_State *L, int data, int attributes) {
  int name = lua_gettop(L);
  lua_getfield(L, data, "events");
  lua_createtable(L, 0, 3);
  lua_pushvalue(L, name);
  lua_setfield(L, -2, "name");
  set_time(L, "time");
  lua_newtable(L);
  lua_setfield(L, -2, "attributes");
  if (attributes != 0) span_data_set(L, lua_gettop(L), attributes);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_settop(L, name);
}

bool span_data_add_event(lua_State *L, int data, int name, int attributes) {
  int top = lua_gettop(L);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_getfield(L, data, "events");
  bool is_added = lua_rawlen(L, -1) < SPAN_MAX_EVENTS;
  if (!is_added) {
    count_dropped(L, data, "dropped_events");
  } else {
    lua_pushvalue(L, name);
    append_event(L, data, attributes);
  }
  lua_settop(L, top);
  return is_added;
}

/* --- the end --- */

/* Sets a field to the text of the value at `value`, whatever its __tostring does.   [-0, +0, m] */
static void set_text(lua_State *L, int table, const char *field, int value) {
  value_text text;
  value_text_find(L, value, &text);
  lua_pushlstring(L, text.text, text.length);
  lua_setfield(L, table, field);
  lua_pop(L, 1);
}

/* Adds an event for the exception at `r`, a record or any other raised value.   [-0, +0, m] */
static void add_exception(lua_State *L, int data, int r) {
  lua_newtable(L);
  int attributes = lua_gettop(L);
  if (record_test(L, r) != NULL) {
    lua_getfield(L, r, "error_code");
    lua_setfield(L, attributes, "exception.type");
    lua_getfield(L, r, "message");
    lua_setfield(L, attributes, "exception.message");
    luaL_tolstring(L, r, NULL);
    lua_setfield(L, attributes, "exception.stacktrace");
  } else {
    lua_pushstring(L, luaL_typename(L, r));
    lua_setfield(L, attributes, "exception.type");
    set_text(L, attributes, "exception.message", r);
  }
  lua_pushliteral(L, "error");
  lua_setfield(L, data, "status");
  lua_getfield(L, attributes, "exception.message");
  lua_setfield(L, data, "status_message");
  /* There is always room for the exception, because people will look for it. */
  lua_pushliteral(L, "exception");
  append_event(L, data, attributes);
  lua_settop(L, attributes - 1);
}

bool span_data_end(lua_State *L, int data, int raised) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  const record *r = record_test(L, raised);
  bool has_panicked = r != NULL && !r->exits;
  if (has_panicked || (r == NULL && !lua_isnil(L, raised))) add_exception(L, data, raised);
  if (r != NULL && r->exits && record_is_cancellation(r)) {
    lua_getfield(L, data, "attributes");
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "coro.cancelled");
    lua_pop(L, 1);
  }
  lua_pushvalue(L, data);
  set_time(L, "end_time");
  lua_pop(L, 1);
  return has_panicked;
}
