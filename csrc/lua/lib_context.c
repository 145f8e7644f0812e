/* co.context, co.ctx and the methods of contexts. */
#include "kernel/args.h"
#include "lua/lib.h"
#include "scope/context.h"
#include "scope/context_after.h"
#include "scope/spawn.h"
#include "sync/chan.h"

static ctx *check_self(lua_State *L, const char *method) {
  return arg_check_self(L, CONTEXT_TYPE, method);
}

/* Raises unless the argument 1 of a function of co.context is a context. */
static void check_parent(lua_State *L, const char *function) {
  if (context_test(L, 1) == NULL) arg_type_error(L, 1, function, "context");
}

/* --- making --- */

static int context_background(lua_State *L) {
  context_push(runtime_of(L), L, NULL);
  return 1;
}

static int context_with_value(lua_State *L) {
  check_parent(L, "with_value");
  if (lua_isnoneornil(L, 2)) arg_type_error(L, 2, "with_value", "key that is not nil");
  lua_settop(L, 3);
  ctx *c = context_new_with_value(runtime_of(L), L, 1);
  c->has_value = true;
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, CONTEXT_UV_KEY);
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, -2, CONTEXT_UV_VALUE);
  return 1;
}

/* The second result of with_cancel and the like: (cause) ends the context in its upvalue. */
static int cancel_context(lua_State *L) {
  runtime *rt = runtime_of(L);
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(CANCELLER_CONTEXT));
  ctx *c = context_test(L, 2);
  if (c->state != CONTEXT_LIVE) return 0;
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, 2, CONTEXT_UV_CAUSE);
  context_end(rt, L, c, CONTEXT_CANCELLED);
  return 0;
}

/* Pushes a function that ends the context on top of the stack.   [-0, +1, m] */
static void push_cancel(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, cancel_context, CANCELLER_CONTEXT);
}

static int context_with_cancel(lua_State *L) {
  check_parent(L, "with_cancel");
  context_new(runtime_of(L), L, 1, true)->can_end = true;
  push_cancel(L);
  return 2;
}

/* Pushes a context with the deadline, and the function that ends it. The cause, or nil, is at 3. */
static int push_with_deadline(lua_State *L, int64_t deadline_ns) {
  runtime *rt = runtime_of(L);
  lua_settop(L, 3);
  ctx *c = context_new(rt, L, 1, true);
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, 4, CONTEXT_UV_CAUSE);
  context_set_deadline(rt, L, c, deadline_ns);
  push_cancel(L);
  return 2;
}

static int context_with_timeout(lua_State *L) {
  check_parent(L, "with_timeout");
  double seconds = arg_check_seconds(L, 2, 2, "with_timeout");
  return push_with_deadline(L, runtime_deadline(runtime_of(L), seconds));
}

static int context_with_deadline(lua_State *L) {
  check_parent(L, "with_deadline");
  double time = arg_check_time(L, 2, 2, "with_deadline");
  return push_with_deadline(L,
                            time < 0 ? -clock_deadline_ns(0, -time) : clock_deadline_ns(0, time));
}

static int context_without_cancel(lua_State *L) {
  check_parent(L, "without_cancel");
  context_new(runtime_of(L), L, 1, false);
  return 1;
}

/* --- methods --- */

static int method_value(lua_State *L) {
  const ctx *c = check_self(L, "value");
  lua_settop(L, 2);
  lua_pushvalue(L, 1);
  for (; c != NULL; c = c->parent) {
    if (c->has_value) {
      lua_getiuservalue(L, 3, CONTEXT_UV_KEY);
      bool found = lua_rawequal(L, 2, -1);
      lua_pop(L, 1);
      if (found) {
        lua_getiuservalue(L, 3, CONTEXT_UV_VALUE);
        return 1;
      }
    }
    lua_getiuservalue(L, 3, CONTEXT_UV_PARENT);
    lua_replace(L, 3);
  }
  lua_pushnil(L);
  return 1;
}

static int method_err(lua_State *L) {
  lua_pushstring(L, context_error(check_self(L, "err")));
  return 1;
}

static int method_cause(lua_State *L) {
  check_self(L, "cause");
  context_push_cause(runtime_of(L), L, 1);
  return 1;
}

static int method_deadline(lua_State *L) {
  const ctx *c = check_self(L, "deadline");
  if (c->deadline_ns == TIME_FOREVER) {
    lua_pushnil(L);
  } else {
    lua_pushnumber(L, (lua_Number)c->deadline_ns / (lua_Number)NS_PER_SECOND);
  }
  return 1;
}

static void close_done(runtime *rt, void *channel) { chan_close(rt, channel); }

static int method_done(lua_State *L) {
  ctx *c = check_self(L, "done");
  if (!c->can_end) {
    lua_pushnil(L);
    return 1;
  }
  if (lua_getiuservalue(L, 1, CONTEXT_UV_DONE) != LUA_TNIL) return 1;
  lua_pushvalue(L, 1);
  chan *made = chan_new_owned(runtime_of(L), L);
  /* A finalizer that ran meanwhile may have made the channel. */
  if (lua_getiuservalue(L, 1, CONTEXT_UV_DONE) != LUA_TNIL) return 1;
  lua_pop(L, 1);
  c->done = made;
  c->close_done = close_done;
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, CONTEXT_UV_DONE);
  if (c->state != CONTEXT_LIVE) chan_close(runtime_of(L), made);
  return 1;
}

/* The function that ctx:after returns: () → whether the given function will now not be started */
static int stop_after(lua_State *L) {
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_pushboolean(L, context_after_stop(runtime_of(L), L, 1));
  return 1;
}

static int method_after(lua_State *L) {
  check_self(L, "after");
  if (!lua_isfunction(L, 2)) arg_check_method_function(L, 2, 1, "after");
  lua_settop(L, 2);
  context_after_add(runtime_of(L), L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, -2);
  lua_pushcclosure(L, stop_after, 2);
  return 1;
}

static int context_tostring(lua_State *L) {
  const ctx *c = check_self(L, "__tostring");
  const char *error = context_error(c);
  const char *text = error != NULL                    ? error + sizeof("context ") - 1
                     : c->parent == NULL              ? "background"
                     : c->deadline_ns != TIME_FOREVER ? "live, with a deadline"
                                                      : "live";
  lua_pushfstring(L, "context (%s)", text);
  return 1;
}

static int context_gc(lua_State *L) {
  context_collect(runtime_of_any(L), lua_touserdata(L, 1));
  return 0;
}

static int context_current(lua_State *L) {
  runtime *rt = runtime_of(L);
  context_push(rt, L, scope_current_context(rt, L));
  return 1;
}

void lib_context_open(lua_State *L, runtime *rt) {
  static const luaL_Reg constructors[] = {
      {"background", context_background},
      {"with_value", context_with_value},
      {"with_cancel", context_with_cancel},
      {"with_timeout", context_with_timeout},
      {"with_deadline", context_with_deadline},
      {"without_cancel", context_without_cancel},
      {NULL, NULL},
  };
  static const luaL_Reg methods[] = {
      {"value", method_value},
      {"err", method_err},
      {"cause", method_cause},
      {"deadline", method_deadline},
      {"done", method_done},
      {"after", method_after},
      {NULL, NULL},
  };
  static const luaL_Reg metamethods[] = {
      {"__tostring", context_tostring}, {"__gc", context_gc}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"ctx", context_current}, {NULL, NULL}};
  rt->canceller = cancel_context;
  lib_register(L, rt, functions);
  lib_new_type(L, rt, CONTEXT_TYPE, methods, metamethods);
  context_after_open(rt, L);
  if (rt->background_ref == 0) context_open(rt, L);
  lua_newtable(L);
  lib_register(L, rt, constructors);
  lua_setfield(L, -2, "context");
}
