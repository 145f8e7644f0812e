/* co.scope, co.supervise, co.with_timeout, co.with, and the methods of scopes. */
#include "kernel/args.h"
#include "kernel/unwind.h"
#include "lua/lib.h"
#include "lua/spawn.h"
#include "scope/scope.h"
#include "scope/spawn.h"
#include "scope/with.h"

/*
** Raises unless the running code is a task's own, outside coroutines, and may suspend.
** [-0, +0, e]
*/
static runtime *check_task(lua_State *L, const char *function) {
  runtime *rt = runtime_of(L);
  const task *t = task_check_suspend(rt, L, function);
  if (t->coroutine.thread != L) {
    luaL_error(L, "'%s' inside a coroutine: call it in the task's own code, outside coroutines",
               function);
  }
  return rt;
}

/*
** Pushes the context for a scope that is opened now. A deferred call of an unwinding frame is
** shielded, so its context inherits only the values.   [-0, +1, m]
*/
static ctx *push_child_context(runtime *rt, lua_State *L) {
  context_push(rt, L, scope_current_context(rt, L));
  bool linked = !cancel_is_shielded(rt->current, 0);
  ctx *c = context_new(rt, L, lua_gettop(L), linked);
  c->can_end = true;
  lua_remove(L, -2);
  return c;
}

/* Whether somebody watches contexts come and go, so that a scope's is made when it is opened. */
static bool contexts_are_watched(const runtime *rt) {
  const probes *p = &rt->probes;
  return probe_is_wanted(p, PROBE_CONTEXT_OPEN) || probe_is_wanted(p, PROBE_CONTEXT_END) ||
         probe_is_wanted(p, PROBE_TIMER);
}

/* Calls the function at 1 with a new scope. */
static int run_scope(lua_State *L, const char *name, scope_kind kind) {
  arg_check_function(L, 1, name);
  runtime *rt = check_task(L, name);
  lua_settop(L, 1);
  bool watched = contexts_are_watched(rt);
  if (watched) push_child_context(rt, L);
  scope_open(rt, L, kind, watched ? 2 : 0);
  if (watched) lua_replace(L, 2);
  lua_insert(L, 1);
  lua_pushvalue(L, 1);
  return unwind_body(rt, L, &frame_scope);
}

static int scope_scope(lua_State *L) { return run_scope(L, "scope", SCOPE_PLAIN); }
static int scope_supervise(lua_State *L) { return run_scope(L, "supervise", SCOPE_SUPERVISE); }

static int scope_with_timeout(lua_State *L) {
  double seconds = arg_check_seconds(L, 1, 1, "with_timeout");
  arg_check_function(L, 2, "with_timeout");
  runtime *rt = check_task(L, "with_timeout");
  int64_t deadline_ns = runtime_deadline(rt, seconds);
  bool timed = !scope_context_can_end(rt->current) && !contexts_are_watched(rt) &&
               deadline_ns > runtime_now(rt) && deadline_ns != TIME_FOREVER;
  if (timed) {
    scope_open_timed(rt, L, deadline_ns);
    lua_replace(L, 1);
  } else {
    ctx *c = push_child_context(rt, L);
    context_set_deadline(rt, L, c, deadline_ns);
    scope_open(rt, L, SCOPE_TIMEOUT, lua_gettop(L));
    lua_replace(L, 1);
    lua_pop(L, 1);
  }
  return unwind_body(rt, L, &frame_scope);
}

static int scope_with(lua_State *L) {
  if (context_test(L, 1) == NULL) arg_type_error(L, 1, "with", "context");
  arg_check_function(L, 2, "with");
  runtime *rt = check_task(L, "with");
  with_open(rt, L, 1);
  lua_replace(L, 1);
  return unwind_body(rt, L, &frame_with);
}

/* --- methods --- */

static scope *check_open(lua_State *L, const char *method) {
  scope *s = arg_check_self(L, SCOPE_TYPE, method);
  if (s->body.cancel.base.state == CANCEL_SCOPE_CLOSED) {
    luaL_error(L, "'%s' on a scope that has ended", method);
  }
  return s;
}

static int method_spawn(lua_State *L) {
  scope *s = check_open(L, "spawn");
  arg_check_method_function(L, 2, 1, "spawn");
  scope_spawn_options options = {.task = {.type = TASK_TYPE_OF_UPVALUE}, .scope = s};
  scope_spawn(runtime_of(L), L, lua_gettop(L) - 2, &options);
  return 1;
}

static int method_spawn_with(lua_State *L) {
  scope *s = check_open(L, "spawn_with");
  lua_remove(L, 1);
  return spawn_with(L, s);
}

/* Cancels the body at 1; the reason is at 2. */
static int cancel_body(lua_State *L, body *b, cancel_source source) {
  lua_settop(L, 2);
  lua_pushboolean(L, cancel_scope_cancel(runtime_of(L), L, &b->cancel.base, source));
  return 1;
}

static int method_cancel(lua_State *L) {
  scope *s = arg_check_self(L, SCOPE_TYPE, "cancel");
  cancel_source source = lib_cancel_source(L, 3, CANCEL_SCOPE);
  bool is_open = !cancel_scope_is_cancelled(&s->body.cancel.base);
  if (is_open) s->heir.asked = true;
  return cancel_body(L, &s->body, source);
}

static int scope_tostring(lua_State *L) {
  scope_push_text(runtime_of(L), L, arg_check_self(L, SCOPE_TYPE, "__tostring"));
  return 1;
}

/* The object that observers get for a co.with can be cancelled, and no more. */
static int with_cancel(lua_State *L) {
  return cancel_body(L, arg_check_self(L, WITH_TYPE, "cancel"), CANCEL_SCOPE);
}

static int with_tostring(lua_State *L) {
  const body *b = arg_check_self(L, WITH_TYPE, "__tostring");
  bool is_closed = b->cancel.base.state == CANCEL_SCOPE_CLOSED;
  lua_pushstring(L, is_closed ? "body of co.with (ended)" : "body of co.with");
  return 1;
}

void lib_scope_open(lua_State *L, runtime *rt) {
  scope_register_members(rt);
  scope_register_heirs(rt);
  static const luaL_Reg functions[] = {
      {"scope", scope_scope},
      {"supervise", scope_supervise},
      {"with_timeout", scope_with_timeout},
      {"with", scope_with},
      {NULL, NULL},
  };
  static const luaL_Reg methods[] = {
      {"cancel", method_cancel},
      {NULL, NULL},
  };
  static const luaL_Reg metamethods[] = {{"__tostring", scope_tostring}, {NULL, NULL}};
  static const luaL_Reg with_methods[] = {{"cancel", with_cancel}, {NULL, NULL}};
  static const luaL_Reg with_metamethods[] = {{"__tostring", with_tostring}, {NULL, NULL}};
  for (int i = 0; functions[i].name != NULL; i++) {
    runtime_add_machinery(rt, (machinery){.function = functions[i].func, .drives = true});
  }
  lib_register(L, rt, functions);
  static const luaL_Reg spawners[] = {
      {"spawn", method_spawn}, {"spawn_with", method_spawn_with}, {NULL, NULL}};
  lib_new_type(L, rt, SCOPE_TYPE, methods, metamethods);
  lib_add_spawners(L, rt, SCOPE_TYPE, spawners);
  lib_new_type(L, rt, WITH_TYPE, with_methods, with_metamethods);
}
