/* co.scope, co.supervise, co.with_timeout, co.with, and what a scope can do. */
#include "kernel/args.h"
#include "kernel/unwind.h"
#include "lua/lib.h"
#include "lua/spawn.h"
#include "scope/membership.h"
#include "scope/region.h"

/* The code must be a task's own, outside coroutines, and able to suspend.   [-0, +0, e] */
static runtime *check_task(lua_State *L, const char *function) {
  runtime *rt = runtime_of(L);
  const task *t = task_check_suspend(rt, L, function);
  if (t->live.thread != L) {
    luaL_error(L, "'%s' inside a coroutine: call it in the task's own code, outside coroutines",
               function);
  }
  return rt;
}

/*
** Pushes the context that a region opened now runs under. Deferred calls of what is unwinding already
** are shielded, so that they only inherit the values.   [-0, +1, m]
*/
static ctx *push_child_context(runtime *rt, lua_State *L) {
  context_push(rt, L, membership_current_context(rt));
  bool linked = !cancel_is_shielded(rt, L, rt->current, 0);
  ctx *c = context_new(rt, L, lua_gettop(L), linked);
  c->can_end = true;
  lua_remove(L, -2);
  return c;
}

/* The stack is [function] [context]: calls the function with the scope. */
static int run_scope(lua_State *L, const char *name, region_kind kind) {
  arg_check_function(L, 1, name);
  runtime *rt = check_task(L, name);
  lua_settop(L, 1);
  push_child_context(rt, L);
  region_open(rt, L, kind, 2);
  lua_replace(L, 2);
  lua_insert(L, 1);
  lua_pushvalue(L, 1);
  return unwind_body(rt, L, &frame_region);
}

static int scope_scope(lua_State *L) { return run_scope(L, "scope", REGION_SCOPE); }
static int scope_supervise(lua_State *L) { return run_scope(L, "supervise", REGION_SUPERVISE); }

static int scope_with_timeout(lua_State *L) {
  double seconds = arg_check_seconds(L, 1, 1, "with_timeout");
  arg_check_function(L, 2, "with_timeout");
  runtime *rt = check_task(L, "with_timeout");
  ctx *c = push_child_context(rt, L);
  context_set_deadline(rt, L, c, runtime_deadline(rt, seconds));
  region_open(rt, L, REGION_TIMEOUT, lua_gettop(L));
  lua_replace(L, 1);
  lua_pop(L, 1);
  return unwind_body(rt, L, &frame_region);
}

static int scope_with(lua_State *L) {
  if (context_test(L, 1) == NULL) arg_type_error(L, 1, "with", "context");
  arg_check_function(L, 2, "with");
  runtime *rt = check_task(L, "with");
  region_open(rt, L, REGION_WITH, 1);
  lua_replace(L, 1);
  return unwind_body(rt, L, &frame_region);
}

/* --- methods --- */

static region *check_open(lua_State *L, const char *method) {
  region *r = arg_check_self(L, REGION_TYPE, method);
  if (r->ended) luaL_error(L, "'%s' on a scope that has ended", method);
  return r;
}

static int method_spawn(lua_State *L) {
  region *r = check_open(L, "spawn");
  arg_check_method_function(L, 2, 1, "spawn");
  task_spawn(runtime_of(L), L, lua_gettop(L) - 2, &(spawn_options){.scope = r});
  return 1;
}

static int method_spawn_with(lua_State *L) {
  region *r = check_open(L, "spawn_with");
  lua_remove(L, 1);
  return spawn_with(L, r);
}

static int method_cancel(lua_State *L) {
  region *r = arg_check_self(L, REGION_TYPE, "cancel");
  lua_settop(L, 2);
  lua_pushboolean(L, !r->ended && region_cancel(runtime_of(L), L, r, CANCEL_SCOPE));
  return 1;
}

static int scope_tostring(lua_State *L) {
  region_push_text(runtime_of(L), L, arg_check_self(L, REGION_TYPE, "__tostring"));
  return 1;
}

void lib_scope_open(lua_State *L, runtime *rt) {
  static const luaL_Reg functions[] = {
      {"scope", scope_scope},
      {"supervise", scope_supervise},
      {"with_timeout", scope_with_timeout},
      {"with", scope_with},
      {NULL, NULL},
  };
  static const luaL_Reg methods[] = {
      {"spawn", method_spawn},
      {"spawn_with", method_spawn_with},
      {"cancel", method_cancel},
      {NULL, NULL},
  };
  static const luaL_Reg metamethods[] = {{"__tostring", scope_tostring}, {NULL, NULL}};
  for (int i = 0; functions[i].name != NULL; i++) rt->openers[i] = functions[i].func;
  lib_register(L, rt, functions);
  lib_new_type(L, rt, REGION_TYPE, methods, metamethods);
}
