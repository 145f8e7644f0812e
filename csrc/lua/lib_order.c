/* co.order */
#include <string.h>

#include "core/hex.h"
#include "kernel/args.h"
#include "lua/lib.h"
#include "lua/options.h"
#include "sync/mutex.h"
#include "sync/order.h"
#include "sync/semaphore.h"

#define ORDER_TYPE "coropanic.order"

static const char *const OPTIONS[] = {"strict", "allow", "start", NULL};

/*
** Returns the order to one of its functions, which may be called as a method or not: takes away the
** object at 1, if it is there.   [-(0|1), +0, e]
*/
static order *check_order(lua_State *L) {
  runtime *rt = runtime_of(L);
  if (luaL_testudata(L, 1, ORDER_TYPE) != NULL) lua_remove(L, 1);
  return rt->lock_order_made;
}

static void set_string(lua_State *L, const char *name, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

/* --- objects --- */

/* Returns the object at `index` if it is of a type that has classes; else NULL. */
static const sync_object *test_object(lua_State *L, int index) {
  static const char *const types[] = {"coropanic.mutex", "coropanic.rwmutex", "coropanic.semaphore",
                                      "coropanic.once", "coropanic.channel"};
  const sync_object *object = NULL;
  if (lua_rawlen(L, index) < sizeof(sync_object)) return NULL; /* 0: a light userdata */
  for (size_t i = 0; i < sizeof(types) / sizeof(types[0]) && object == NULL; i++) {
    object = luaL_testudata(L, index, types[i]);
  }
  return object;
}

/* (object) → nil, "cycle" or "hold-and-wait" */
static int order_method_risk(lua_State *L) {
  order *o = check_order(L);
  const sync_object *object = test_object(L, 1);
  if (object == NULL) {
    arg_type_error(L, 1, "risk", "mutex, rwmutex, semaphore, once or channel");
    compat_unreachable();
  }
  const char *risk = NULL;
  uint16_t class = order_class_of(o, object);
  if (class != ORDER_NONE && o->runtime->lock_order != NULL) {
    if (order_waits_for_itself(&o->graph, class)) risk = "hold-and-wait";
    if (order_has_cycle(&o->graph, class)) risk = "cycle";
  }
  lua_pushstring(L, risk);
  return 1;
}

/* --- rules --- */

/* Returns a text of a rule, which stays on the stack: the value at `index` of argument `arg`. */
static const char *check_text(lua_State *L, int index, int arg, const char *what) {
  size_t length;
  const char *text = lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, &length) : NULL;
  if (text == NULL || length == 0 || length > ORDER_MAX_RULE_TEXT || length != strlen(text)) {
    arg_type_error(L, arg, "allow", what);
  }
  return text;
}

/*
** Returns the name or place of the class that the value at `index` names: a text, or an object.
** [-0, +(0|1), e]
*/
static const char *check_class(const order *o, lua_State *L, int index, int arg) {
  const sync_object *object = test_object(L, index);
  if (object == NULL) {
    return check_text(L, index, arg, "a name, a place \"file.lua:12\", or a mutex, semaphore, ...");
  }
  if ((object->class & SYNC_NAMED) != 0) return o->names[object->class & ~SYNC_NAMED].text;
  uint16_t class = order_class_of(o, object);
  if (class != ORDER_NONE) return order_key(o, class);
  if (object->made_at == 0)
    arg_error(L, arg, "allow", "it was made before co.order was on: name it");
  return order_place(o, object->made_at);
}

/* Adds the rule of the three values from `index` on. `arg`: the argument of the first of them. */
static void allow(order *o, lua_State *L, int index, int arg, int step) {
  const char *from = check_class(o, L, index, arg);
  const char *to = check_class(o, L, index + 1, arg + step);
  const char *reason = check_text(L, index + 2, arg + 2 * step, "the reason, a text");
  if (!order_allow(o, L, from, to, reason)) {
    luaL_error(L, "'allow': there are %d rules already", ORDER_MAX_RULES);
  }
}

/* (a, b, reason) */
static int order_method_allow(lua_State *L) {
  order *o = check_order(L);
  lua_settop(L, 3);
  allow(o, L, 1, 1, 1);
  return 0;
}

/* --- what was seen --- */

static void push_omitted(lua_State *L, const order *o) {
  lua_createtable(L, 0, 6);
  lib_set_count(L, "classes", o->graph.omitted.classes);
  lib_set_count(L, "instances", o->graph.omitted.instances);
  lib_set_count(L, "edges", o->graph.omitted.edges);
  lib_set_count(L, "warnings", o->graph.omitted.cycles);
  lib_set_count(L, "searches", o->graph.omitted.searches);
  lib_set_count(L, "held", o->omitted_held);
}

static void push_rules(lua_State *L, const order *o) {
  lua_createtable(L, (int)o->rule_count, 0);
  for (uint32_t i = 0; i < o->rule_count; i++) {
    lua_createtable(L, 0, 3);
    set_string(L, "from", o->rules[i].from);
    set_string(L, "to", o->rules[i].to);
    set_string(L, "reason", o->rules[i].reason);
    lua_rawseti(L, -2, i + 1);
  }
}

static int order_method_stats(lua_State *L) {
  const order *o = check_order(L);
  lua_createtable(L, 0, 8);
  lua_pushboolean(L, o->runtime->lock_order != NULL);
  lua_setfield(L, -2, "on");
  lib_set_count(L, "classes", o->graph.class_count);
  lib_set_count(L, "instances", o->graph.instance_count);
  lib_set_count(L, "edges", o->graph.edge_count - 1);
  lib_set_count(L, "warnings", o->graph.cycle_count);
  lib_set_count(L, "ignored", o->ignored);
  push_omitted(L, o);
  lua_setfield(L, -2, "omitted");
  push_rules(L, o);
  lua_setfield(L, -2, "rules");
  return 1;
}

/* One step of a warning. It is copied, because finalizers may reset the order. */
typedef struct step {
  char from[ORDER_LABEL_SIZE];
  char to[ORDER_LABEL_SIZE];
  const char *verb;
  order_sight sight;
} step;

static void push_step(lua_State *L, const order *o, const step *s) {
  char trace_id[32];
  lua_createtable(L, 0, 8);
  set_string(L, "at", order_place(o, s->sight.at));
  set_string(L, "verb", s->verb);
  set_string(L, "wants", s->to);
  set_string(L, "holding", s->from);
  set_string(L, "held_at", order_place(o, s->sight.held_at));
  lib_set_count(L, "task", s->sight.task);
  hex_encode(trace_id, s->sight.trace_id, 16);
  lua_pushlstring(L, trace_id, sizeof(trace_id));
  lua_setfield(L, -2, "trace_id");
  lua_pushinteger(L, s->sight.time_ns);
  lua_setfield(L, -2, "time");
}

/* Copies step `place` of a cycle. False: the cycle has fewer, or was forgotten. */
static bool copy_step(const order *o, uint32_t cycle, uint32_t place, step *s) {
  const order_graph *g = &o->graph;
  if (cycle >= g->cycle_count || place >= g->cycles[cycle].length) return false;
  const order_edge *e = &g->edges[g->steps[g->cycles[cycle].first + place]];
  order_write_label(o, e->from, false, s->from);
  order_write_label(o, e->to, false, s->to);
  s->verb = order_verb(o, e);
  s->sight = e->sight;
  return true;
}

/* Pushes a table of the cycle, if it is still there.   [-0, +(0|1), m] */
static bool push_warning(lua_State *L, const order *o, uint32_t cycle) {
  char text[ORDER_TEXT_SIZE];
  step s;
  if (cycle >= o->graph.cycle_count) return false;
  order_write_text(o, &o->graph.cycles[cycle], text);
  lua_createtable(L, 0, 3);
  set_string(L, "text", text);
  lua_newtable(L);
  for (uint32_t i = 0; copy_step(o, cycle, i, &s); i++) {
    push_step(L, o, &s);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "steps");
  return true;
}

static int order_method_warnings(lua_State *L) {
  const order *o = check_order(L);
  lua_newtable(L);
  for (uint32_t i = 0; push_warning(L, o, i); i++) lua_rawseti(L, -2, i + 1);
  return 1;
}

/* --- on and off --- */

static int order_method_stop(lua_State *L) {
  order_stop(check_order(L)->runtime);
  return 0;
}

static int order_method_reset(lua_State *L) {
  order_reset(check_order(L));
  return 0;
}

static int order_tostring(lua_State *L) {
  const order *o = check_order(L);
  lua_pushfstring(L, "order (%s, %d warnings)", o->runtime->lock_order != NULL ? "on" : "off",
                  (int)o->graph.cycle_count);
  return 1;
}

/* The option `allow`: an array of {a, b, reason}. */
static void allow_all(order *o, lua_State *L) {
  if (lua_getfield(L, 1, "allow") == LUA_TNIL) return;
  if (!lua_istable(L, -1)) options_error(L, 1, "order", "allow", "array of {a, b, reason}");
  int rules = lua_gettop(L);
  for (lua_Integer i = 1; lua_rawgeti(L, rules, i) != LUA_TNIL; i++) {
    if (!lua_istable(L, -1)) options_error(L, 1, "order", "allow", "array of {a, b, reason}");
    int rule = lua_gettop(L);
    for (int part = 1; part <= 3; part++) lua_rawgeti(L, rule, part);
    allow(o, L, rule + 1, 1, 0);
    lua_settop(L, rules);
  }
}

/* ([options]) → the order, which is on unless the option `start` is false */
static int order_order(lua_State *L) {
  runtime *rt = runtime_of(L);
  lua_settop(L, 1);
  order *o = order_make(rt, L);
  bool start = true;
  if (!lua_isnil(L, 1)) {
    options_check_names(L, 1, "order", OPTIONS);
    start = lua_getfield(L, 1, "start") == LUA_TNIL || options_boolean(L, 1, "order", "start");
    bool strict = o->strict; /* stays as it is, unless the caller says so */
    if (lua_getfield(L, 1, "strict") != LUA_TNIL) strict = options_boolean(L, 1, "order", "strict");
    allow_all(o, L);
    if (start) o->strict = strict;
  }
  if (start) order_start(rt, L);
  lua_newuserdatauv(L, 0, 0);
  luaL_setmetatable(L, ORDER_TYPE);
  return 1;
}

void lib_order_open(lua_State *L, runtime *rt) {
  static const luaL_Reg methods[] = {
      {"allow", order_method_allow},
      {"reset", order_method_reset},
      {"risk", order_method_risk},
      {"stats", order_method_stats},
      {"stop", order_method_stop},
      {"warnings", order_method_warnings},
      {NULL, NULL},
  };
  static const luaL_Reg metamethods[] = {{"__tostring", order_tostring}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"order", order_order}, {NULL, NULL}};
  lib_new_type(L, rt, ORDER_TYPE, methods, metamethods);
  lib_register(L, rt, functions);
}
