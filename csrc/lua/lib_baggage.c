/* co.trace.baggage, set_baggage: values that travel with a request, W3C Baggage. */
#include "lua/lib_baggage.h"

#include <string.h>

#include "core/baggage.h"
#include "kernel/args.h"
#include "kernel/task.h"

/*
** Pushes the baggage of the running code as a string. While the text is read, finalizers may run
** and change the baggage, so a copy is needed.   [-0, +1, m]
*/
static const char *push_text(runtime *rt, lua_State *L, size_t *length) {
  const trace *t = trace_here(rt)->trace;
  if (t == NULL) {
    lua_pushliteral(L, "");
  } else {
    trace_headers headers = trace_headers_of(t);
    lua_pushlstring(L, headers.baggage, headers.baggage_length);
  }
  return lua_tolstring(L, -1, length);
}

/* Pushes the decoded value of a member.   [-0, +1, m] */
static void push_value(lua_State *L, const baggage_member *m) {
  luaL_Buffer b;
  char *room = luaL_buffinitsize(L, &b, 3 * m->value.length);
  luaL_pushresultsize(&b, baggage_decode(room, m->value));
}

static bool is_named(const baggage_member *m, const char *name, size_t length) {
  return m->name.length == length && memcmp(m->name.start, name, length) == 0;
}

/* (name) → value, properties; or nil. If several members have the name, the last one counts. */
static int find_member(runtime *rt, lua_State *L) {
  size_t length, name_length;
  const char *name = lua_tolstring(L, 1, &name_length);
  const char *text = push_text(rt, L, &length);
  baggage_member m, found = {.name = {NULL, 0}};
  for (size_t at = 0; baggage_next(text, length, &at, &m);) {
    if (is_named(&m, name, name_length)) found = m;
  }
  if (found.name.start == NULL) return 0;
  push_value(L, &found);
  if (found.properties.start == NULL) return 1;
  lua_pushlstring(L, found.properties.start, found.properties.length);
  return 2;
}

/* Returns all members; if several have one name, the last one counts. */
static int push_all(runtime *rt, lua_State *L) {
  size_t length;
  const char *text = push_text(rt, L, &length);
  baggage_member m;
  lua_newtable(L);
  for (size_t at = 0; baggage_next(text, length, &at, &m);) {
    lua_pushlstring(L, m.name.start, m.name.length);
    push_value(L, &m);
    lua_rawset(L, -3);
  }
  return 1;
}

static int trace_baggage(lua_State *L) {
  if (lua_isnoneornil(L, 1)) return push_all(runtime_of(L), L);
  if (lua_type(L, 1) != LUA_TSTRING) return arg_type_error(L, 1, "baggage", "string");
  return find_member(runtime_of(L), L);
}

/* (name, value or nil, properties or nil) */
static void check_arguments(lua_State *L) {
  size_t length;
  lua_settop(L, 3);
  if (lua_type(L, 1) != LUA_TSTRING) arg_type_error(L, 1, "set_baggage", "string");
  const char *name = lua_tolstring(L, 1, &length);
  if (!baggage_is_name(name, length)) {
    arg_error(L, 1, "set_baggage", "a name of letters, digits and !#$%&'*+-.^_`|~ expected");
  }
  if (!lua_isnil(L, 2) && lua_type(L, 2) != LUA_TSTRING) {
    arg_type_error(L, 2, "set_baggage", "string or nil");
  }
  const char *value = lua_tolstring(L, 2, &length);
  if (value != NULL && length > BAGGAGE_MAX_LENGTH) {
    arg_error(L, 2, "set_baggage",
              lua_pushfstring(L, "at most %d bytes expected, got %I", BAGGAGE_MAX_LENGTH,
                              (LUAI_UACINT)length));
  }
  if (value != NULL && !baggage_is_utf8(value, length)) {
    arg_error(L, 2, "set_baggage", "text in UTF-8 expected: encode other bytes, as hex or base64");
  }
  if (lua_isnil(L, 3)) return;
  if (lua_type(L, 3) != LUA_TSTRING) arg_type_error(L, 3, "set_baggage", "string or nil");
  const char *properties = lua_tolstring(L, 3, &length);
  if (!baggage_are_properties(properties, length) || !baggage_is_encoded(properties, length)) {
    arg_error(L, 3, "set_baggage",
              "properties \"key;key=value\" expected, with values percent-encoded");
  }
}

/* Pushes the member that the arguments describe.   [-0, +1, e] */
static const char *push_member(lua_State *L, size_t *member_length) {
  size_t length, name_length, properties_length;
  const char *name = lua_tolstring(L, 1, &name_length);
  const char *value = lua_tolstring(L, 2, &length);
  const char *properties = lua_tolstring(L, 3, &properties_length);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addlstring(&b, name, name_length);
  luaL_addchar(&b, '=');
  char *room = luaL_prepbuffsize(&b, 3 * length);
  luaL_addsize(&b, baggage_encode(room, value, length));
  if (properties != NULL) {
    slice trimmed = slice_trim((slice){properties, properties_length});
    luaL_addchar(&b, ';');
    luaL_addlstring(&b, trimmed.start, trimmed.length);
  }
  luaL_pushresult(&b);
  const char *member = lua_tolstring(L, -1, member_length);
  if (*member_length <= BAGGAGE_MAX_LENGTH) return member;
  arg_error(L, 2, "set_baggage",
            lua_pushfstring(L, "at most %d bytes expected, with the name and encoded, got %I",
                            BAGGAGE_MAX_LENGTH, (LUAI_UACINT)*member_length));
  return NULL;
}

/* The text of a header while it is composed. */
typedef struct composed {
  char text[BAGGAGE_MAX_LENGTH];
  size_t length;
  int members;
} composed;

/* Returns false if there is no room for the member. */
static bool add_member(composed *c, const char *member, size_t length) {
  size_t comma = c->members > 0 ? 1 : 0;
  if (c->members == BAGGAGE_MAX_MEMBERS) return false;
  if (c->length + comma + length > BAGGAGE_MAX_LENGTH) return false;
  if (comma > 0) c->text[c->length++] = ',';
  memcpy(c->text + c->length, member, length);
  c->length += length;
  c->members++;
  return true;
}

/*
** Composes the baggage of the headers with our member (NULL: none) in place of those of its name.
** Ours comes first, and if room is short the last members are dropped: so those that came in go
** before any of ours.
*/
static void compose(composed *c, const trace_headers *headers, slice name_text, const char *member,
                    size_t member_length) {
  const char *name = name_text.start;
  size_t name_length = name_text.length;
  c->length = 0;
  c->members = 0;
  if (member != NULL) add_member(c, member, member_length);
  const char *text = headers->baggage;
  size_t length = headers->baggage_length;
  baggage_member m;
  for (size_t at = 0; baggage_next(text, length, &at, &m);) {
    if (is_named(&m, name, name_length)) continue;
    if (!add_member(c, m.whole.start, m.whole.length)) return;
  }
}

static int trace_set_baggage(lua_State *L) {
  runtime *rt = runtime_of(L);
  check_arguments(L);
  slice name;
  name.start = lua_tolstring(L, 1, &name.length);
  size_t length = 0;
  const char *member = lua_isnil(L, 2) ? NULL : push_member(L, &length);
  /* Nothing below allocates in Lua. Finalizers, which may change the context, have run. */
  trace_ids *here = trace_here(rt);
  if (!trace_ensure(rt, here)) return luaL_error(L, "%s", trace_why_none(rt));
  composed c;
  trace_headers headers = trace_headers_of(here->trace);
  compose(&c, &headers, name, member, length);
  headers.baggage = c.text;
  headers.baggage_length = c.length;
  trace *changed = trace_repack(rt, here->trace, &headers);
  if (changed == NULL) return luaL_error(L, "not enough memory");
  trace_context_set(rt, trace_current(rt), changed);
  return 0;
}

void lib_baggage_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"baggage", trace_baggage}, {"set_baggage", trace_set_baggage}, {NULL, NULL}};
  lua_pushvalue(L, lua_upvalueindex(1));
  luaL_setfuncs(L, functions, 1);
}
