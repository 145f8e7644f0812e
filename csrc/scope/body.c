#include "scope/body.h"

#include "kernel/probe.h"

void body_tell(runtime *rt, lua_State *L, const body *b, const probe_event *event) {
  if (!lua_checkstack(L, LUA_MINSTACK)) return;
  probe_event told = *event;
  cancel_scope_push(rt, L, &b->cancel.base);
  told.task = b->cancel.owner;
  told.L = L;
  told.object = lua_gettop(L);
  probe_tell(rt, &told);
  lua_pop(L, 1);
}

/* --- opening --- */

void body_open(runtime *rt, lua_State *L, body *b, const cancel_scope_type *type, int context,
               bool has_deadline) {
  frame_stack *s = coroutine_frames_of(rt, L);
  if (!frames_reserve_frames(s, &rt->memory, s->depth + 1)) luaL_error(L, "not enough memory");
  cells_reserve(&rt->cells, L, CANCEL_SCOPE_CELLS);
  if (context != 0) context_pin(rt, L, context);
  list_init(&b->under.link);
  if (context != 0) b->under.context = context_test(L, context);
  b->under.scope = &b->cancel.base;
  cancel_scope_open(rt, L, &b->cancel, type, s);
  b->cancel.base.has_deadline = has_deadline;
}

void body_bind(runtime *rt, lua_State *L, body *b) {
  ctx *c = b->under.context;
  if (context_bind(&b->under)) return;
  context_push_reason(rt, L, c);
  cancel_scope_cancel(rt, L, &b->cancel.base, context_cancel_source(c));
}

/* --- leaving --- */

/* Returns the outcome. An exit belongs to the body unless it goes on further out. */
static body_outcome outcome_of(const frame_stack *s, frame_state state) {
  if (state == STATE_RETURNING) return BODY_RETURNED;
  if (state == STATE_PANICKING) return BODY_PANICKED;
  return frames_is_exiting(s) ? BODY_EXITED : BODY_CANCELLED;
}

void body_cancel(runtime *rt, lua_State *L, body *b, cancel_source source) {
  lua_pushnil(L);
  cancel_scope_cancel(rt, L, &b->cancel.base, source);
}

void body_leave(runtime *rt, lua_State *L, body *b, frame_stack *s, frame_state state) {
  cancel_scope_leave(&b->cancel.base);
  cancel_scope_restore_exit(rt, L, &b->cancel, s);
  b->cancel.outcome = (uint8_t)outcome_of(s, state);
  /*
  ** A cancellation may have come together with the last event that the body waited for, and not
  ** been raised.
  */
  if (b->cancel.outcome == BODY_EXITED || cancel_is_due(rt, rt->current)) {
    body_cancel(rt, L, b, CANCEL_PARENT);
  } else if (b->cancel.outcome == BODY_PANICKED) {
    body_cancel(rt, L, b, CANCEL_SCOPE);
  }
}

body *body_leave_lost(runtime *rt, lua_State *L, const frame_stack *s) {
  inner_cancel_scope *c = task_innermost(rt->current);
  if (c == NULL || c->floor != s->depth - 1) return NULL;
  lua_settop(L, 0);
  cancel_scope_push(rt, L, &c->base);
  cancel_scope_leave(&c->base);
  body *b = lua_touserdata(L, -1);
  body_cancel(rt, L, b, CANCEL_PARENT);
  return b;
}

/* --- closing --- */

void body_close(runtime *rt, lua_State *L, body *b) {
  cancel_scope_close(&b->cancel.base);
  list_remove(&b->under.link);
  if (probe(&rt->probes, PROBE_SCOPE_CLOSE)) {
    body_tell(rt, L, b, &(probe_event){.kind = PROBE_SCOPE_CLOSE});
  }
}

void body_release(runtime *rt, lua_State *L, body *b) {
  if (b->under.context != NULL) context_unpin(rt, L, b->under.context);
  cancel_scope_release(rt, &b->cancel);
}

int body_return(runtime *rt, lua_State *L) {
  task *t = rt->current;
  if (task_needs_unwinding(t)) cancel_raise(rt, L, t);
  return lua_gettop(L) - BODY_OUTCOME_INDEX + 1;
}
