#include "kernel/value_text.h"

#include <stdio.h>
#include <string.h>

#include "kernel/text.h"

/* --- values that need no memory --- */

static void set_text(value_text *out, const char *text, size_t length) {
  out->text = text;
  out->length = text_cut(text, length, RECORD_MAX_TEXT);
  out->left_out = length - out->length;
}

static void set_literal(value_text *out, const char *text) { set_text(out, text, strlen(text)); }

static bool is_scalar(lua_State *L, int index) {
  int type = lua_type(L, index);
  return type == LUA_TNIL || type == LUA_TBOOLEAN || type == LUA_TNUMBER || type == LUA_TSTRING;
}

/* Sets the text of a scalar; returns false if the value at `index` is an object. */
static bool set_scalar(lua_State *L, int index, value_text *out) {
  size_t length;
  const char *text;
  switch (lua_type(L, index)) {
    case LUA_TNIL: set_literal(out, "nil"); return true;
    case LUA_TBOOLEAN: set_literal(out, lua_toboolean(L, index) ? "true" : "false"); return true;
    case LUA_TNUMBER:
      compat_write_number(L, index, out->buffer);
      set_literal(out, out->buffer);
      return true;
    case LUA_TSTRING:
      text = lua_tolstring(L, index, &length);
      set_text(out, text, length);
      return true;
    default: return false;
  }
}

/* --- objects --- */

const char *value_text_type(lua_State *L, int index) {
  const char *name = luaL_typename(L, index);
  int type = luaL_getmetafield(L, index, "__name");
  if (type == LUA_TNIL) return name;
  if (type == LUA_TSTRING) name = lua_tostring(L, -1);
  lua_pop(L, 1);
  return name;
}

bool value_text_push_field(lua_State *L, int index, const char *name) {
  lua_pushstring(L, name);
  int type = lua_rawget(L, index);
  /* Not NaN, which has a sign in some texts and none in others. */
  if (type == LUA_TNUMBER && lua_rawequal(L, -1, -1)) return true;
  if (type == LUA_TSTRING && lua_rawlen(L, -1) > 0) return true;
  lua_pop(L, 1);
  return false;
}

/* Pushes the table's own fields as a text, "code: message".   [-0, +1, m] */
static void push_table(lua_State *L, int index) {
  bool has_code = value_text_push_field(L, index, "code");
  if (has_code) lua_pushliteral(L, ": ");
  bool has_message =
      value_text_push_field(L, index, "message") || value_text_push_field(L, index, "msg");
  if (has_code && has_message) {
    lua_concat(L, 3);
  } else if (has_code) {
    lua_pop(L, 1);
  } else if (!has_message) {
    lua_pushstring(L, value_text_type(L, index));
  }
}

/* (object) → its text. Raises the errors of __tostring. */
static int describe_object(lua_State *L) {
  if (record_test(L, 1) != NULL) {
    value_text_push_message(L, 1);
  } else if (luaL_getmetafield(L, 1, "__tostring") != LUA_TNIL) {
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    if (!lua_isstring(L, -1)) {
      return luaL_error(L, "__tostring returned a %s instead of a string", luaL_typename(L, -1));
    }
  } else if (lua_type(L, 1) == LUA_TTABLE) {
    push_table(L, 1);
  } else {
    lua_pushstring(L, value_text_type(L, 1));
  }
  lua_tostring(L, -1); /* converts a number */
  return 1;
}

/*
** Takes the error on top of the stack as the reason why there is no text, and calls nothing of it
** any more. Replaces it by a value that keeps the reason alive.   [-1, +1, -]
*/
static void set_reason(lua_State *L, value_text *out) {
  out->failed = true;
  if (record_test(L, -1) != NULL) {
    lua_getiuservalue(L, -1, RECORD_UV_VALUE);
    lua_remove(L, -2);
  }
  if (set_scalar(L, -1, out)) return;
  snprintf(out->buffer, sizeof(out->buffer), "(error object is a %s value)", luaL_typename(L, -1));
  set_literal(out, out->buffer);
}

void value_text_find(lua_State *L, int index, value_text *out) {
  out->failed = false;
  lua_pushvalue(L, index);
  if (set_scalar(L, -1, out)) return;
  const char *type = luaL_typename(L, -1);
  lua_pushcfunction(L, describe_object);
  lua_pushvalue(L, -2);
  int status = lua_pcall(L, 1, 1, 0);
  lua_remove(L, -2);
  if (status == LUA_OK) {
    set_scalar(L, -1, out);
  } else if (status == LUA_ERRMEM) {
    set_literal(out, type);
  } else {
    set_reason(L, out);
  }
}

/*
** Replaces the owner of a found text, on top of the stack, by the text as a string.   [-1, +1, m]
*/
static void push_found(lua_State *L, const value_text *found) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  if (found->failed) luaL_addstring(&b, VALUE_TEXT_FAILED);
  luaL_addlstring(&b, found->text, found->length);
  if (found->left_out > 0) {
    char note[64];
    snprintf(note, sizeof(note), "... (%zu bytes left out)", found->left_out);
    luaL_addstring(&b, note);
  }
  luaL_pushresult(&b);
  lua_remove(L, -2);
}

/* --- messages --- */

/* Returns the message of a record whose value is nil, or NULL. */
static const char *message_of_nil(const record *r) {
  switch (r->kind) {
    case RECORD_PANIC: return "panic called with nil argument (recover's second result tells)";
    case RECORD_GOEXIT:
    case RECORD_CANCELLED:
    case RECORD_TIMEOUT:
    case RECORD_LEAKED: return record_kind_name(r);
    default: return NULL;
  }
}

/* Replaces the record's value, on top of the stack, by a value that owns its text.   [-1, +1, -] */
static void find_value(lua_State *L, const record *r, value_text *out) {
  const char *message = lua_isnil(L, -1) ? message_of_nil(r) : NULL;
  out->failed = false;
  if (message != NULL) {
    set_literal(out, message);
    return;
  }
  value_text_find(L, -1, out);
  lua_remove(L, -2);
}

/*
** Fills the details on top of the stack with the message of the record at `index`.   [-0, +0, m]
** While a __tostring runs, its record has the message false. If that __tostring asks for the
** message again, it would never end.
*/
static void fill_message(lua_State *L, int index) {
  value_text found = {0};
  lua_pushliteral(L, "message");
  lua_pushvalue(L, -1);
  lua_pushboolean(L, 0);
  lua_rawset(L, -4);
  lua_getiuservalue(L, index, RECORD_UV_VALUE);
  find_value(L, record_test(L, index), &found);
  /*
  ** Nothing has raised since the mark, and its key exists, so this needs no memory. The rest may
  ** fail and be tried again.
  */
  lua_pushvalue(L, -2);
  lua_pushnil(L);
  lua_rawset(L, -5);
  push_found(L, &found);
  lua_pushboolean(L, found.failed);
  lua_setfield(L, -4, "message_failed");
  lua_rawset(L, -3);
}

bool value_text_push_message(lua_State *L, int index) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  index = lua_absindex(L, index);
  record_push_details(L, index);
  int type = lua_getfield(L, -1, "message");
  if (type == LUA_TNIL) {
    lua_pop(L, 1);
    fill_message(L, index);
    lua_getfield(L, -1, "message");
  } else if (type == LUA_TBOOLEAN) {
    lua_pop(L, 2);
    lua_getiuservalue(L, index, RECORD_UV_VALUE);
    lua_pushstring(L, luaL_typename(L, -1));
    lua_remove(L, -2);
    return true;
  }
  lua_getfield(L, -2, "message_failed");
  bool failed = lua_toboolean(L, -1);
  lua_pop(L, 1);
  lua_remove(L, -2);
  return !failed;
}

/* (record, pointer to a bool for success) → message */
static int message_protected(lua_State *L) {
  bool *succeeded = lua_touserdata(L, 2);
  *succeeded = value_text_push_message(L, 1);
  return 1;
}

void value_text_find_message(lua_State *L, int index, value_text *out) {
  index = lua_absindex(L, index);
  lua_getiuservalue(L, index, RECORD_UV_VALUE);
  if (is_scalar(L, -1)) {
    find_value(L, record_test(L, index), out);
    return;
  }
  bool succeeded = true;
  const char *type = luaL_typename(L, -1);
  lua_pushcfunction(L, message_protected);
  lua_pushvalue(L, index);
  lua_pushlightuserdata(L, &succeeded);
  int status = lua_pcall(L, 2, 1, 0);
  lua_remove(L, -2);
  out->failed = !succeeded;
  if (status == LUA_OK) {
    /* The text was cut already, and the note behind it must not be cut. */
    out->text = lua_tolstring(L, -1, &out->length);
    out->left_out = 0;
  } else {
    out->failed = false;
    set_literal(out, type);
  }
}
