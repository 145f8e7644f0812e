#include "kernel/cancel_scope.h"

#include "kernel/probe.h"
#include "kernel/task.h"

void cancel_scope_open(cancel_scope *c, const cancel_scope_type *type, task *owner,
                       uint32_t floor) {
  cp_assert(c->state == CANCEL_SCOPE_OPEN);
  c->type = type;
  c->owner = owner;
  c->floor = floor;
  c->outer = owner->innermost;
  owner->innermost = c;
}

void cancel_scope_answer(cancel_scope *c) {
  if (c->state != CANCEL_SCOPE_ASKED) return;
  c->state = CANCEL_SCOPE_ANSWERED;
  c->owner->asked--;
}

void cancel_scope_leave(cancel_scope *c) {
  cancel_scope_answer(c);
  if (c->state == CANCEL_SCOPE_OPEN) c->state = CANCEL_SCOPE_LEFT;
}

void cancel_scope_close(cancel_scope *c) {
  cp_assert(c->outer == NULL || c->owner->innermost == c);
  if (c->outer != NULL) c->owner->innermost = c->outer;
  cancel_scope_answer(c);
  c->state = CANCEL_SCOPE_CLOSED;
}

/* Whether its code has begun. A debug hook or a finalizer may run before. */
static bool has_frame(const cancel_scope *c) {
  return c->outer == NULL || c->floor < c->owner->coroutine.frames->depth;
}

cancel_scope *cancel_scope_find_asked(const task *t, uint32_t shield) {
  cancel_scope *found = NULL;
  for (cancel_scope *c = t->innermost; c != NULL && c->floor >= shield; c = c->outer) {
    if (c->state == CANCEL_SCOPE_ASKED && has_frame(c)) found = c;
  }
  return found;
}

void cancel_scope_push(runtime *rt, lua_State *L, const cancel_scope *c) {
  if (c->outer == NULL) {
    task_push(rt, L, c->owner);
    return;
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->pinned_ref);
  lua_rawgetp(L, -1, c);
  lua_remove(L, -2);
}

/* --- asking --- */

/* Tells the sinks that the cancel scope was asked to end.   [-0, +0, -] */
static void tell(runtime *rt, lua_State *L, const cancel_scope *c) {
  if (!lua_checkstack(L, LUA_MINSTACK)) return;
  cancel_scope_push(rt, L, c);
  probe_tell(rt, &(probe_event){.kind = PROBE_CANCEL,
                                .task = c->owner,
                                .L = L,
                                .object = lua_gettop(L),
                                .word = cancel_source_name(c->source)});
  lua_pop(L, 1);
}

/* Makes the request wait to be raised. */
static void ask(cancel_scope *c) {
  c->state = CANCEL_SCOPE_ASKED;
  c->owner->asked++;
}

bool cancel_scope_cancel(runtime *rt, lua_State *L, cancel_scope *c, cancel_source source) {
  task *t = c->owner;
  if (c->state > CANCEL_SCOPE_LEFT) {
    lua_pop(L, 1);
    return false;
  }
  bool is_left = c->state == CANCEL_SCOPE_LEFT;
  c->state = CANCEL_SCOPE_ANSWERED; /* until everything that depends on it was asked */
  c->source = (uint8_t)source;
  if (probe(&rt->probes, PROBE_CANCEL)) tell(rt, L, c);
  if (c->type != NULL && c->type->pass_on != NULL) c->type->pass_on(rt, L, c, source);
  if (is_left) {
    lua_pop(L, 1);
    return true;
  }
  cancel_scope_push(rt, L, c);
  lua_pushvalue(L, -2);
  lua_setiuservalue(L, -2, CANCEL_SCOPE_UV_REASON);
  lua_pop(L, 2);
  ask(c);
  if (t->status == TASK_WAITING && !cancel_is_shielded(t, c->floor)) {
    task_wake(rt, t, WAKE_CANCELLED);
  }
  return true;
}

void cancel_scope_cancel_new(lua_State *L, cancel_scope *c, cancel_source source) {
  lua_setiuservalue(L, -2, CANCEL_SCOPE_UV_REASON);
  c->source = (uint8_t)source;
  ask(c);
}
