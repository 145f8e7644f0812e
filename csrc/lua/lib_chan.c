/* co.chan, co.select and the methods of channels. */
#include "kernel/args.h"
#include "kernel/panic.h"
#include "lua/lib.h"
#include "lua/sync_options.h"
#include "sync/bounded.h"
#include "sync/chan.h"
#include "sync/order.h"
#include "sync/select.h"

static chan *check_self(lua_State *L, const char *method) {
  return sync_check_self(L, &chan_type, method);
}

/* Returns the channel at index 1; raises if only its owner may use it. */
static chan *check_own(lua_State *L, const char *method) {
  chan *c = check_self(L, method);
  if (c->owned) luaL_error(L, "'%s' on a context's done channel: %s", method, CHAN_OWNED_MESSAGE);
  return c;
}

static int chan_make(lua_State *L) {
  lua_Integer capacity = 0;
  if (!lua_isnoneornil(L, 1)) {
    if (!lua_isinteger(L, 1)) arg_type_error(L, 1, "chan", "integer");
    capacity = lua_tointeger(L, 1);
    if (capacity < 0) arg_error(L, 1, "chan", "a capacity from 0 expected, got a negative number");
  }
  runtime *rt = runtime_of(L);
  uint16_t name = sync_check_name(rt, L, 2, "chan");
  order_set_name(&chan_new(rt, L, capacity)->object, name);
  return 1;
}

static int method_send(lua_State *L) {
  chan *c = check_own(L, "send");
  if (lua_gettop(L) != 2) lua_settop(L, 2);
  if (c->capacity > 0) bounded_see(c->object.runtime, L, 1, &c->listed);
  order_sends(c->object.runtime, L, c);
  return chan_send(c->object.runtime, L, c);
}

static int method_recv(lua_State *L) {
  chan *c = check_self(L, "recv");
  order_receives(c->object.runtime, L, c);
  return chan_receive(c->object.runtime, L, c);
}

static int method_try_send(lua_State *L) {
  chan *c = check_own(L, "try_send");
  if (lua_gettop(L) != 2) lua_settop(L, 2);
  lua_pushboolean(L, chan_send_now(c->object.runtime, L, c, 1));
  return 1;
}

static int method_try_recv(lua_State *L) {
  chan *c = check_self(L, "try_recv");
  order_receives(c->object.runtime, L, c);
  bool now = chan_receive_now(c->object.runtime, L, c, 1);
  if (now && lua_toboolean(L, -1)) return 2;
  if (!now) {
    lua_pushnil(L);
    lua_pushboolean(L, 0);
  }
  lua_pushstring(L, now ? "closed" : "empty");
  return 3;
}

static int method_close(lua_State *L) {
  runtime *rt = runtime_of(L);
  if (lua_isnil(L, 1)) {
    lua_pushliteral(L, "close of nil channel");
    return panic_raise(rt, L);
  }
  chan *c = check_own(L, "close");
  if (c->closed) {
    lua_pushliteral(L, "close of closed channel");
    return panic_raise(rt, L);
  }
  chan_close(rt, c);
  return 0;
}

static int method_capacity(lua_State *L) {
  lua_pushinteger(L, check_self(L, "capacity")->capacity);
  return 1;
}

/* Upvalue 2 is the channel. */
static int next_value(lua_State *L) {
  chan *c = lua_touserdata(L, lua_upvalueindex(2));
  if (c->object.runtime->closed) runtime_refuse_closed(L);
  order_receives(c->object.runtime, L, c);
  return chan_next(c->object.runtime, L, c, lua_upvalueindex(2));
}

static int method_iter(lua_State *L) {
  check_self(L, "iter");
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, next_value, 2);
  return 1;
}

static int chan_len(lua_State *L) {
  lua_pushinteger(L, check_self(L, "__len")->count);
  return 1;
}

static int chan_tostring(lua_State *L) {
  const chan *c = check_self(L, "__tostring");
  const char *state = c->closed ? ", closed" : "";
  if (c->capacity == 0) {
    lua_pushfstring(L, "channel (%s%s)", c->owned ? "done" : "unbuffered", state);
  } else {
    lua_pushfstring(L, "channel (%I of %I buffered%s)", (LUAI_UACINT)c->count,
                    (LUAI_UACINT)c->capacity, state);
  }
  return 1;
}

static int chan_gc(lua_State *L) {
  chan *c = lua_touserdata(L, 1);
  chan_collect(c->object.runtime, c);
  return 0;
}

static int chan_select(lua_State *L) { return select_run(runtime_of(L), L); }

void lib_chan_open(lua_State *L, runtime *rt) {
  static const luaL_Reg functions[] = {{"chan", chan_make}, {"select", chan_select}, {NULL, NULL}};
  static const luaL_Reg methods[] = {
      {"send", method_send},         {"recv", method_recv},
      {"try_send", method_try_send}, {"try_recv", method_try_recv},
      {"close", method_close},       {"capacity", method_capacity},
      {"iter", method_iter},         {NULL, NULL},
  };
  static const luaL_Reg metamethods[] = {
      {"__len", chan_len}, {"__tostring", chan_tostring}, {"__gc", chan_gc}, {NULL, NULL}};
  lib_register(L, rt, functions);
  lib_new_type(L, rt, CHANNEL_TYPE, methods, metamethods);
}
