/* co.collector */
#include "core/clock.h"
#include "kernel/args.h"
#include "loop/loop.h"
#include "lua/lib.h"
#include "lua/options.h"

/* Returns a number option above `low`, or `fallback` if it is not given.   [-0, +0, e] */
static double number_above(lua_State *L, const char *name, double low, const char *expected,
                           double fallback) {
  double value = fallback;
  if (lua_getfield(L, 1, name) != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TNUMBER) options_error(L, 1, "collector", name, expected);
    value = lua_tonumber(L, -1);
    if (!(value > low)) options_refuse_value(L, 1, "collector", name, expected);
  }
  lua_pop(L, 1);
  return value;
}

static void read_options(lua_State *L, collector_settings *settings) {
  static const char *const names[] = {"mode", "budget", "limit", NULL};
  static const char *const modes[] = {"automatic", "idle", NULL};
  options_check_names(L, 1, "collector", names);
  lua_getfield(L, 1, "mode");
  bool given = !lua_isnil(L, -1);
  lua_pop(L, 1);
  if (given) settings->idle = options_word(L, 1, "collector", "mode", modes) == 1;
  double budget = number_above(L, "budget", 0, "seconds above 0", -1);
  if (budget > 0) settings->budget_ns = clock_deadline_ns(0, budget);
  settings->limit = number_above(L, "limit", 1, "number above 1", settings->limit);
}

static double in_seconds(int64_t ns) { return (double)ns / (double)NS_PER_SECOND; }

static void set_number(lua_State *L, const char *name, double value) {
  lua_pushnumber(L, value);
  lua_setfield(L, -2, name);
}

static void push_settings(lua_State *L, const collector_settings *settings) {
  lua_createtable(L, 0, 3);
  lua_pushstring(L, settings->idle ? "idle" : "automatic");
  lua_setfield(L, -2, "mode");
  set_number(L, "budget", in_seconds(settings->budget_ns));
  set_number(L, "limit", settings->limit);
}

static void push_figures(lua_State *L, const collector_figures *figures) {
  lua_createtable(L, 0, 6);
  lib_set_count(L, "pauses", figures->pauses);
  lib_set_count(L, "overruns", figures->overruns);
  lib_set_count(L, "steps", figures->steps);
  lib_set_count(L, "cycles", figures->cycles);
  set_number(L, "longest", in_seconds(figures->longest_ns));
  set_number(L, "seconds", in_seconds(figures->total_ns));
}

/* Everything that may raise comes first, so that an error changes nothing. */
static int collector_collector(lua_State *L) {
  collector *c = &loop_of(runtime_of(L))->collector;
  collector_settings settings = c->settings;
  bool given = !lua_isnoneornil(L, 1);
  if (given) read_options(L, &settings);
  push_settings(L, &c->settings);
  push_figures(L, &c->figures);
  if (given) collector_set(L, c, &settings);
  return 2;
}

void lib_collector_open(lua_State *L, runtime *rt) {
  static const luaL_Reg functions[] = {{"collector", collector_collector}, {NULL, NULL}};
  lib_register(L, rt, functions);
}
