/* cp_spawn and its like. */
#include <string.h>

#include "core/traceparent.h"
#include "coropanic.h"
#include "host/data.h"
#include "kernel/args.h"
#include "scope/spawn.h"

/* The size of the options in version 0.1. */
#define SPAWN_OPTIONS_LEAST (offsetof(cp_spawn_options, free) + sizeof(void (*)(void *)))

/* What a protected spawn holds outside Lua, to give back if it fails. */
typedef struct spawn_call {
  const char *name; /* the API function, for messages */
  const cp_spawn_options *options;
  runtime *rt;
  host_data *data;
  trace_ids trace; /* of the headers; counted */
} spawn_call;

/* The stack of the protected function: what it spawns, then these. */
enum { SPAWN_CONTEXT = -3, SPAWN_ATTRIBUTES = -2, SPAWN_CALL = -1, SPAWN_MORE = 3 };

/* Raises unless the value to run is callable.   [-0, +0, e] */
static void check_callable(lua_State *L, int index, const char *name) {
  if (lua_isfunction(L, index)) return;
  if (luaL_getmetafield(L, index, "__call") == LUA_TNIL) {
    luaL_error(L, "%s: function expected, got %s", name, luaL_typename(L, index));
  }
  lua_pop(L, 1);
}

/*
** Copies the options that this version knows. Raises if fields that it does not know are set, as
** Linux does for clone3.   [-0, +0, e]
*/
static void read_options(lua_State *L, const spawn_call *c, cp_spawn_options *o) {
  const cp_spawn_options *given = c->options;
  memset(o, 0, sizeof(*o));
  if (given == NULL) return;
  if (given->size < SPAWN_OPTIONS_LEAST) {
    luaL_error(L, "%s: options.size is %d: set it to sizeof(cp_spawn_options)", c->name,
               (int)given->size);
  }
  const char *bytes = (const char *)given;
  for (size_t i = sizeof(*o); i < given->size; i++) {
    if (bytes[i] != 0) {
      luaL_error(L, "%s: coropanic " CP_VERSION " does not know all of the options", c->name);
    }
  }
  memcpy(o, given, given->size < sizeof(*o) ? given->size : sizeof(*o));
}

/* Makes the trace of the headers, if they have a valid one.   [-0, +0, e] */
static void read_headers(lua_State *L, spawn_call *c, const cp_spawn_options *o) {
  traceparent parent;
  tracestate state = {.length = 0};
  if (!traceparent_parse(&parent, o->traceparent, strlen(o->traceparent))) return;
  if (o->tracestate != NULL) tracestate_parse(&state, o->tracestate, strlen(o->tracestate));
  trace_headers headers = {.state = state.text, .state_length = state.length};
  c->trace.trace = trace_continue(c->rt, &parent, &headers);
  if (c->trace.trace == NULL) luaL_error(L, "not enough memory");
  c->trace.parent_span_id = parent.span_id;
}

/* Checks the context and the attributes, which stand at these indices.   [-0, +0, e] */
static void check_values(lua_State *L, const spawn_call *c, const cp_spawn_options *o) {
  if (o->context != 0 && context_test(L, SPAWN_CONTEXT) == NULL) {
    luaL_error(L, "%s: options.context: context expected, got %s", c->name,
               luaL_typename(L, SPAWN_CONTEXT));
  }
  if (o->attributes != 0 && !lua_istable(L, SPAWN_ATTRIBUTES)) {
    luaL_error(L, "%s: options.attributes: table expected, got %s", c->name,
               luaL_typename(L, SPAWN_ATTRIBUTES));
  }
}

/* (function, arguments..., context, attributes, spawn_call) → the task; called protected. */
static int spawn(lua_State *L) {
  spawn_call *c = lua_touserdata(L, SPAWN_CALL);
  int arguments = lua_gettop(L) - SPAWN_MORE - 1;
  cp_spawn_options o;
  check_callable(L, 1, c->name);
  read_options(L, c, &o);
  check_values(L, c, &o);
  runtime *rt = c->rt = host_open(L);
  if (o.traceparent != NULL) read_headers(L, c, &o);
  if (o.data != NULL || o.free != NULL) {
    c->data = data_new(rt, o.data, o.free);
    if (c->data == NULL) luaL_error(L, "not enough memory");
  }
  lua_pop(L, 1);
  lua_rotate(L, 1, SPAWN_MORE - 1); /* context and attributes below the function */
  scope_spawn_options options = {.context = o.context != 0 ? 1 : 0};
  spawn_options *s = &options.task;
  s->type = task_push_type(rt, L, arguments);
  s->name = o.name;
  s->daemon = o.daemon != 0;
  s->attributes = o.attributes != 0 ? 2 : 0;
  if (o.traceparent != NULL || o.detached_trace != 0) s->trace = &c->trace;
  task *t = scope_spawn(rt, L, arguments, &options);
  if (c->data != NULL) data_attach(rt, t, c->data);
  c->data = NULL;
  return 1;
}

/* Pushes the value at `index`, or nil if it is 0; the value may be any.   [-0, +1, -] */
static void push_option(lua_State *L, int index) {
  if (index == 0) {
    lua_pushnil(L);
  } else {
    lua_pushvalue(L, index);
  }
}

static int spawn_protected(lua_State *L, const char *name, int arguments,
                           const cp_spawn_options *options) {
  spawn_call c = {.name = name, .options = options};
  bool is_whole = options != NULL && options->size >= SPAWN_OPTIONS_LEAST; /* else it is refused */
  int context = is_whole && options->context != 0 ? lua_absindex(L, options->context) : 0;
  int attributes = is_whole && options->attributes != 0 ? lua_absindex(L, options->attributes) : 0;
  lua_pushcfunction(L, spawn);
  lua_insert(L, -(arguments + 2));
  if (context != 0 && context > lua_gettop(L) - arguments - 2) context++;
  if (attributes != 0 && attributes > lua_gettop(L) - arguments - 2) attributes++;
  push_option(L, context);
  push_option(L, attributes);
  lua_pushlightuserdata(L, &c);
  int status = lua_pcall(L, arguments + 1 + SPAWN_MORE, 1, 0);
  if (c.rt != NULL && !c.rt->closed) trace_release(c.rt, c.trace.trace);
  if (c.data != NULL) data_discard(c.rt, c.data);
  return status;
}

int cp_pspawn(lua_State *L, int arguments, const cp_spawn_options *options) {
  return spawn_protected(L, "cp_pspawn", arguments, options);
}

void cp_spawn_with(lua_State *L, int arguments, const cp_spawn_options *options) {
  luaL_checkstack(L, SPAWN_MORE + 1, NULL);
  if (spawn_protected(L, "cp_spawn_with", arguments, options) != LUA_OK) lua_error(L);
}

void cp_spawn(lua_State *L, int arguments) {
  runtime *rt = host_open(L);
  int function = lua_gettop(L) - arguments;
  check_callable(L, function, "cp_spawn");
  scope_spawn_options options = {0};
  options.task.type = task_push_type(rt, L, arguments);
  scope_spawn(rt, L, arguments, &options);
  lua_replace(L, function);
  lua_settop(L, function);
}
