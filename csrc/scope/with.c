#include "scope/with.h"

#include <string.h>

#include "kernel/probe.h"
#include "kernel/record.h"

static void over(runtime *rt, lua_State *L, body *b) {
  body_close(rt, L, b);
  body_release(rt, L, b);
}

/* The task has ended.   [-0, +0, -] */
static void abandon(runtime *rt, lua_State *L, inner_cancel_scope *c) {
  over(rt, L, container_of(c, body, cancel));
}

static const cancel_scope_type type = {.abandon = abandon};

body *with_open(runtime *rt, lua_State *L, int context) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  body *b = lua_newuserdatauv(L, sizeof(body), BODY_UV_COUNT);
  memset(b, 0, sizeof(body));
  luaL_setmetatable(L, WITH_TYPE);
  const ctx *c = context_test(L, context);
  body_open(rt, L, b, &type, context, c->deadline_ns != TIME_FOREVER);
  body_bind(rt, L, b);
  if (probe(&rt->probes, PROBE_SCOPE_OPEN)) {
    body_tell(rt, L, b, &(probe_event){.kind = PROBE_SCOPE_OPEN, .calls = true});
  }
  return b;
}

/*
** The body was cancelled with its context; the record of that is on top of the stack. Further out
** it is a panic.
*/
static int raise_end_of_context(runtime *rt, lua_State *L) {
  record *exit = record_test(L, -1);
  cancel_source source = exit->cancel_source;
  exit->recovered = true;
  rt->current->raises = 0;
  record_wrap_safe(rt, L, L, 1, exit->kind);
  record_test(L, -1)->cancel_source = (uint8_t)source;
  return lua_error(L);
}

static int leave(runtime *rt, lua_State *L, frame_stack *s, frame_state state) {
  body *b = lua_touserdata(L, BODY_INDEX);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  body_leave(rt, L, b, s, state);
  over(rt, L, b);
  if (b->cancel.outcome == BODY_RETURNED) return body_return(rt, L);
  return b->cancel.outcome == BODY_CANCELLED ? raise_end_of_context(rt, L) : lua_error(L);
}

static void lost(runtime *rt, lua_State *L, frame_stack *s) {
  body *b = body_leave_lost(rt, L, s);
  if (b != NULL) over(rt, L, b);
}

const frame_type frame_with = {.shields = true, .has_object = true, .leave = leave, .lost = lost};
