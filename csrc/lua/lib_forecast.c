/* co.forecast: lua/coropanic/forecast.lua, and what it can not see from outside. */
#include "kernel/args.h"
#include "kernel/handler.h"
#include "lua/lib.h"
#include "lua/lua_module.h"
#include "lua/options.h"
#include "sync/bounded.h"
#include "sync/order.h"

/* Bounds of the options, in seconds, and the most looks in one window. */
#define SECONDS_MIN 0.001
#define SECONDS_MAX 86400.0
#define MAX_LOOKS 1000

/* --- functions for the module --- */

/* (objects, levels, capacities) → their number, and how many objects were left out so far */
static int inside_read(lua_State *L) {
  runtime *rt = runtime_of(L);
  lua_pushinteger(L, bounded_read(rt, L, 1));
  lua_pushinteger(L, (lua_Integer)rt->bounded_omitted);
  return 2;
}

/* (object) → the text that names it, as in warnings of co.order */
static int inside_label(lua_State *L) {
  const order *o = runtime_of(L)->lock_order_made;
  const sync_object *object = lua_touserdata(L, 1);
  char label[ORDER_LABEL_SIZE];
  uint16_t class = order_class_of(o, object);
  if (class != ORDER_NONE) {
    order_write_label(o, class, true, label);
    lua_pushstring(L, label);
  } else if ((object->class & SYNC_NAMED) != 0) {
    lua_pushfstring(L, "\"%s\"", o->names[object->class & ~SYNC_NAMED].text);
  } else {
    lua_pushfstring(L, "%s made at %s", object->type->name, order_place(o, object->made_at));
  }
  return 1;
}

/* (object) → the text of a cycle of waits that it stands in; nil: of none */
static int inside_cycle(lua_State *L) {
  order *o = runtime_of(L)->lock_order_made;
  uint32_t steps[ORDER_MAX_DEPTH];
  char text[ORDER_TEXT_SIZE];
  uint16_t class = order_class_of(o, lua_touserdata(L, 1));
  uint32_t length = class == ORDER_NONE ? 0 : order_find_cycle(&o->graph, class, steps);
  if (length == 0) return 0;
  order_write_steps(o, steps, length, text);
  lua_pushstring(L, text);
  return 1;
}

/* (text) gives a warning to the panic handler */
static int inside_warn(lua_State *L) {
  runtime *rt = runtime_of(L);
  record_make_safe(rt, L, L, 0, RECORD_WARNING, lua_tostring(L, 1));
  handler_warn(rt, L, 0);
  return 0;
}

/* --- co.forecast --- */

/* Returns an option in seconds; `fallback` if it is not given.   [-0, +0, e] */
static double read_seconds(lua_State *L, const char *name, double fallback) {
  static const char expected[] = "seconds from 0.001 to 86400";
  int top = lua_gettop(L);
  double seconds = fallback;
  if (lua_istable(L, 1) && lua_getfield(L, 1, name) != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TNUMBER) options_error(L, 1, "forecast", name, expected);
    seconds = lua_tonumber(L, -1);
    if (!(seconds >= SECONDS_MIN && seconds <= SECONDS_MAX))
      options_refuse_value(L, 1, "forecast", name, expected);
  }
  lua_settop(L, top);
  return seconds;
}

/* Pushes the table that the module gets: functions, and arrays with room for all objects.   [-0, +1, m] */
static void push_inside(runtime *rt, lua_State *L) {
  static const luaL_Reg functions[] = {{"read", inside_read},
                                       {"label", inside_label},
                                       {"cycle", inside_cycle},
                                       {"warn", inside_warn},
                                       {NULL, NULL}};
  static const char *const arrays[] = {"objects", "levels", "capacities"};
  lua_createtable(L, 0, 8);
  lua_pushlightuserdata(L, rt);
  luaL_setfuncs(L, functions, 1);
  for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
    lua_createtable(L, BOUNDED_MAX, 0);
    lua_setfield(L, -2, arrays[i]);
  }
}

/* ([options]) → the forecast, which runs */
static int forecast_forecast(lua_State *L) {
  static const char *const names[] = {"ahead", "window", "period", NULL};
  runtime *rt = runtime_of(L);
  lua_settop(L, 1);
  if (!lua_isnil(L, 1)) options_check_names(L, 1, "forecast", names);
  double ahead = read_seconds(L, "ahead", 3);
  double window = read_seconds(L, "window", 5);
  double period = read_seconds(L, "period", window / 20);
  if (period > window || window > period * MAX_LOOKS) {
    lua_pushnumber(L, period);
    options_refuse_value(L, 1, "forecast", "period",
                         "seconds from a thousandth of the window to the window");
  }
  lua_module_push(L, "coropanic.forecast",
                  "co.forecast needs the Lua module 'coropanic.forecast':");
  lua_pushnumber(L, ahead);
  lua_pushnumber(L, window);
  lua_pushnumber(L, period);
  push_inside(rt, L);
  lua_call(L, 4, 1);
  return 1;
}

void lib_forecast_open(lua_State *L, runtime *rt) {
  static const luaL_Reg functions[] = {{"forecast", forecast_forecast}, {NULL, NULL}};
  lib_register(L, rt, functions);
}
