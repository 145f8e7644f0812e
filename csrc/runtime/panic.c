#include "runtime/panic.h"

#include "runtime/driver.h"
#include "runtime/task.h"

int panic_raise_kind(runtime *rt, lua_State *L, record_kind kind) {
  record_wrap_safe(rt, L, L, 1, kind);
  return lua_error(L);
}

int panic_raise(runtime *rt, lua_State *L) { return panic_raise_kind(rt, L, RECORD_PANIC); }

int panic_exit(runtime *rt, lua_State *L, uint32_t floor) {
  strand *s = task_strand_of(rt, L);
  if (s->depth > 0) {
    lua_pushvalue(L, -1);
    strand_begin_exit(s, L, floor);
  }
  return lua_error(L);
}

int panic_goexit(runtime *rt, lua_State *L) {
  lua_pushnil(L);
  record_wrap_safe(rt, L, L, 1, RECORD_GOEXIT);
  record *r = record_test(L, -1);
  r->kind = RECORD_GOEXIT; /* even where there was no memory for more */
  r->exits = true;
  task *t = rt->current;
  if (t != NULL && t->live.top == L && rt->hooks == 0) cancel_count_raise(rt, L, t);
  return panic_exit(rt, L, 0);
}

bool panic_is_in_flight(const runtime *rt, lua_State *L, int index) {
  const record *r = record_test(L, index);
  if (r == NULL || r->recovered) return false;
  return r->task_id == (rt->current == NULL ? 0 : rt->current->id);
}

int panic_handler(lua_State *L) {
  const record *r = record_test(L, -1);
  runtime *rt = r != NULL ? r->runtime : runtime_find(L);
  const strand *s = runtime_find_strand(rt, L);
  /* Raising once more what a frame further out is unwinding is a panic of its own, as in Go. */
  bool again = s != NULL && strand_holds_record(s, L, -1);
  if (again || !panic_is_in_flight(rt, L, -1)) record_wrap_safe(rt, L, L, 1, RECORD_ERROR);
  return 1;
}

void panic_settle(runtime *rt, lua_State *L, int status) {
  if (record_test(L, -1) != NULL) return;
  record_kind kind = status == LUA_ERRMEM ? RECORD_MEMORY : RECORD_ERROR;
  record_wrap_safe(rt, L, L, 0, kind);
}

/* Whether the activation is one that drives frames.   [-0, +0, -] */
static bool is_driver(const runtime *rt, lua_State *L, lua_Debug *activation) {
  lua_getinfo(L, "f", activation);
  lua_CFunction f = lua_tocfunction(L, -1);
  lua_pop(L, 1);
  if (f == NULL || driver_is_machinery(f)) return f != NULL;
  for (size_t i = 0; i < sizeof(rt->openers) / sizeof(rt->openers[0]); i++) {
    if (f == rt->openers[i]) return true;
  }
  return false;
}

/*
** Whether the running C function was called by a deferred function: one that a driver has called,
** and not the driver itself. What a tail call calls is a helper.
*/
static bool is_called_by_deferred(const runtime *rt, lua_State *L) {
  lua_Debug caller;
  lua_Debug driver;
  if (!lua_getstack(L, 1, &caller) || !lua_getstack(L, 2, &driver)) return false;
  lua_getinfo(L, "t", &caller);
  return !caller.istailcall && !is_driver(rt, L, &caller) && is_driver(rt, L, &driver);
}

int panic_recover(runtime *rt, lua_State *L) {
  const strand *s = runtime_find_strand(rt, L);
  lua_settop(L, 0);
  lua_pushnil(L);
  if (s == NULL || s->depth < 2 || strand_top(s)->kind != FRAME_DEFERRED) return 1;
  uint32_t panicking = s->depth - 2;
  if (s->frames[panicking].state != STATE_PANICKING || !is_called_by_deferred(rt, L)) return 1;
  strand_push_record(s, L, panicking);
  record *r = record_test(L, -1);
  if (r->recovered) {
    lua_settop(L, 1);
    return 1;
  }
  r->recovered = true;
  rt->stats.recovered++;
  lua_getiuservalue(L, -1, RECORD_UV_VALUE);
  lua_replace(L, 1);
  return 2;
}
