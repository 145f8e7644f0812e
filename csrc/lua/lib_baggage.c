/* co.trace.baggage, set_baggage: values that travel with a request, W3C Baggage. */
#include "lua/lib_baggage.h"

#include <string.h>

#include "core/baggage.h"
#include "runtime/args.h"
#include "runtime/task.h"

/*
** The baggage of the running code, as a string on the stack: reading it may run finalizers, which may
** change it.   [-0, +1, m]
*/
static const char *push_text(runtime *rt, lua_State *L, size_t *length) {
  const trace *t = trace_current(rt)->trace;
  if (t == NULL) {
    lua_pushliteral(L, "");
  } else {
    trace_luggage luggage = trace_luggage_of(t);
    lua_pushlstring(L, luggage.baggage, luggage.baggage_length);
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

/* (name) → value, properties; or nil. Of several members of one name the last. */
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

/* Of names that come several times the last. */
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
  if (lua_isnil(L, 3)) return;
  if (lua_type(L, 3) != LUA_TSTRING) arg_type_error(L, 3, "set_baggage", "string or nil");
  const char *properties = lua_tolstring(L, 3, &length);
  if (!baggage_are_properties(properties, length)) {
    arg_error(L, 3, "set_baggage", "properties \"key;key=value\" expected");
  }
}

/* Adds the arguments as a member.   [-0, +0, m] The buffer is on top of the stack. */
static void add_member(lua_State *L, luaL_Buffer *b) {
  size_t length, name_length, properties_length;
  const char *name = lua_tolstring(L, 1, &name_length);
  const char *value = lua_tolstring(L, 2, &length);
  const char *properties = lua_tolstring(L, 3, &properties_length);
  luaL_addlstring(b, name, name_length);
  luaL_addchar(b, '=');
  char *room = luaL_prepbuffsize(b, 3 * length);
  luaL_addsize(b, baggage_encode(room, value, length));
  if (properties == NULL) return;
  luaL_addchar(b, ';');
  luaL_addlstring(b, properties, properties_length);
}

/* Pushes the baggage with the member that the arguments say, or without it. Returns the members. [-0, +2, e]
 */
static int push_changed(runtime *rt, lua_State *L) {
  size_t length, name_length;
  const char *name = lua_tolstring(L, 1, &name_length);
  const char *text = push_text(rt, L, &length);
  baggage_member m;
  luaL_Buffer b;
  int count = 0;
  luaL_buffinit(L, &b);
  for (size_t at = 0; baggage_next(text, length, &at, &m);) {
    if (is_named(&m, name, name_length)) continue;
    if (count++ > 0) luaL_addchar(&b, ',');
    luaL_addlstring(&b, m.whole.start, m.whole.length);
  }
  if (!lua_isnil(L, 2)) {
    if (count++ > 0) luaL_addchar(&b, ',');
    add_member(L, &b);
  }
  luaL_pushresult(&b);
  return count;
}

static int trace_set_baggage(lua_State *L) {
  runtime *rt = runtime_of(L);
  check_arguments(L);
  trace_context *context = trace_current(rt);
  if (!trace_ensure(rt, context)) return luaL_error(L, "%s", trace_why_none(rt));
  int count = push_changed(rt, L);
  size_t length;
  const char *text = lua_tolstring(L, -1, &length);
  if (count > BAGGAGE_MAX_MEMBERS || length > BAGGAGE_MAX_LENGTH) {
    return luaL_error(L, "co.trace.set_baggage: more than %d members or %d bytes",
                      BAGGAGE_MAX_MEMBERS, BAGGAGE_MAX_LENGTH);
  }
  trace_luggage luggage = trace_luggage_of(context->trace);
  luggage.baggage = text;
  luggage.baggage_length = length;
  trace *changed = trace_repack(rt, context->trace, &luggage);
  if (changed == NULL) return luaL_error(L, "not enough memory");
  trace_release(rt, context->trace);
  context->trace = changed;
  return 0;
}

void lib_baggage_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"baggage", trace_baggage}, {"set_baggage", trace_set_baggage}, {NULL, NULL}};
  lua_pushvalue(L, lua_upvalueindex(1));
  luaL_setfuncs(L, functions, 1);
}
