#include "runtime/span.h"

#include <string.h>

#include "core/clock.h"
#include "core/hex.h"
#include "runtime/args.h"
#include "runtime/handler.h"

#define SPAN_TYPE "coropanic.span"

/* Of an attribute that is an array. */
#define SPAN_MAX_ITEMS 128

enum {
  SPAN_UV_DATA = 1, /* the table that the listener is given */
  SPAN_UV_OUTER,    /* the span that it is in, or nil */
  SPAN_UV_TASK,     /* whose it is, or nil outside tasks */
  SPAN_UV_COUNT = SPAN_UV_TASK
};

typedef struct span {
  task_exit exit;      /* of a task's own */
  trace_context saved; /* of code in a span: what it goes back to; counted */
  bool is_open;
} span;

/* What the listener does is no span: to tell of it would be another one, for ever. */
static bool is_heard(const runtime *rt) {
  return rt->has_hook[RUNTIME_UV_ON_SPAN] && !rt->hears_span;
}

bool span_is_recorded(runtime *rt) {
  if (!is_heard(rt)) return false;
  trace_context *context = trace_current(rt);
  return trace_ensure(rt, context) && (context->trace->flags & TRACE_FLAG_SAMPLED) != 0;
}

/* --- the table --- */

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

/* Pushes the table of a span that begins in this context.   [-0, +1, m] */
static void push_data(lua_State *L, const trace_context *context, const char *name,
                      const char *kind, const task *t) {
  lua_createtable(L, 0, 12);
  set_hex(L, "trace_id", context->trace->trace_id, sizeof(context->trace->trace_id));
  set_hex(L, "trace_flags", &context->trace->flags, 1);
  set_id(L, "span_id", context->span_id);
  set_id(L, "parent_span_id", context->parent_span_id);
  if (context->trace->state_length > 0) {
    lua_pushlstring(L, context->trace->text, context->trace->state_length);
    lua_setfield(L, -2, "trace_state");
  }
  lua_pushstring(L, name);
  lua_setfield(L, -2, "name");
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

static bool is_primitive(int type) {
  return type == LUA_TSTRING || type == LUA_TNUMBER || type == LUA_TBOOLEAN;
}

/* Pushes a copy of the array at the top, whose items are primitives of one type; NULL: or why not. */
static const char *push_array(lua_State *L) {
  int source = lua_gettop(L);
  lua_Integer count = (lua_Integer)lua_rawlen(L, source);
  int first = LUA_TNIL;
  if (count > SPAN_MAX_ITEMS) return "array of at most 128 items";
  lua_createtable(L, (int)count, 0);
  for (lua_Integer i = 1; i <= count; i++) {
    int type = lua_rawgeti(L, source, i);
    if (i == 1) first = type;
    if (!is_primitive(type) || type != first) return "array of strings, numbers or booleans alone";
    lua_rawseti(L, -2, i);
  }
  return NULL;
}

/* (key, value) on top of the stack: what is set takes the value's place, or it raises.   [-0, +0, e] */
static void check_attribute(lua_State *L, const char *function, int arg) {
  int value = lua_gettop(L);
  int type = lua_type(L, value);
  const char *expected = "string, number, boolean or array of these";
  if (lua_type(L, value - 1) != LUA_TSTRING) {
    arg_error(L, arg, function, "the name of an attribute is no string");
  }
  if (is_primitive(type)) return;
  if (type == LUA_TTABLE && (expected = push_array(L)) == NULL) {
    lua_replace(L, value);
    return;
  }
  const char *name = lua_tostring(L, value - 1);
  arg_error(L, arg, function,
            lua_pushfstring(L, "attribute '%s': %s expected, got %s", name, expected,
                            lua_typename(L, type)));
}

static lua_Integer count_fields(lua_State *L, int table) {
  lua_Integer count = 0;
  lua_pushnil(L);
  for (; lua_next(L, table) != 0; count++) lua_pop(L, 1);
  return count;
}

void span_set_attributes(lua_State *L, int owner, int attributes, const char *function, int arg) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_getfield(L, owner, "attributes");
  int target = lua_gettop(L);
  lua_Integer count = count_fields(L, target);
  lua_pushnil(L);
  while (lua_next(L, attributes) != 0) {
    int key = lua_gettop(L) - 1;
    check_attribute(L, function, arg);
    lua_pushvalue(L, key);
    bool is_new = lua_rawget(L, target) == LUA_TNIL;
    lua_pop(L, 1);
    if (is_new && count == SPAN_MAX_ATTRIBUTES) {
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

void span_add_event(lua_State *L, int data, const char *name, int attributes, int arg) {
  int top = lua_gettop(L);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_getfield(L, data, "events");
  lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
  if (count == SPAN_MAX_EVENTS) {
    count_dropped(L, data, "dropped_events");
    lua_settop(L, top);
    return;
  }
  lua_createtable(L, 0, 3);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "name");
  set_time(L, "time");
  lua_newtable(L);
  lua_setfield(L, -2, "attributes");
  if (attributes != 0) span_set_attributes(L, lua_gettop(L), attributes, "event", arg);
  lua_rawseti(L, -2, count + 1);
  lua_settop(L, top);
}

/* --- which span is the innermost --- */

/* Pushes what the open spans of the task, or of the code outside tasks, are found by.   [-0, +1, -] */
static void push_owner(runtime *rt, lua_State *L) {
  if (rt->current != NULL) {
    task_push(rt, L, rt->current);
  } else {
    lua_pushboolean(L, 1);
  }
}

/* Pushes the innermost span of the owner at `owner`, or nil.   [-0, +1, -] */
static void push_innermost(runtime *rt, lua_State *L, int owner) {
  owner = lua_absindex(L, owner);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->spans_ref);
  lua_pushvalue(L, owner);
  lua_rawget(L, -2);
  lua_replace(L, -2);
}

/* Makes the value on top the innermost span of the owner at `owner`.   [-1, +0, m] */
static void set_innermost(runtime *rt, lua_State *L, int owner) {
  owner = lua_absindex(L, owner);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->spans_ref);
  lua_insert(L, -2);
  lua_pushvalue(L, owner);
  lua_insert(L, -2);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

bool span_push_current(runtime *rt, lua_State *L) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  push_owner(rt, L);
  push_innermost(rt, L, -1);
  lua_replace(L, -2);
  /* One that has ended is the listener's, and may be the innermost still: not all end in order. */
  while (lua_type(L, -1) == LUA_TUSERDATA) {
    if (lua_getiuservalue(L, -1, SPAN_UV_DATA) == LUA_TTABLE) {
      lua_replace(L, -2);
      return true;
    }
    lua_pop(L, 1);
    lua_getiuservalue(L, -1, SPAN_UV_OUTER);
    lua_replace(L, -2);
  }
  lua_pop(L, 1);
  return false;
}

/* --- the end --- */

static void set_text(lua_State *L, const char *field, int value) {
  luaL_tolstring(L, value, NULL);
  lua_setfield(L, -2, field);
}

/* Adds what the record at `r`, or another value that was raised, says of an exception.   [-0, +0, e] */
static void add_exception(lua_State *L, int data, int r) {
  bool is_record = record_test(L, r) != NULL;
  lua_newtable(L);
  if (is_record) {
    lua_getfield(L, r, "error_code");
    lua_setfield(L, -2, "exception.type");
    lua_getfield(L, r, "message");
    lua_setfield(L, -2, "exception.message");
    set_text(L, "exception.stacktrace", r);
  } else {
    lua_pushstring(L, luaL_typename(L, r));
    lua_setfield(L, -2, "exception.type");
    set_text(L, "exception.message", r);
  }
  int attributes = lua_gettop(L);
  lua_pushliteral(L, "error");
  lua_setfield(L, data, "status");
  lua_getfield(L, attributes, "exception.message");
  lua_setfield(L, data, "status_message");
  span_add_event(L, data, "exception", attributes, 0);
  lua_settop(L, attributes - 1);
}

/* How the piece of work ended, with the value at `raised` or nil. Whether by a panic.   [-0, +0, e] */
static bool set_outcome(lua_State *L, int data, int raised) {
  const record *r = record_test(L, raised);
  if (lua_isnil(L, raised)) return false;
  if (r == NULL || !r->exits) {
    add_exception(L, data, raised);
    return r != NULL;
  }
  if (record_is_cancellation(r)) {
    lua_getfield(L, data, "attributes");
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "coro.cancelled");
    lua_pop(L, 1);
  }
  return false;
}

/* What the task was spawned with, as far as it can be an attribute of a span.   [-0, +0, e] */
static void add_task_attributes(runtime *rt, lua_State *L, int data, int task_index) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->attributes_ref);
  lua_pushvalue(L, task_index);
  if (lua_rawget(L, -2) == LUA_TTABLE) {
    int given = lua_gettop(L);
    lua_newtable(L);
    lua_pushnil(L);
    while (lua_next(L, given) != 0) {
      if (lua_type(L, -2) == LUA_TSTRING && is_primitive(lua_type(L, -1))) {
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, given + 1);
      }
      lua_pop(L, 1);
    }
    span_set_attributes(L, data, given + 1, "spawn_with", 1);
  }
  lua_settop(L, task_index);
}

/* (runtime, span, what was raised or nil): completes the table and gives it to the listener; protected. */
static int finish(lua_State *L) {
  runtime *rt = lua_touserdata(L, 1);
  const span *s = lua_touserdata(L, 2);
  lua_settop(L, 3);
  lua_getiuservalue(L, 2, SPAN_UV_DATA);
  lua_getiuservalue(L, 2, SPAN_UV_TASK);
  if (s->exit.run != NULL) add_task_attributes(rt, L, 4, 5);
  bool has_panicked = set_outcome(L, 4, 3);
  lua_pushvalue(L, 4);
  set_time(L, "end_time");
  lua_pushnil(L);
  lua_setiuservalue(L, 2, SPAN_UV_DATA);
  bool hears_already = rt->hears_span;
  rt->hears_span = true;
  handler_run_hook(rt, L, RUNTIME_UV_ON_SPAN, 4, has_panicked ? 3 : 0);
  rt->hears_span = hears_already;
  return 0;
}

/* Ends a span with the value on top of the stack, or nil. Without memory nobody hears of it. [-1, +0, -] */
static void end_span(runtime *rt, lua_State *L, int index) {
  index = lua_absindex(L, index);
  lua_pushcfunction(L, finish);
  lua_pushlightuserdata(L, rt);
  lua_pushvalue(L, index);
  lua_pushvalue(L, -4);
  if (lua_pcall(L, 3, 0, 0) != LUA_OK) lua_pop(L, 1);
  lua_pop(L, 1);
}

/* --- pieces of code --- */

/* The context of the span's owner; NULL: the task has ended.   [-0, +0, -] */
static trace_context *context_of(runtime *rt, lua_State *L, int index) {
  lua_getiuservalue(L, index, SPAN_UV_TASK);
  task *t = lua_isnil(L, -1) ? NULL : task_test(L, -1);
  lua_pop(L, 1);
  if (t == NULL) return &rt->outside;
  return task_ended(t) ? NULL : &t->context;
}

/* The code leaves the span: its ids are those from before.   [-0, +0, -] */
static void leave(runtime *rt, lua_State *L, span *s, int index) {
  s->is_open = false;
  trace_context *context = context_of(rt, L, index);
  /* It may have other baggage by now. */
  if (context != NULL && trace_is_same(context->trace, s->saved.trace)) {
    context->span_id = s->saved.span_id;
    context->parent_span_id = s->saved.parent_span_id;
  }
  trace_release(rt, s->saved.trace);
  s->saved.trace = NULL;
}

/* The owner's spans that are left are those around this one.   [-0, +0, -] An entry is there: no memory. */
static void restore_outer(runtime *rt, lua_State *L, int index) {
  lua_getiuservalue(L, index, SPAN_UV_TASK);
  if (lua_isnil(L, -1)) {
    lua_pushboolean(L, 1);
    lua_replace(L, -2);
  }
  lua_getiuservalue(L, index, SPAN_UV_OUTER);
  set_innermost(rt, L, -2);
  lua_pop(L, 1);
}

static int span_close(lua_State *L) {
  runtime *rt = runtime_of(L);
  span *s = luaL_checkudata(L, 1, SPAN_TYPE);
  lua_settop(L, 2);
  if (!s->is_open || rt->closed) return 0;
  leave(rt, L, s, 1);
  restore_outer(rt, L, 1);
  end_span(rt, L, 1);
  return 0;
}

/* A coroutine was dropped while it was in the span: nobody can say when that ended. */
static int span_collect(lua_State *L) {
  runtime *rt = runtime_of(L);
  span *s = luaL_checkudata(L, 1, SPAN_TYPE);
  if (s->is_open && s->exit.run == NULL && !rt->closed) trace_release(rt, s->saved.trace);
  s->is_open = false;
  return 0;
}

/* Pushes a span of the owner at the top of the stack, inside the owner's innermost one.   [-0, +1, m] */
static span *new_span(runtime *rt, lua_State *L) {
  span *s = lua_newuserdatauv(L, sizeof(span), SPAN_UV_COUNT);
  memset(s, 0, sizeof(span));
  luaL_setmetatable(L, SPAN_TYPE);
  push_innermost(rt, L, -2);
  lua_setiuservalue(L, -2, SPAN_UV_OUTER);
  if (lua_type(L, -2) == LUA_TUSERDATA) {
    lua_pushvalue(L, -2);
    lua_setiuservalue(L, -2, SPAN_UV_TASK);
  }
  return s;
}

/*
** A place whose id nobody has asked for, as in co.trace.continue, is no span that somebody is told of: the
** parent is who called.
*/
static uint64_t parent_of(const trace_context *context) {
  return context->span_id != 0 ? context->span_id : context->parent_span_id;
}

void span_begin(runtime *rt, lua_State *L, int name, const char *kind, int attributes) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  trace_context *context = trace_current(rt);
  trace_context inner = {.trace = context->trace,
                         .span_id = id_source_next(rt->ids),
                         .parent_span_id = parent_of(context)};
  push_owner(rt, L);
  span *s = new_span(rt, L);
  push_data(L, &inner, lua_tostring(L, name), kind, rt->current);
  if (attributes != 0) span_set_attributes(L, lua_gettop(L), attributes, "span", 2);
  lua_setiuservalue(L, -2, SPAN_UV_DATA);
  lua_pushvalue(L, -1);
  set_innermost(rt, L, -3);
  lua_replace(L, -2);
  /* Nothing below raises. Finalizers may have run: the context is where it is now. */
  context = trace_current(rt);
  s->saved = *context;
  trace_retain(s->saved.trace);
  s->is_open = true;
  context->span_id = inner.span_id;
  context->parent_span_id = inner.parent_span_id;
}

/* --- tasks --- */

/* The task has ended; if not well, its record is on top of the stack.   [-0, +0, -] */
static void end_task(runtime *rt, lua_State *L, task_exit *self) {
  span *s = container_of(self, span, exit);
  if (!s->is_open || rt->closed || !lua_checkstack(L, LUA_MINSTACK)) return;
  s->is_open = false;
  bool has_record = record_test(L, -1) != NULL;
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->task_spans_ref);
  lua_rawgetp(L, -1, s);
  lua_pushnil(L);
  lua_rawsetp(L, -3, s);
  lua_replace(L, -2);
  if (has_record) {
    lua_pushvalue(L, -2);
  } else {
    lua_pushnil(L);
  }
  end_span(rt, L, -2);
  lua_pop(L, 1);
}

/* (runtime, task) → its span, begun; protected. */
static int begin_task(lua_State *L) {
  char buffer[TASK_NAME_SIZE];
  runtime *rt = lua_touserdata(L, 1);
  task *t = task_test(L, 2);
  trace_span_id(rt, &t->context);
  span *s = new_span(rt, L);
  push_data(L, &t->context, task_name(t, buffer), "internal", t);
  lua_setiuservalue(L, 3, SPAN_UV_DATA);
  lua_pushvalue(L, 3);
  set_innermost(rt, L, 2);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->task_spans_ref);
  lua_pushvalue(L, 3);
  lua_rawsetp(L, -2, s);
  s->is_open = true;
  s->exit.run = end_task;
  task_on_end(t, &s->exit);
  return 0;
}

void span_begin_task(runtime *rt, lua_State *L, task *t) {
  if (!is_heard(rt) || (t->context.trace->flags & TRACE_FLAG_SAMPLED) == 0) return;
  if (!lua_checkstack(L, LUA_MINSTACK)) return;
  lua_pushcfunction(L, begin_task);
  lua_pushlightuserdata(L, rt);
  lua_pushvalue(L, -3);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
}

void span_open(runtime *rt, lua_State *L) {
  luaL_newmetatable(L, SPAN_TYPE);
  lua_pushlightuserdata(L, rt);
  lua_pushcclosure(L, span_close, 1);
  lua_setfield(L, -2, "__close");
  lua_pushlightuserdata(L, rt);
  lua_pushcclosure(L, span_collect, 1);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}
